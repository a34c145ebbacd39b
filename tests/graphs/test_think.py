"""What a model may ask for: the tools of a turn, and the typed search that their arguments become."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from tracehound.graphs.consult import query_from
from tracehound.graphs.think import search_from, tools_for
from tracehound.tools.languages.query import Platform
from tracehound.tools.languages.search import All, AnyOf, Condition, Operator, Window
from tracehound.tools.languages.vocabulary import EventClass

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WINDOW = Window(start=NOW - timedelta(days=1), end=NOW)
SLOTS = {"host": ("WS-1", "WS-2"), "user": ("anna",), "cve": ("CVE-2026-1",), "alert": ("x-1",)}


def arguments(tool: str, *, free: bool = True, platforms: Any = frozenset(Platform)) -> type[BaseModel]:
    (found,) = [item for item in tools_for([], SLOTS, platforms=platforms, free=free) if item.name == tool]
    return found.arguments


def test_entities_are_the_values_that_code_found() -> None:
    search = arguments("search")
    assert set(search.model_fields) == {"event_class", "host", "user", "cve", "text"}
    with pytest.raises(ValidationError, match="'WS-1' or 'WS-2'"):
        search.model_validate({"event_class": "process_activity", "host": "WS-3"})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"event_class": "process_activity"}, "name at least one entity, or the text"),
        ({"event_class": "process_activity", "text": None}, "name at least one entity, or the text"),
        ({"event_class": "process_activity", "text": "x"}, "at least 2 characters"),
        ({"event_class": "process_activity", "text": "x" * 201}, "at most 200 characters"),
        ({"event_class": "process_activity", "cve": "CVE-2026-1"}, "process_activity events name no cve"),
        ({"event_class": "everything", "host": "WS-1"}, "event_class"),
        ({"event_class": "process_activity", "host": "WS-1", "limit": 100_000}, "Extra inputs"),
        ({"event_class": "process_activity", "host": "WS-1", "window": {"start": "2001-01-01"}}, "Extra inputs"),
    ],
)
def test_a_search_that_says_more_than_was_asked_is_not_accepted(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        arguments("search").model_validate(given)


def test_arguments_become_a_search_over_the_questions_window() -> None:
    given = arguments("search").model_validate({"event_class": "process_activity", "host": "WS-1", "text": "a'b\""})
    search = search_from(given, WINDOW)
    assert (search.event_class, search.window) == (EventClass.PROCESS, WINDOW)
    assert isinstance(search.where, All)
    text, host = search.where.of
    assert host == Condition(field="device.hostname", values=("WS-1",))
    assert isinstance(text, AnyOf)
    assert {part.op for part in text.of if isinstance(part, Condition)} == {Operator.CONTAINS}
    assert all(part.values == ("a'b\"",) for part in text.of if isinstance(part, Condition))


def test_without_entities_and_free_text_there_is_nothing_to_search_for() -> None:
    assert [tool.name for tool in tools_for([], {}, free=False)] == ["finish"]


def test_raw_queries_go_where_a_platform_is_connected() -> None:
    given = {"source": "defender/kql/DeviceEvents", "text": "DeviceEvents | take 1"}
    assert arguments("raw_query").model_validate(given)
    with pytest.raises(ValidationError, match="source"):
        arguments("raw_query", platforms=frozenset({Platform.FALCON})).model_validate(given)


@pytest.mark.parametrize(
    ("source", "text", "says"),
    [
        ("defender/kql/DeviceEvents", "DeviceEvents | take 5", ""),
        ("falcon/fql/alerts", "severity:>50", ""),
        ("falcon/fql/alerts", "severity:>50+timestamp:>'2001-01-01T00:00:00Z'", "names a time of its own"),
        ("falcon/fql/alerts", "severity:>50,created_timestamp:>'2001-01-01T00:00:00Z'", "names a time of its own"),
        ("falcon/fql/alerts", "severity:>>50", "."),
        ("sentinel/kql/SecurityEvent", ".drop table SecurityEvent", "."),
        ("sentinel/kql/SecurityEvent", "externaldata(a:string)['https://evil.example/x'] | take 1", "."),
        ("sentinelone/s1ql/events", "EndpointName = ", "."),
    ],
)
def test_a_query_of_the_models_own_is_checked(source: str, text: str, says: str) -> None:
    query, problem = query_from(arguments("raw_query").model_validate({"source": source, "text": text}), WINDOW)
    assert query.window == WINDOW
    assert (says in problem) if says not in ("", ".") else (bool(problem) == bool(says))
