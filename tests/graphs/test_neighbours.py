from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tracehound.graphs.neighbours import neighbours
from tracehound.tools.evidence.event import Event
from tracehound.tools.evidence.story import Story
from tracehound.tools.evidence.story_facts import Happening
from tracehound.tools.languages.query import Platform
from tracehound.tools.languages.search import Window, conditions
from tracehound.tools.languages.vocabulary import EventClass
from tracehound.tools.library import Label

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
WINDOW = Window(start=NOW - timedelta(days=1), end=NOW + timedelta(hours=1))


def story(kind: EventClass, **fields: Any) -> Story:
    named = {name.replace("__", "."): value for name, value in fields.items()}
    event = Event("E-1", Platform.DEFENDER, "t", kind, NOW, None, named.get("user.name"), named)
    return Story(entries=(Happening(0, (event,), (Label("h.one", "s", "strong", "Behaviour", ()),)),))


def asked(found: Story) -> dict[str, tuple[object, ...]]:
    return {
        item.purpose: tuple(value for part in conditions(item.search.where) for value in part.values)
        for item in neighbours(found, WINDOW)
    }


def test_a_bad_mail_obliges_its_senders_mail_its_clicks_and_its_attachment() -> None:
    found = asked(story(EventClass.EMAIL, email__from="Pay@Evil.test", file__name="Invoice_4711.docm"))
    assert found == {
        "neighbours.sender": ("Pay@Evil.test",),
        "neighbours.clicks": ("evil.test",),
        "neighbours.attachment": ("Launch", "Invoice_4711.docm"),
    }


@pytest.mark.parametrize("sender", ["", "no address at all"])
def test_a_sender_that_is_no_address_is_asked_for_as_it_stands_or_not_at_all(sender: str) -> None:
    found = asked(story(EventClass.EMAIL, email__from=sender))
    assert found == ({"neighbours.sender": (sender,)} if sender else {})


def test_a_click_on_a_bad_link_obliges_the_mails_that_it_may_have_come_from() -> None:
    found = asked(story(EventClass.URL, user__name="ann", url__url_string="http://evil.test/submit"))
    assert found == {"neighbours.mails": ("@evil.test", "evil.test")}
    assert asked(story(EventClass.URL, user__name="ann", url__url_string="http://[broken")) == {}


def test_a_suspicious_act_in_the_cloud_obliges_what_else_came_from_its_outside_address() -> None:
    found = asked(story(EventClass.API, user__name="ann", src_endpoint__ip="203.0.113.5", api__operation="Rule"))
    assert found["neighbours.place"] == ("ann", "203.0.113.5")
    assert found["neighbours.clicked"] == ("ann",)
    inside = asked(story(EventClass.API, user__name="ann", src_endpoint__ip="10.0.0.5", api__operation="Rule"))
    assert "neighbours.place" not in inside
