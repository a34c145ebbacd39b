"""Time phrases: a table of what is understood, what is asked back, and properties that hold for every text."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.knowledge.errors import UsageError
from tracehound.tools.languages.window import parse_window

NOW = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)  # a Tuesday

# Phrase, start and end as `MM-DD HH:MM`; `now` for the clock.
UNDERSTOOD = """
show me lateral movement from WS-042 in the last day | 11-23 15:30 | now
last 24 hours | 11-23 15:30 | now
last 24h | 11-23 15:30 | now
past 90 minutes | 11-24 14:00 | now
past half an hour | 11-24 15:00 | now
in the last couple of days and it worries me | 11-22 15:30 | now
over the past ten days | 11-14 15:30 | now
sometime in the last 14 days | 11-10 15:30 | now
during the last 27 hours or are they gone | 11-23 12:30 | now
within 48 hours | 11-22 15:30 | now
past week | 11-17 15:30 | now
in the last week | 11-17 15:30 | now
last week | 11-16 00:00 | 11-23 00:00
last month | 10-01 00:00 | 11-01 00:00
in the middle of the night this week | 11-17 00:00 | now
since Monday | 11-23 00:00 | now
since Tuesday | 11-17 00:00 | now
since last Friday | 11-20 00:00 | now
since yesterday | 11-23 00:00 | now
since 14:00 | 11-24 14:00 | now
since 9am | 11-24 09:00 | now
since 18:00 | 11-23 18:00 | now
since midnight | 11-24 00:00 | now
since 2 days ago | 11-22 15:30 | now
today | 11-24 00:00 | now
yesterday | 11-23 00:00 | 11-24 00:00
the day before yesterday | 11-22 00:00 | 11-23 00:00
yesterday afternoon | 11-23 12:00 | 11-23 18:00
last night | 11-23 18:00 | 11-24 06:00
this morning | 11-24 00:00 | 11-24 12:00
on friday evening | 11-20 18:00 | 11-21 00:00
on 2026-11-20 | 11-20 00:00 | 11-21 00:00
on 20 Nov | 11-20 00:00 | 11-21 00:00
November 20th, 2026 | 11-20 00:00 | 11-21 00:00
20.11.2026 | 11-20 00:00 | 11-21 00:00
13/11/2026 | 11-13 00:00 | 11-14 00:00
from Nov 1 to Nov 5 | 11-01 00:00 | 11-06 00:00
between 2026-11-20 and 2026-11-22 | 11-20 00:00 | 11-23 00:00
between Monday and Wednesday | 11-16 00:00 | 11-19 00:00
look from 5 days ago to 1 day ago. same thieves? | 11-19 15:30 | 11-23 15:30
between 14:00 and 16:00 | 11-24 14:00 | now
between 22:00 and 02:00 | 11-23 22:00 | 11-24 02:00
yesterday between 14:00 and 16:00 | 11-23 14:00 | 11-23 16:00
between 2pm and 4pm yesterday | 11-23 14:00 | 11-23 16:00
from yesterday 10:00 to today 09:00 | 11-23 10:00 | 11-24 09:00
from 2026-11-20T10:00:00Z to 2026-11-20T12:00:00Z | 11-20 10:00 | 11-20 12:00
yesterday after 14:00 | 11-23 14:00 | 11-24 00:00
today, only after 14:00 | 11-24 14:00 | now
in the last 2 days but only after 14:00 | 11-24 14:00 | now
last 3 days, before 9am | 11-21 15:30 | 11-24 09:00
before 14:00 | 11-24 00:00 | 11-24 14:00
until yesterday | 11-17 00:00 | 11-24 00:00
15 minutes before 14:30 | 11-24 14:15 | 11-24 14:30
30 minutes after 2026-11-20T14:03:00Z | 11-20 14:03 | 11-20 14:33
an hour around 12:00 | 11-24 11:00 | 11-24 13:00
around 14:00 | 11-24 13:00 | 11-24 15:00
yesterday at 02:14 | 11-23 01:44 | 11-23 02:44
2026-11-20T14:03:22Z | 11-20 13:33 | 11-20 14:33
6 days ago | 11-17 15:30 | 11-19 15:30
about a week ago. Look at the last 9 days: who | 11-15 15:30 | now
she quits on friday. last 10 days: did she copy files | 11-14 15:30 | now
in Lyon and then 40 minutes later in Frankfurt, some time in the last 14 days | 11-10 15:30 | now
every night at 2 it breaks in, look at the last 3 days | 11-21 15:30 | now
Sept 5 | 09-05 00:00 | 09-06 00:00
at 2am, between 5 days and 1 day ago - ok? | 11-19 15:30 | 11-23 15:30
between 36 hours and 12 hours ago | 11-23 03:30 | 11-24 03:30
5-2 days ago | 11-19 15:30 | 11-22 15:30
from 2 weeks ago to 3 days ago | 11-10 15:30 | 11-21 15:30
PC-7, 48h? | 11-22 15:30 | now
12 days back: since when | 11-12 15:30 | now
pls look over 14 days | 11-10 15:30 | now
look at 3 days | 11-21 15:30 | now
a 12h window please | 11-24 03:30 | now
window of three days | 11-21 15:30 | now
go back a week | 11-17 15:30 | now
last 2-3 days | 11-21 15:30 | now
the last 3 nights | 11-21 15:30 | now
since 3 days | 11-21 15:30 | now
before noon yesterday | 11-23 00:00 | 11-23 12:00
last weekend | 11-21 00:00 | 11-23 00:00
since the weekend | 11-21 00:00 | now
past fortnight | 11-10 15:30 | now
last seventy-two hours | 11-21 15:30 | now
since November | 11-01 00:00 | now
in March | 03-01 00:00 | 04-01 00:00
"""


def moment(text: str) -> datetime:
    if text == "now":
        return NOW
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


@pytest.mark.parametrize("row", UNDERSTOOD.strip().splitlines(), ids=lambda row: row.split("|")[0].strip()[:50])
def test_phrase_is_understood(row: str) -> None:
    phrase, start, end = (part.strip() for part in row.split("|"))
    window, used_default, _ = parse_window(phrase, NOW)
    # Whole seconds: a bare stamp keeps its seconds.
    assert (window.start.replace(second=0), window.end.replace(second=0)) == (moment(start), moment(end))
    assert not used_default
    assert window.phrase


@pytest.mark.parametrize(
    "text",
    [
        "Explain the burst of failed logons and everything the same actor did in the following minute.",
        "what happened on DC-01",
        "after that, where did they go?",
        "41 tickets within two minutes of each other",
        "usual: 15 a day",
        "a password that was not changed for 90 days",
        "50 failures in 5 minutes, then a success",
        "a file older than 3 days",
        "mails from May",
        "march through the logs",
        "the sun sat on the server",
        "10.20.9.50 talks 24/7",
        "path C:/a/1/2 and http://x/1/2",
        "",
    ],
)
def test_text_without_a_window_gets_the_default(text: str) -> None:
    window, used_default, rest = parse_window(text, NOW, default_days=5)
    assert used_default
    assert (window.start, window.end) == (NOW - timedelta(days=5), NOW)
    assert window.phrase == "last 5 days"
    assert len(rest) <= len(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tomorrow", "lies in the future"),
        ("next week", "lies in the future"),
        ("on 2027-01-01", "lies in the future"),
        ("from 2026-11-25 to 2026-11-26", "lies in the future"),
        ("last sprint", "not understood"),
        ("since christmas", "not understood"),
        ("in the last quarter", "not understood"),
        ("since 3", "not understood"),
        ("on 2026-13-45", "not understood|no date"),
        ("2026-02-30", "no date"),
        ("05/06/2026", "can be read as"),
        ("an hour before the alert", "write a time in place of"),
        ("from yesterday to Sunday", "ends before it starts"),
    ],
)
def test_phrase_is_asked_back(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_window(text, NOW)


def test_a_future_word_beside_a_stated_range_is_no_error() -> None:
    assert parse_window("she leaves tomorrow, look at the last 10 days", NOW).window.start == NOW - timedelta(days=10)


def test_the_alert_is_an_anchor_when_it_is_known() -> None:
    anchor = NOW - timedelta(days=3)
    window = parse_window("an hour before the alert", NOW, anchor=anchor).window
    assert (window.start, window.end) == (anchor - timedelta(hours=1), anchor)


def test_days_and_clock_times_follow_the_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    window = parse_window("yesterday between 09:00 and 10:00", NOW, zone=berlin).window
    assert window.start == datetime(2026, 11, 23, 8, tzinfo=UTC)
    utc = parse_window("since 09:00 UTC", NOW, zone=berlin).window
    assert utc.start == datetime(2026, 11, 24, 9, tzinfo=UTC)


def test_the_rest_is_the_question_without_its_time() -> None:
    parsed = parse_window("which hosts did svc-x touch in the last 3 days?", NOW)
    assert parsed.rest == "which hosts did svc-x touch ?"


def test_days_that_a_year_lacks_are_last_years() -> None:
    assert parse_window("on 25 Dec", NOW).window.start == datetime(2025, 12, 25, tzinfo=UTC)


WORDS = st.lists(
    st.sampled_from(
        """last past since until between and from to on at around before after yesterday today friday last night 3 24 14:00
        9am days hours week minutes ago Nov 5 2026-11-20 2026-11-20T10:00:00Z the in only this morning WS-042 svc-x whoami
        every within two half an a few month now""".split()  # noqa: SIM905
    ),
    max_size=12,
).map(" ".join)
CLOCKS = st.integers(1_600_000_000, 2_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@settings(max_examples=400, deadline=None)
@given(WORDS, CLOCKS)
def test_no_window_ends_in_the_future_or_runs_backwards(text: str, now: datetime) -> None:
    try:
        window = parse_window(text, now).window
    except UsageError:
        return
    assert window.start < window.end <= now


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 90),
    st.sampled_from(["minutes", "hours", "days", "weeks"]),
    CLOCKS,
    st.sampled_from(["", "alerts on WS-042 "]),
)
def test_a_counted_window_has_its_length(count: int, unit: str, now: datetime, before: str) -> None:
    window = parse_window(f"{before}in the last {count} {unit}", now).window
    assert window.end - window.start == timedelta(**{unit: count})
    assert window.end == now


@settings(max_examples=200, deadline=1_000)
@given(st.text(max_size=300))
def test_any_text_is_read_or_asked_back(text: str) -> None:
    with suppress(UsageError):
        parse_window(text, NOW)


@pytest.mark.parametrize("text", ["last " * 4000, "between 1 and " * 1500, "14:00 " * 3000, "a few of " * 2000])
def test_long_text_is_read_in_time(text: str) -> None:
    started = datetime.now(UTC)
    with suppress(UsageError):
        parse_window(text, NOW)
    assert datetime.now(UTC) - started < timedelta(seconds=5)
