"""Planned queries, and what each platform can be asked for."""

from datetime import UTC, datetime, timedelta

from tracehound.graphs.plan import ASKABLE, Wanted, askable
from tracehound.graphs.workspace import view_key
from tracehound.tools.languages.query import Platform, Query
from tracehound.tools.languages.search import Condition, Search, Window
from tracehound.tools.languages.translate import translate
from tracehound.tools.languages.vocabulary import EventClass

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def launches(start: datetime, end: datetime) -> Search:
    where = Condition(field="device.hostname", values=("HOST-1",))
    return Search(event_class=EventClass.PROCESS, where=where, window=Window(start=start, end=end))


def test_the_same_text_over_another_window_is_another_query() -> None:
    """S1QL and CQL carry the window beside the text: by the text alone, three windows once became one."""
    edr = frozenset({Platform.FALCON, Platform.SENTINELONE})
    for platform in edr:
        made = [
            item
            for day in (1, 2, 3)
            for item in translate(launches(NOW - timedelta(days=day), NOW), platforms=frozenset({platform}))
            if isinstance(item, Query)
        ]
        assert len({view_key(query) for query in made}) == len(made)
        assert len({query.text for query in made}) < len(made)


def test_defender_is_asked_for_what_it_can_search_and_the_others_for_all() -> None:
    wanted = Wanted(launches(NOW - timedelta(days=45), NOW), "test")
    parts = {
        platform: part.search.window.start
        for part, platforms in askable(wanted, frozenset(Platform), NOW)
        for platform in platforms
    }
    assert parts[Platform.FALCON] == NOW - timedelta(days=45)
    assert NOW - ASKABLE[Platform.DEFENDER] < parts[Platform.DEFENDER] < NOW - timedelta(days=29)


def test_a_window_before_all_that_defender_keeps_is_not_asked_there() -> None:
    wanted = Wanted(launches(NOW - timedelta(days=60), NOW - timedelta(days=40)), "test")
    asked = frozenset[Platform]().union(*(platforms for _, platforms in askable(wanted, frozenset(Platform), NOW)))
    assert asked == frozenset(Platform) - {Platform.DEFENDER}
