from datetime import UTC, datetime
from typing import Any

import pytest

from tracehound.graphs.references import family_of, players, resolved, role_of
from tracehound.tools.evidence.event import Event
from tracehound.tools.evidence.records import Answer, Evidence, TimelineEntry
from tracehound.tools.evidence.story_facts import Happening
from tracehound.tools.languages.entities import find_entities
from tracehound.tools.languages.query import Platform
from tracehound.tools.languages.vocabulary import EventClass

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EARLIER = ["what did CORP\\ann do on PC-7 yesterday", "did svc-web log on to SRV-3 as well?"]


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("what else did that account do", {"user": ("svc-web",)}),
        ("show the sign-ins of the same user", {"user": ("svc-web",)}),
        ("anything else on that host", {"host": ("SRV-3",)}),
        ("and on the other host", {"host": ("PC-7",)}),
        ("what did bob@corp.example do on that host", {"host": ("SRV-3",)}),
        ("show lateral movement in the last day", {}),
    ],
)
def test_references_mean_what_was_named_last(question: str, meant: dict[str, tuple[str, ...]]) -> None:
    assert resolved(question, find_entities(question), EARLIER, None) == meant


def answer(hosts: list[str], users: list[str]) -> Answer:
    rows = [
        Evidence(
            id=f"E-{number}", alias=f"E{number}", query="Q1", platform="falcon", time=NOW, host=host, user=user,
            event_class="process_activity", fields={}, raw={}, sha256="0" * 64,
        )
        for number, (host, user) in enumerate(zip(hosts, users, strict=True))
    ]  # fmt: skip
    entries = [TimelineEntry(time=NOW, text="x", evidence=(row.id,), hosts=(row.host or "",), platforms=("falcon",))
               for row in rows]  # fmt: skip
    return Answer(case="c-1", question="q", model="offline", estate="lab", window=None, route="search", evidence=tuple(rows),
                  timeline=tuple(entries))  # fmt: skip


def test_what_the_answer_brought_up_comes_before_what_was_asked_earlier() -> None:
    earlier = ["what happened on PC-7", "which account went from there to another server?"]
    last = answer(["PC-7", "SRV-3"], ["ann", "svc-web"])
    for question, meant in (
        ("where did the data go from that server", {"host": ("SRV-3",)}),
        ("what did that account do then", {"user": ("ann",)}),
        ("did one of those sign in from elsewhere", {"user": ("ann", "svc-web")}),
        ("are those hosts clean", {"host": ("PC-7", "SRV-3")}),
    ):
        assert resolved(question, find_entities(question), earlier, last) == meant


def test_nothing_is_meant_where_nothing_was_named() -> None:
    question = "what else did that account do"
    assert resolved(question, find_entities(question), ["any phishing this week?"], None) == {}


@pytest.mark.parametrize(
    ("question", "role"),
    [
        ("is the service account compromised?", "service account"),
        ("what did the global admin change", "administrator"),
        ("is svc-web the service account compromised?", None),
        ("who opened the admin share", None),
        ("members of the admin group", None),
    ],
)
def test_a_role_without_a_name_is_noticed(question: str, role: str | None) -> None:
    found = role_of(question, find_entities(question))
    assert (found and found.what) == role


@pytest.mark.parametrize(
    ("question", "stem"),
    [
        ("she used one of the NB laptops", "NB"),
        ("anything odd on the SRV servers", "SRV"),
        ("anything odd on SRV-3, one of the SRV servers", None),
        ("is one of the hosts infected", None),
    ],
)
def test_a_family_of_hosts_is_noticed(question: str, stem: str | None) -> None:
    assert family_of(question, find_entities(question)) == stem


def happening(kind: EventClass, **fields: Any) -> Happening:
    named = {name.replace("__", "."): value for name, value in fields.items()}
    event = Event("E-1", Platform.SENTINEL, "t", kind, NOW, None, None, named)
    return Happening(0, (event,), ())


def test_those_who_play_a_role_are_named_the_busiest_first() -> None:
    role = role_of("is the service account compromised?", find_entities("is the service account compromised?"))
    assert role is not None
    logons = [happening(EventClass.AUTHENTICATION, user__name=name)
              for name in ("CORP\\svc-web", "svc-web@corp.example", "SVC-SQL", "ann", "svc-pc$")]  # fmt: skip
    assert players(role, logons) == ("svc-web", "svc-sql")
