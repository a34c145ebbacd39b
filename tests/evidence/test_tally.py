from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tracehound.tools.evidence import claims
from tracehound.tools.evidence.event import Event
from tracehound.tools.evidence.records import CheckRecord, Evidence, QueryRecord, WindowRecord
from tracehound.tools.evidence.verify import verify
from tracehound.tools.languages.query import Platform
from tracehound.tools.languages.vocabulary import EventClass

START = datetime(2026, 5, 1, 8, tzinfo=UTC)


QUERY = QueryRecord(
    id="Q1", platform="defender", language="kql", collection="EmailEvents", text="EmailEvents",
    check=CheckRecord(ok=True), status="ok", rows=7,
    complete=True, window=WindowRecord(start=START, end=START + timedelta(days=1)),
)  # fmt: skip


def evidence(event: Event) -> Evidence:
    return Evidence(
        id=event.evidence, alias=event.evidence, query="Q1", platform="defender", time=event.time, host=None, user=None,
        event_class=event.event_class.value, fields=dict(event.fields), raw={}, sha256="0" * 64,
    )  # fmt: skip


def mails(sender: str = "pay@evil.test", delivered: int = 5, blocked: int = 2) -> list[Event]:
    fates = ["Delivered"] * delivered + ["Blocked"] * blocked

    def rows() -> Iterator[Event]:
        for number, fate in enumerate(fates):
            fields = {"email.uid": f"m{number}", "email.from": sender, "email.to": f"p{number % 4}@corp.test",
                      "email.delivery_action": fate}  # fmt: skip
            at = START + timedelta(minutes=number)
            yield Event(f"E-{number}", Platform.DEFENDER, "EmailEvents", EventClass.EMAIL, at, None, None, fields)

    return list(rows())


def test_mails_of_a_sender_are_counted_by_how_they_fared() -> None:
    claim = claims.tally("C1", mails(), ["Q1"])
    assert claim is not None
    assert claim.text == "pay@evil.test sent 7 mails to 4 recipients: 5 Delivered, 2 Blocked"
    assert (claim.subject, claim.predicate, len(claim.evidence)) == ("pay@evil.test", "tally", 7)


def test_a_count_is_checked_by_counting_again() -> None:
    claim = claims.tally("C1", mails(), ["Q1"])
    assert claim is not None
    rows = [evidence(event) for event in mails()]
    for text, fails in (
        (claim.text, 0),
        (claim.text.replace("5 Del", "6 Del"), 1),
        (claim.text.replace("7 m", "8 m"), 1),
    ):
        _, counts = verify([claim.model_copy(update={"text": text})], rows, [QUERY])
        assert (counts.failed, counts.verified) == (fails, 1 - fails)
    fewer = claim.model_copy(update={"evidence": claim.evidence[:-1]})
    assert verify([fewer], rows, [QUERY])[1].failed == 1


def test_two_reports_of_one_mail_are_one_mail() -> None:
    events = mails(delivered=1, blocked=0)
    twin = Event("E-9", Platform.SENTINEL, "EmailEvents", EventClass.EMAIL, START, None, None, events[0].fields)
    assert claims.tally_text([*events, twin]) == "pay@evil.test sent 1 mail to 1 recipient: 1 Delivered"


def downloads(user: str = "ann", operation: str = "FileDownloaded") -> list[Event]:
    found = []
    for number, (day, minute) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]):
        fields = {"api.operation": operation, "user.name": user, "src_endpoint.ip": "203.0.113.5",
                  "resource.name": f"f{number}"}  # fmt: skip
        at = START + timedelta(days=day, minutes=minute)
        found.append(Event(f"E-{number}", Platform.SENTINEL, "OfficeActivity", EventClass.API, at, None, user, fields))
    return found


def test_operations_of_an_account_are_counted_by_day() -> None:
    text = claims.tally_text(downloads())
    assert text == "ann called FileDownloaded 5 times on 2 days (2 to 3 a day) from 1 address"
    assert claims.tally_text([*downloads(), *downloads("bob")]) is None
    assert claims.tally_text([*downloads(), *downloads(operation="FileAccessed")]) is None


def test_mails_of_two_senders_are_not_counted_together() -> None:
    assert claims.tally("C1", [*mails(), *mails("other@evil.test")]) is None
