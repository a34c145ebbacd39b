"""A mail, a click, an account in the cloud: what hangs together without any host."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tracehound.tools.evidence.event import Event
from tracehound.tools.evidence.story import Focus, assemble
from tracehound.tools.evidence.story_facts import Happening
from tracehound.tools.hunts import Signal
from tracehound.tools.languages.query import Platform
from tracehound.tools.languages.vocabulary import EventClass
from tracehound.tools.library import Label

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
OUTSIDE, OFFICE = "203.0.113.5", "198.51.100.9"


class Tale:
    def __init__(self) -> None:
        self.told: list[Happening] = []

    def note(self, kind: EventClass, hours: float, signal: Signal | None = None, **fields: Any) -> int:
        number = len(self.told)
        named = {name.replace("__", "."): value for name, value in fields.items()}
        event = Event(f"E-{number:012d}", Platform.DEFENDER, "t", kind, START + timedelta(hours=hours), None,
                      named.get("user.name"), named)  # fmt: skip
        labels = (Label("h.one", "s", signal, "Behaviour", ("T1078",)),) if signal else ()
        self.told.append(Happening(number, (event,), labels))
        return number

    def mail(self, hours: float, sender: str, uid: str, signal: Signal | None = None) -> int:
        return self.note(
            EventClass.EMAIL, hours, signal, email__from=sender, email__uid=uid, email__to=f"{uid}@corp.test"
        )

    def click(self, hours: float, user: str, url: str, uid: str = "", signal: Signal | None = None) -> int:
        return self.note(EventClass.URL, hours, signal, user__name=user, url__url_string=url, email__uid=uid)

    def act(self, kind: EventClass, hours: float, user: str, address: str, signal: Signal | None = None) -> int:
        return self.note(kind, hours, signal, user__name=user, src_endpoint__ip=address, status="Success")

    def entries(self, **focus: Any) -> set[int]:
        return {item.index for item in assemble(self.told, Focus(since=START - timedelta(days=1), **focus)).entries}


def test_the_mails_of_a_suspicious_sender_are_one_campaign_and_those_of_another_are_not() -> None:
    tale = Tale()
    bad = [tale.mail(hours / 10, "pay@evil.test", f"m{hours}", "strong" if hours == 1 else None) for hours in range(4)]
    good = tale.mail(0.2, "news@shop.test", "m9")
    assert tale.entries(hunts=frozenset({"h.one"})) == set(bad)
    assert good not in tale.entries()


def test_one_recipients_story_reaches_the_mail_and_not_what_befell_another() -> None:
    tale = Tale()
    mail = tale.mail(0, "pay@evil.test", "m0", "strong")
    click = tale.click(1, "ann", "http://evil.test/login", "m0")
    rule = tale.act(EventClass.API, 2, "ann", OUTSIDE, "strong")
    other = tale.click(1, "bob", "http://evil.test/login", "m0")
    about_ann = tale.entries(users=frozenset({"ann"}))
    assert {mail, click, rule} <= about_ann
    assert other not in about_ann
    assert other in tale.entries(hunts=frozenset({"h.one"}))


@pytest.mark.parametrize(
    ("url", "uid", "belongs"),
    [
        ("http://evil.test/login", "", True),
        ("https://other.test/x", "m0", True),
        ("https://other.test/x", "", False),
        ("https://notevil.test/login", "", False),
    ],
)
def test_a_click_belongs_to_the_mail_that_held_its_link_or_came_from_its_domain(
    url: str, uid: str, belongs: bool
) -> None:
    tale = Tale()
    tale.mail(0, "pay@evil.test", "m0", "strong")
    click = tale.click(1, "ann", url, uid)
    assert (click in tale.entries()) is belongs


def test_what_was_done_from_the_place_of_a_suspicious_act_is_told_and_the_office_is_not() -> None:
    tale = Tale()
    signin = tale.act(EventClass.AUTHENTICATION, 2, "ann", OUTSIDE)
    rule = tale.act(EventClass.API, 3, "ann", OUTSIDE, "strong")
    office = tale.act(EventClass.AUTHENTICATION, 2.5, "ann", OFFICE)
    stranger = tale.act(EventClass.AUTHENTICATION, 2.6, "bob", OUTSIDE)
    found = tale.entries()
    assert {signin, rule} <= found
    assert not {office, stranger} & found


def test_the_place_where_an_account_signs_in_day_after_day_ties_nothing_together() -> None:
    tale = Tale()
    daily = [tale.act(EventClass.AUTHENTICATION, 24 * day, "ann", OFFICE) for day in range(4)]
    consent = tale.act(EventClass.API, 50, "ann", OFFICE, "strong")
    assert tale.entries() == {consent}
    assert not set(daily) & tale.entries()


def test_a_click_leads_to_what_went_wrong_with_the_account_within_a_day() -> None:
    for hours, belongs in ((5, True), (60, False)):
        tale = Tale()
        tale.mail(0, "pay@evil.test", "m0", "medium")
        click = tale.click(1, "ann", "http://evil.test/submit", signal="medium")
        rule = tale.act(EventClass.API, 1 + hours, "ann", OUTSIDE, "strong")
        reached = {item.index for item in assemble(tale.told, Focus(users=frozenset({"ann"}))).entries}
        assert rule in reached
        assert (click in reached) is belongs
