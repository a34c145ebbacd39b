"""False reports made from true ones: one falsehood each, of a known kind, placed in the public JSON of an answer.

Works on the JSON that anybody can read and imports nothing of what judges it. Seeded: the same reports and seed give the
same falsehoods. A value is only put where no row that the claim cites holds it, so that what comes out is not true.
"""

import copy
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

_POOLS: Mapping[str, tuple[str, ...]] = {
    "host": ("device.hostname", "src_endpoint.hostname", "dst_endpoint.hostname"),
    "user": ("user.name", "actor.user.name", "email.to", "email.from"),
    "address": ("src_endpoint.ip", "dst_endpoint.ip", "device.ip"),
    "file": ("file.name", "file.path", "process.name", "actor.process.name", "service.name"),
    "hash": ("process.hash.sha256", "file.hash.sha256", "process.hash.md5", "file.hash.md5"),
}
_INVENTED: Mapping[str, tuple[str, ...]] = {
    "host": ("HOST-991", "SRV-NULL-7"),
    "user": ("x.nobody", "svc-invented"),
    "address": ("198.18.0.77", "172.31.250.9"),
    "file": ("invented.exe", "nothing.dll"),
    "hash": ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",),
}
_OUTCOMES: tuple[tuple[str, str], ...] = (
    ("failed to log on to", "logged on to"),
    ("logged on to", "failed to log on to"),
    ("failed to sign in", "signed in"),
    ("signed in", "failed to sign in"),
    ("failed to connect", "connected"),
    ("connected to", "failed to connect to"),
    ("accepted a connection", "refused a connection"),
    (" did: ", " failed: "),
    (" failed: ", " did: "),
    ("failed to call", "called"),
    (" called ", " failed to call "),
    ("Delivered", "Blocked"),
    ("Blocked", "Delivered"),
    ("ClickAllowed", "ClickBlocked"),
    ("ClickBlocked", "ClickAllowed"),
    (" clicked `", " was kept from `"),
    (" started ", " ended "),
    (" wrote `", " deleted `"),
    (" deleted `", " wrote `"),
    ("was installed", "was removed"),
    (" set the registry value ", " deleted the registry value "),
    (" is open", " is closed"),
    (" raised `", " withdrew `"),
    ("got a service ticket", "was refused a service ticket"),
    ("sent mail", "received mail"),
)
_PLATFORMS = ("falcon", "sentinelone", "sentinel", "defender", "splunk")
_OTHER_TECHNIQUES = ("T1110.003", "T1486", "T1190", "T1546.008", "T1219", "T1053.003", "T1114.003")
_NO_TECHNIQUES = ("T9999", "T1059.999")
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}Z")
_AMOUNT = re.compile(r"(?<![\w.:`\\/-])\d{1,4}(?= [a-z]| [A-Z][a-z]|\))")


@dataclass(frozen=True, slots=True)
class Falsehood:
    """One false report: the answer's JSON with one falsehood in it, and where that is."""

    kind: str
    claim: str
    says: str
    answer: Json


@dataclass(frozen=True)
class _Report:
    answer: Json
    rng: random.Random

    @property
    def rows(self) -> dict[str, Json]:
        return {row["id"]: row for row in self.answer["evidence"]}

    def cited(self, claim: Json) -> list[Json]:
        rows = self.rows
        return [rows[name] for name in claim["evidence"] if name in rows]

    def pool(self, kind: str) -> list[str]:
        """Values of a kind that occur in the report, and some that occur nowhere."""
        found = {
            str(value)
            for row in self.answer["evidence"]
            for name in _POOLS[kind]
            for value in _listed(row["fields"].get(name))
            if len(str(value)) > 3
        }
        return [*sorted(found), *_INVENTED[kind]]

    def other(self, kind: str, claim: Json, avoid: str) -> str | None:
        """A value of the kind that no cited row holds."""
        held = _text(self.cited(claim)) + avoid.lower()
        free = [value for value in self.pool(kind) if not _held(value, kind, held)]
        return self.rng.choice(free) if free else None


