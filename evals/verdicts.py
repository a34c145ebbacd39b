"""The verdict on an answer to a question of a deck. Reads the JSON of `ask --json` and its exit code, and nothing else.

right: every fact and time is there, nothing is asserted that must not be, the flags hold, every timeline entry cites
evidence that exists, and no claim is uncited or failed. partly: at least half of the facts, and nothing wrong.
declined: declined without need. wrong: everything else.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from .deck import DeckItem, WantedAction
from .phrases import Reader, says_refused

Verdict = Literal["right", "partly", "declined", "wrong"]
VERDICTS: tuple[Verdict, ...] = ("right", "partly", "declined", "wrong")
ANSWERED = frozenset({0, 4, 5, 6, 7, 8})
"""Exit codes that come with an answer."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for in an answer."""

    name: str
    ok: bool
    grave: bool = False
    """Whether failing it makes the answer wrong, however many facts it has."""
    found: str = ""


def judge(
    item: DeckItem, answer: Mapping[str, Any], code: int, clock: datetime, domain: str
) -> tuple[Verdict, list[Finding]]:
    """Hold an answer against an item whose names are those of its lab.

    Args:
        item: The question, filled.
        answer: `ask --json`.
        code: The exit code.
        clock: The lab's clock.
        domain: The company's DNS domain in that lab.

    Returns:
        The verdict, and everything that was looked for. An answer that breaks the contract is wrong.
    """
    judging = _Judging(item, answer, code, clock, Reader(domain))
    try:
        findings = list(judging.findings())
        needless = judging.declined_without_need()
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        return "wrong", [
            Finding("an answer that can be read", ok=False, grave=True, found=f"{type(exc).__name__}: {exc}")
        ]
    return _verdict(findings, needless), findings


def _verdict(findings: Sequence[Finding], needless: bool) -> Verdict:
    if any(item.grave and not item.ok for item in findings):
        return "wrong"
    if needless:
        return "declined"
    if all(item.ok for item in findings):
        return "right"
    facts = [item.ok for item in findings if item.name.startswith("fact ")]
    return "partly" if facts and 2 * sum(facts) >= len(facts) else "wrong"


