"""The chat's commands that ask or keep something: hunts, pivots, and what an analyst adds to a case."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..knowledge.errors import UsageError
from ..tools.evidence.case import Case
from ..tools.evidence.records import Evidence
from ..tools.hunts import check_parameters
from .chat_views import Command
from .hunting import question_of, read_values
from .rendering import listing, text

if TYPE_CHECKING:
    from .chat import Chat

AROUND = 15
"""Minutes before and after a row that a pivot looks at, when none are given."""
FOUND = 20
_ROW = re.compile(r"\[?(E\d+|E-[0-9a-f]{12,64})\]?,?", re.IGNORECASE)
_MINUTES = re.compile(r"(\d{1,5})\s*(m|min|minutes|h|hours?)?")

PIVOTS: Mapping[str, str] = {
    "host": "overview.host",
    "user": "overview.account",
    "ip": "network.connections",
    "domain": "network.connections",
    "hash": "file.sightings",
    "file": "file.sightings",
    "process": "process.neighbourhood",
    "service": "service.by-name",
    "cve": "vulnerability.by-cve",
}
"""The hunt that looks around an entity of a type."""


async def hunt(chat: "Chat", rest: str) -> None:
    """Run a hunt in this case, or find one by its words."""
    library = chat.copilot.library
    name, *pairs = rest.split() or [""]
    if name not in {item.id for item in library.all()}:
        words = rest.lower().split()
        found = [item for item in library.all() if all(word in f"{item.id} {item.title}".lower() for word in words)]
        if not found:
            raise UsageError(f"no hunt has {rest!r} in its id or title; /hunt alone lists them")
        rows = [(item.id, " ".join(item.parameters), item.title) for item in found[: FOUND if words else None]]
        chat.out.print(listing(rows, ("hunt", "parameters", "")))
        return
    values = read_values(pairs, "/hunt")
    chosen = library.get(name)
    check_parameters(chosen, values)
    await chat.ask(question_of(chosen, values), hunt=(name, values))


async def pivot(chat: "Chat", rest: str) -> None:
    """Look around a row, or at a host, account, address, file or hash that the case names."""
    name, _, span = rest.partition(" ")
    if not name:
        raise UsageError("something is missing: /pivot ROW|NAME [MINUTES]")
    with chat.opened() as case:
        row = case.evidence(row_name(name)) if _ROW.fullmatch(name) else None
        if row is None and _ROW.fullmatch(name):
            raise UsageError(f"this case has no evidence {name}; /evidence lists what the last answer cites")
        kind, value = _of_row(row) if row else _of_name(name, case.entities())
    options: dict[str, object] = {}
    if row is not None and row.time is not None:
        options = _around(row.time, span)
    elif span:
        raise UsageError("minutes go with a row that has a time: /pivot E12 30")
    chosen, values = chat.copilot.library.get(PIVOTS[kind]), {kind: [value]}
    await chat.ask(question_of(chosen, values), hunt=(chosen.id, values), **options)


def _of_row(row: Evidence) -> tuple[str, str]:
    if row.host:
        return "host", row.host
    if row.user:
        return "user", row.user
    raise UsageError(f"{row.alias} names no host and no account to look around; pivot on one of its values instead")


def _of_name(name: str, entities: Mapping[str, Iterable[str]]) -> tuple[str, str]:
    for kind in PIVOTS:
        for value in entities.get(kind, ()):
            if value.lower() == name.lower():
                return kind, value
    raise UsageError(f"no row of this case names {name}; /context lists what they name")


def _around(moment: datetime, span: str) -> dict[str, object]:
    found = _MINUTES.fullmatch(span.strip().lower()) if span.strip() else None
    if span.strip() and found is None:
        raise UsageError(f"{span.strip()} is no number of minutes; write /pivot E12 30, or 2h")
    number = int(found[1]) if found else AROUND
    reach = timedelta(hours=number) if found and (found[2] or "").startswith("h") else timedelta(minutes=number)
    return {"since": (moment - reach).isoformat(), "until": (moment + reach).isoformat()}


async def note(chat: "Chat", rest: str) -> None:
    """Keep a remark; rows named before it are what it is about."""
    rows, words = _rows_and_words(rest)
    if not words:
        raise UsageError("something is missing: /note [ROW ...] TEXT")
    _keep(chat, words, rows)


async def tag(chat: "Chat", rest: str) -> None:
    """Mark rows with a word."""
    rows, words = _rows_and_words(rest)
    if not rows or not words:
        raise UsageError("something is missing: /tag ROW ... WORD")
    _keep(chat, f"tag: {words}", rows)


async def pin(chat: "Chat", rest: str) -> None:
    """Put a row into the case's timeline, with a reason."""
    rows, words = _rows_and_words(rest)
    if len(rows) != 1:
        raise UsageError("something is missing: /pin ROW [TEXT]")
    with chat.opened() as case:
        found = case.evidence(rows[0])
    if found is None or found.time is None:
        raise UsageError(f"this case has no evidence {rows[0]} with a time; /evidence lists what the last answer cites")
    _keep(chat, f"pinned: {words}" if words else "pinned", rows, found.time)


def _rows_and_words(rest: str) -> tuple[list[str], str]:
    rows = []
    words = rest.strip()
    while (found := _ROW.match(words)) and (len(words) == found.end() or words[found.end()].isspace()):
        rows.append(row_name(found[1]))
        words = words[found.end() :].lstrip()
    return rows, words


def _keep(chat: "Chat", words: str, rows: list[str], time: datetime | None = None) -> None:
    chat.opened().close()
    with Case.open(chat.copilot.home, str(chat.case), wait=2.0) as case:
        kept = case.add_note(chat.copilot.settings.user, words, evidence=rows, time=time)
    about = f", about {' '.join(rows)}" if rows else ""
    chat.progress.print(text(f"noted as {kept.alias}{about}", "dim"))


def row_name(name: str) -> str:
    """An id or an alias, as typed with or without brackets."""
    plain = name.strip("[],")
    return f"E-{plain[2:].lower()}" if plain.upper().startswith("E-") else plain.upper()


DEEDS: Mapping[str, tuple[str, Command]] = {
    "hunt": ("[ID NAME=VALUE ... | WORDS]: run a hunt in this case, or find one", hunt),
    "pivot": ("ROW|NAME [MINUTES]: what happened around a row, host, account, address or file", pivot),
    "note": ("[ROW ...] TEXT: keep a remark in the case", note),
    "tag": ("ROW ... WORD: mark rows", tag),
    "pin": ("ROW [TEXT]: put a row into the case's timeline", pin),
}
"""Commands that ask or keep something."""