def falsehoods(answer: Json, seed: int, others: Sequence[Json] = ()) -> Iterator[Falsehood]:
    """Every false report that one true one gives.

    Args:
        answer: The true report's JSON.
        seed: Chooses the values.
        others: Reports about other things of the same estate, from which irrelevant claims are taken.
    """
    report = _Report(answer, random.Random(f"{seed} {answer['question']}"))
    for at, claim in enumerate(answer["claims"]):
        if claim["kind"] != "observation":
            continue
        for kind, changed in _of_claim(claim, report):
            if changed != claim:
                yield _put(answer, at, kind, changed)
    yield from _swapped_times(report)
    yield from _absences(report)
    yield from _of_entries(report)
    for other in others:
        yield from _irrelevant(report, other)


def _put(answer: Json, at: int, kind: str, claim: Json, **changes: Any) -> Falsehood:
    claims = [*answer["claims"][:at], claim, *answer["claims"][at + 1 :]]
    return Falsehood(kind, claim["id"], claim["text"], {**answer, "claims": claims, **changes})


def _of_claim(claim: Json, report: _Report) -> Iterator[tuple[str, Json]]:
    if claim["evidence"]:
        yield from _values(claim, report)
        yield from _times(claim, report)
        yield from _directions(claim)
        yield from _citations(claim, report)
        yield from _techniques(claim, report)
    for old, new in _OUTCOMES:
        if old in claim["text"]:
            yield "outcome", {**claim, "text": claim["text"].replace(old, new, 1)}
            break
    yield from _amounts(claim, report)


def _values(claim: Json, report: _Report) -> Iterator[tuple[str, Json]]:
    for kind in ("host", "user", "address", "file", "hash"):
        named = [value for value in report.pool(kind) if _names(claim["text"], value)]
        for old in named[:3]:
            new = report.other(kind, claim, claim["text"])
            if new is None:
                continue
            yield kind, {**claim, "text": _swap(claim["text"], old, new)}
            yield kind, {**claim, **{part: _swap(claim[part], old, new) for part in ("text", "subject", "object")}}
    if not re.search(r"\b[0-9a-f]{32,64}\b", claim["text"]):
        new = report.other("hash", claim, claim["text"])
        if new is not None:
            yield "hash", {**claim, "text": f"{claim['text']}, SHA-256 {new}"}