class _Judging:
    def __init__(self, item: DeckItem, answer: Mapping[str, Any], code: int, clock: datetime, reader: Reader) -> None:
        self.item, self.answer, self.code, self.clock, self.reader = item, answer, code, clock, reader
        self.declined: Mapping[str, Any] = answer.get("declined") or {}

    def part(self, name: str) -> list[Any]:
        return self.answer.get(name) or []

    def declined_without_need(self) -> bool:
        """Refusing the asked action, with its target and the reason, is an answer."""
        due = self.item.declined or self.item.asks_back
        refusal = self.item.proposal is not None and self.refuses(self.item.proposal)
        return not due and bool(self.declined or self.code == 8) and not refusal

    def findings(self) -> Iterator[Finding]:
        yield from self.facts()
        yield from self.times()
        yield from self.proposals()
        if self.item.absence:
            lacking = self.lacking_for_absence()
            yield Finding("says that nothing was found", not lacking, found=lacking)
        yield from self.assertions()
        yield from self.citations()
        yield from self.flags()

    def facts(self) -> Iterator[Finding]:
        for options in self.item.facts:
            there = any(self.reader.names(option, self.told_and_cited) for option in options)
            yield Finding(f"fact {' | '.join(options)}", there)

    def times(self) -> Iterator[Finding]:
        told = [_moment(entry["time"]) for entry in self.part("timeline") if entry.get("time")]
        for wanted in self.item.times:
            due = self.clock - timedelta(minutes=wanted.minutes_before)
            give = timedelta(minutes=wanted.tolerance)
            yield Finding(f"time {due:%Y-%m-%dT%H:%MZ}", any(abs(time - due) <= give for time in told))

    def proposals(self) -> Iterator[Finding]:
        wanted = self.item.proposal
        if wanted is not None:
            made = any(self.is_for(item, wanted) and item.get("reason") for item in self.part("proposals"))
            yield Finding(f"proposal {wanted.action} {wanted.target}", made or self.refuses(wanted))
        banned = self.item.no_proposal
        if banned:
            made_ones = [
                str(item.get("action"))
                for item in self.part("proposals")
                if banned is True or self.is_for(item, banned)
            ]
            yield Finding("no proposal", not made_ones, grave=True, found=", ".join(made_ones))

    def lacking_for_absence(self) -> str:
        """What an answer that says `nothing` lacks: the saying, the window, or searches that were complete."""
        window = self.answer.get("window") or {}
        ran = [query for query in self.part("queries") if query.get("status") == "ok"]
        if not self.reader.says_absent(self.told):
            return "not said"
        if not (window.get("start") and window.get("end")):
            return "no window"
        whole = ran and all(query.get("complete") for query in ran) and self.code == 0
        return "" if whole else "searches not complete"

    def assertions(self) -> Iterator[Finding]:
        said = list(self.asserting_texts())
        for needle in self.item.never:
            where = next((text for text in said if self.reader.asserts(needle, text)), None)
            yield Finding(f"does not assert {needle}", where is None, grave=True, found=(where or "")[:200])

    def asserting_texts(self) -> Iterator[str]:
        """Each text in which an answer reports or condemns something."""
        for claim in self.part("claims"):
            if claim.get("kind") in ("observation", "assessment"):
                predicate = str(claim.get("predicate") or "").replace("_", " ")
                yield f"{claim.get('subject') or ''} {predicate} {claim.get('object') or ''}\n{claim.get('text') or ''}"
        yield from (entry.get("text") or "" for entry in self.part("timeline"))
        verdict = (self.answer.get("triage") or {}).get("verdict")
        if verdict:
            yield f"{verdict}\n{verdict.replace('_', ' ')}"

    def citations(self) -> Iterator[Finding]:
        known = {record["id"] for record in self.part("evidence")}
        timeline = self.part("timeline")
        loose = sum(not entry.get("evidence") or not known.issuperset(entry["evidence"]) for entry in timeline)
        yield Finding("entries cite existing evidence", not loose, grave=True, found=f"{loose} do not" if loose else "")
        checks = self.answer.get("verification") or {}
        unknown = 1 if self.part("claims") or timeline else 0
        for key in ("failed", "uncited"):
            yield Finding(f"no {key} claims", not checks.get(key, unknown), grave=True, found=str(checks.get(key, "")))

    def flags(self) -> Iterator[Finding]:
        if self.item.declined or self.item.asks_back:
            did = bool(self.declined) and self.code == 8
            yield Finding("declines or asks back", did, grave=True, found="" if did else f"exit {self.code}")
            if did and self.item.asks_back:
                yield Finding("names candidates", bool(self.declined.get("candidates")), grave=True)

    def is_for(self, proposal: Mapping[str, Any], wanted: WantedAction) -> bool:
        target = "\n".join(_leaves(proposal.get("target")))
        return proposal.get("action") == wanted.action and self.reader.names(wanted.target, target)

    def refuses(self, wanted: WantedAction) -> bool:
        texts = [self.declined.get("reason") or "", *(claim.get("text") or "" for claim in self.part("claims"))]
        return any(says_refused(text) and self.reader.names(wanted.target, text) for text in texts)

    @cached_property
    def told(self) -> str:
        parts = [
            self.answer.get("summary"),
            [entry.get("text") for entry in self.part("timeline")],
            [claim.get("text") for claim in self.part("claims")],
            [book.get("text") for book in self.part("runbooks")],
            self.answer.get("triage"),
            self.declined.get("reason"),
            self.declined.get("candidates"),
        ]
        return "\n".join(_leaves(parts))

    @cached_property
    def told_and_cited(self) -> str:
        """What is told, and every value of the evidence that an entry, a claim or the triage cites."""
        factors = (self.answer.get("triage") or {}).get("because") or []
        citing = [*self.part("timeline"), *self.part("claims"), *factors]
        cited = {name for part in citing for name in _names(part.get("evidence"))}
        shown = [
            [record.get(key) for key in ("time", "host", "user", "fields", "raw")]
            for record in self.part("evidence")
            if record["id"] in cited
        ]
        return "\n".join([self.told, *_leaves(shown)])


def _names(value: Any) -> Iterable[str]:
    return value if isinstance(value, list | tuple) else [value] if value else []


def _leaves(value: Any) -> Iterator[str]:
    """Every single value in a nested one, as text."""
    if isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(part)
    elif value is not None:
        yield str(value)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