def _times(claim: Json, report: _Report) -> Iterator[tuple[str, Json]]:
    moved = report.rng.choice([-86_400, -3_600, -600, -90, 45, 300, 7_200, 86_400])
    if claim.get("time"):
        moment = _moment(claim["time"]) + timedelta(seconds=moved)
        yield "time", {**claim, "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    stamps = _STAMP.findall(claim["text"])
    if stamps:
        old = report.rng.choice(stamps)
        new = f"{_moment(old) + timedelta(seconds=moved):%Y-%m-%d %H:%M:%SZ}"
        yield "time", {**claim, "text": claim["text"].replace(old, new, 1)}
    else:
        first = min((row["time"] for row in report.cited(claim) if row["time"]), default=None)
        if first:
            new = f"{_moment(first) + timedelta(seconds=moved):%Y-%m-%d %H:%M:%SZ}"
            yield "time", {**claim, "text": f"{claim['text']} at {new}"}


def _directions(claim: Json) -> Iterator[tuple[str, Json]]:
    """What acted and what was acted on change places; so do origin and destination."""
    one, two, text = claim["subject"], claim["object"], claim["text"]
    if one and two and one.lower() != two.lower() and _names(text, one) and _names(text, two):
        turned = _swap(_swap(_swap(text, one, "\0"), two, one), "\0", two)
        yield "direction", {**claim, "subject": two, "object": one, "text": turned}
        yield "direction", {**claim, "text": turned}
        yield "direction", {**claim, "subject": two, "object": one}
    ends = re.search(r" to (\S+)(.*) from (\S+)", text)
    if ends and ends[1] != ends[3]:
        turned = f"{text[: ends.start(1)]}{ends[3]}{ends[2]} from {ends[1]}{text[ends.end(3) :]}"
        yield "direction", {**claim, "text": turned}
    if " connected to " in text:
        yield "direction", {**claim, "text": text.replace(" connected to ", " accepted a connection from ", 1)}


def _citations(claim: Json, report: _Report) -> Iterator[tuple[str, Json]]:
    yield "citation dropped", {**claim, "evidence": []}
    if len(claim["evidence"]) > 1 and (" times between " in claim["text"] or claim["predicate"] in ("tally", "amount")):
        yield "citation dropped", {**claim, "evidence": claim["evidence"][1:]}
    yield "citation swapped", {**claim, "evidence": ["E-000000000000"]}
    strangers = [
        row["id"]
        for row in report.answer["evidence"]
        if row["id"] not in claim["evidence"] and _tells_otherwise(row, report.cited(claim))
    ]
    if strangers:
        new = report.rng.choice(strangers)
        yield "citation swapped", {**claim, "evidence": [new]}
        yield "citation swapped", {**claim, "evidence": [*claim["evidence"], new]}


def _tells_otherwise(row: Json, cited: Sequence[Json]) -> bool:
    """Whether a row is of another class, host, account or hour than every cited one."""

    def what(item: Json) -> tuple[Any, ...]:
        return item["class"], item["host"], item["user"], item["fields"].get("activity")

    return all(what(row) != what(item) for item in cited)


def _techniques(claim: Json, report: _Report) -> Iterator[tuple[str, Json]]:
    yield "technique", {**claim, "techniques": [report.rng.choice(_NO_TECHNIQUES)]}
    families = {name.partition(".")[0] for name in claim["techniques"]}
    foreign = [name for name in _OTHER_TECHNIQUES if name.partition(".")[0] not in families]
    if claim["techniques"]:
        yield "technique", {**claim, "techniques": [*claim["techniques"], report.rng.choice(foreign)]}


def _amounts(claim: Json, report: _Report) -> Iterator[tuple[str, Json]]:
    outside = re.sub(r"`[^`]*`", lambda found: "\0" * len(found[0]), claim["text"])
    for found in list(_AMOUNT.finditer(outside))[:3]:
        number = int(found[0])
        new = number + report.rng.choice([1, 2, 7, 100]) if report.rng.random() < 0.7 or number < 3 else number - 1
        text = f"{claim['text'][: found.start()]}{new}{claim['text'][found.end() :]}"
        subject = claim["subject"].replace(found[0], str(new), 1)
        yield "count", {**claim, "text": text, "subject": subject}


def _swapped_times(report: _Report) -> Iterator[Falsehood]:
    """Two claims change their times: the report tells them in the wrong order."""
    answer = report.answer
    timed = [at for at, claim in enumerate(answer["claims"]) if claim.get("time") and claim["evidence"]]
    report.rng.shuffle(timed)
    for one, two in zip(timed[::2], timed[1::2], strict=False):
        first, second = answer["claims"][one], answer["claims"][two]
        if abs(_moment(first["time"]) - _moment(second["time"])) < timedelta(seconds=10):
            continue
        claims = list(answer["claims"])
        claims[one], claims[two] = {**first, "time": second["time"]}, {**second, "time": first["time"]}
        by_claim = {first["id"]: second["time"], second["id"]: first["time"]}
        timeline = [{**item, "time": by_claim.get(item["claim"], item["time"])} for item in answer["timeline"]]
        says = f"{first['id']} and {second['id']} in the wrong order"
        yield Falsehood("order", first["id"], says, {**answer, "claims": claims, "timeline": timeline})


def _absences(report: _Report) -> Iterator[Falsehood]:
    """`Nothing was found`, over queries that found something, did not run, were cut short or looked elsewhere."""
    answer = report.answer
    for at, claim in enumerate(answer["claims"]):
        if claim["predicate"] == "not found":
            yield from _spoilt(answer, at, claim, report)
    window = answer["window"]
    if not window or not answer["evidence"]:
        return
    start, end = (_moment(window[key]) for key in ("start", "end"))
    asked = [query for query in answer["queries"] if query["status"] == "ok" and _kept(query)]
    for query in report.rng.sample(asked, min(4, len(asked))):
        yield _claimed(answer, _nothing(query["platform"], start, end, query["id"]))
    empty = [query for query in answer["queries"] if query["status"] == "ok" and not query["rows"]]
    for query in report.rng.sample(empty, min(3, len(empty))):
        nothing = _nothing(query["platform"], start, end, query["id"])
        for change in ({"complete": False, "incomplete_because": "row cap"}, {"status": "error", "error": "HTTP 500"}):
            yield _claimed(answer, nothing, {**query, **change})
        early = _nothing(query["platform"], start - timedelta(days=40), end, query["id"])
        yield _claimed(answer, early)
        other = next(name for name in _PLATFORMS if name != query["platform"])
        yield _claimed(answer, _nothing(other, start, end, query["id"]))


def _kept(query: Json) -> int:
    """Rows that met the search; a platform may have had to return more."""
    kept = query.get("kept")
    return int(query["rows"] if kept is None else kept)


def _spoilt(answer: Json, at: int, claim: Json, report: _Report) -> Iterator[Falsehood]:
    yield _put(answer, at, "absence", {**claim, "queries": []})
    yield _put(answer, at, "absence", {**claim, "queries": ["Q9999"]})
    platform = claim["object"].split(",")[0].strip()
    other = next(name for name in _PLATFORMS if name not in claim["object"])
    if platform:
        moved = {part: claim[part].replace(platform, other, 1) for part in ("text", "object")}
        yield _put(answer, at, "platform", {**claim, **moved})
    for stamp in _STAMP.findall(claim["text"])[:1]:
        early = f"{_moment(stamp) - timedelta(days=60):%Y-%m-%d %H:%M:%SZ}"
        yield _put(answer, at, "absence", {**claim, "text": claim["text"].replace(stamp, early)})
    for name in claim["queries"][:3]:
        for change in (
            {"complete": False, "incomplete_because": "row cap"},
            {"status": "error", "error": "HTTP 500", "complete": False},
            {"rows": 3, "kept": 3},
        ):
            queries = [{**query, **change} if query["id"] == name else query for query in answer["queries"]]
            yield _put(answer, at, "absence", claim, queries=queries)


def _nothing(platform: str, start: datetime, end: datetime, query: str) -> Json:
    text = f"no suspicious activity in {platform} between {start:%Y-%m-%d %H:%M:%SZ} and {end:%Y-%m-%d %H:%M:%SZ}"
    return {
        "id": "C9998", "kind": "observation", "subject": "suspicious activity", "predicate": "not found",
        "object": platform, "evidence": [], "queries": [query], "text": text, "verified": True, "why_not": None,
        "time": None, "techniques": [],
    }  # fmt: skip


def _claimed(answer: Json, claim: Json, query: Json | None = None) -> Falsehood:
    queries = [query if query and item["id"] == query["id"] else item for item in answer["queries"]]
    changed = {**answer, "claims": [*answer["claims"], claim], "queries": queries}
    return Falsehood("absence", claim["id"], claim["text"], changed)


def _of_entries(report: _Report) -> Iterator[Falsehood]:
    """The timeline says another thing than the claims that it stands on."""
    answer = report.answer
    for at, entry in enumerate(answer["timeline"]):
        rows = [report.rows[name] for name in entry["evidence"] if name in report.rows]
        for kind, changed in _of_entry(entry, rows, report):
            timeline = [*answer["timeline"][:at], changed, *answer["timeline"][at + 1 :]]
            yield Falsehood(kind, entry["claim"], changed["text"], {**answer, "timeline": timeline})


def _of_entry(entry: Json, rows: Sequence[Json], report: _Report) -> Iterator[tuple[str, Json]]:
    held = {row["platform"] for row in rows}
    other = next((name for name in _PLATFORMS if name not in held), None)
    if held and other:
        yield "platform", {**entry, "platforms": [other]}
    stranger = report.other("host", {"evidence": entry["evidence"]}, entry["text"])
    if stranger:
        yield "host", {**entry, "hosts": [stranger]}
    moment = _moment(entry["time"]) + timedelta(seconds=report.rng.choice([-3_600, -300, 120, 5_400]))
    yield "time", {**entry, "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    named = [value for value in report.pool("user") if _names(entry["text"], value)]
    new = report.other("user", {"evidence": entry["evidence"]}, entry["text"])
    if named and new:
        yield "user", {**entry, "text": _swap(entry["text"], named[0], new)}
    yield "citation dropped", {**entry, "evidence": []}


def _irrelevant(report: _Report, other: Json) -> Iterator[Falsehood]:
    """A true claim of another report, with its rows and queries, about hosts and accounts that this one has not."""
    answer = report.answer
    here = {str(row[key]).lower() for row in answer["evidence"] for key in ("host", "user") if row[key]}
    about = _text([answer["question"], [claim["text"] for claim in answer["claims"]]])
    rows = {row["id"]: row for row in other["evidence"]}
    told = 0
    for claim in other["claims"]:
        cited = [rows[name] for name in claim["evidence"] if name in rows]
        if told >= 4 or claim["kind"] != "observation" or not cited or len(cited) > 5:
            continue
        named = {str(row[key]).lower() for row in cited for key in ("host", "user") if row[key]}
        if not named or named & here or any(name in about for name in named):
            continue
        told += 1
        queries = [query for query in other["queries"] if query["id"] in {row["query"] for row in cited}]
        renamed = {query["id"]: f"Q{9000 + number}" for number, query in enumerate(queries)}
        grafted = {**claim, "id": "C9997", "queries": [renamed[name] for name in claim["queries"] if name in renamed]}
        known = {row["id"] for row in answer["evidence"]}
        added = [
            {**row, "query": renamed.get(row["query"], row["query"]), "alias": f"E{9000 + number}"}
            for number, row in enumerate(cited)
            if row["id"] not in known
        ]
        entry = next((item for item in other["timeline"] if item["claim"] == claim["id"]), None)
        entries = [{**copy.deepcopy(entry), "claim": "C9997"}] if entry else []
        changed = {
            **answer,
            "claims": [*answer["claims"], grafted],
            "evidence": [*answer["evidence"], *added],
            "queries": [*answer["queries"], *({**query, "id": renamed[query["id"]]} for query in queries)],
            "timeline": [*answer["timeline"], *entries],
        }
        yield Falsehood("irrelevant", "C9997", claim["text"], changed)


def sample(found: Iterable[Falsehood], most: int, seed: int) -> list[Falsehood]:
    """At most so many of each kind, chosen by the seed."""
    by_kind: dict[str, list[Falsehood]] = {}
    for item in found:
        by_kind.setdefault(item.kind, []).append(item)
    rng = random.Random(seed)
    return [item for kind in sorted(by_kind) for item in rng.sample(by_kind[kind], min(most, len(by_kind[kind])))]


Judge = Callable[[Json], bool]
"""Takes an answer's JSON and says whether something in it does not hold."""


def _held(value: str, kind: str, text: str) -> bool:
    """Whether a text holds the value; a host is the same with its domain and without."""
    return (value.partition(".")[0] if kind == "host" else value).lower() in text


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).lower().replace("\\\\", "\\")


def _names(text: str, value: str) -> bool:
    return re.search(rf"(?<![\w.@\\-]){re.escape(value)}(?![\w@-]|\.\w)", text, re.IGNORECASE) is not None


def _swap(text: str, old: str, new: str) -> str:
    return re.sub(rf"(?<![\w.@\\-]){re.escape(old)}(?![\w@-]|\.\w)", lambda _: new, text, flags=re.IGNORECASE)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace(" ", "T").replace("Z", "+00:00")).astimezone(UTC)
