"""Why each claim is shown: it answers the question, or something that its rows hold ties it to what does.

Read from the public record alone. A row is an anchor when it holds what the question names, or when a search of a hunt
that the question is about returned it. From there claims are tied by what their rows share: a host, an account, an
address, a file, a mail. Look-alikes are tied and pass nothing on.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..languages.vocabulary import EventClass
from ..library import HuntLibrary
from .claims import RULED_OUT
from .records import Claim, Evidence, QueryRecord
from .values import account_name, base_name, short_host, url_host

UNTIED = "nothing that its rows hold ties it to the question"

_NAMES: Mapping[str, tuple[str, ...]] = {
    "host": ("device.hostname", "src_endpoint.hostname", "dst_endpoint.hostname"),
    "account": ("user.name", "actor.user.name"),
    "address": ("src_endpoint.ip", "dst_endpoint.ip", "device.ip"),
    "mail": ("email.from", "email.to", "email.uid"),
    "file": ("file.name", "file.path"),
    "hash": ("process.hash.sha256", "file.hash.sha256"),
    "service": ("service.name",),
    "domain": ("query.hostname", "url.url_string"),
    "session": ("actor.session.uid", "session.uid"),
    "application": ("app.name",),
    "alert": ("finding.uid", "finding.title"),
    "weakness": ("vulnerability.cve",),
    "resource": ("resource.name",),
}
_EVERYWHERE = frozenset({
    "system", "localsystem", "local service", "network service", "anonymous logon", "defaultaccount", "127.0.0.1", "::1",
    "0.0.0.0", "-", "root", "localhost", "n/a", "unknown",
})  # fmt: skip
"""Values that tie nothing to anything."""
_WORD = re.compile(r"[A-Za-z0-9][\w.@:$\\-]*[\w$]|[A-Za-z0-9]")
_STEM = 5
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "about activity after alert alerts account accounts anyone anything before between did does event events every "
        "first found from happened have host hosts last logon logons many most other over same search seen show since "
        "some that the their them then there these this user users were what when where which while with within",
    )
)
"""Words of questions that tell no hunt from another."""

Value = tuple[str, str]
"""Kind and value, in lower case."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The question, the names that it was resolved to, and the hunts that it asked for."""

    question: str
    about: Collection[str] = ()
    hunts: Collection[str] = ()


@dataclass(frozen=True)
class Tied:
    """The reason for each claim that is shown, by its id; a claim without a reason is not in it."""

    reasons: Mapping[str, str]
    judged: bool
    """False: the question gives nothing to judge by, so that no claim can be called beside the point."""


def reasons(
    asked: Asked,
    claims: Sequence[Claim],
    evidence: Mapping[str, Evidence],
    queries: Mapping[str, QueryRecord],
    library: HuntLibrary,
) -> Tied:
    """Why each claim with rows is shown."""
    held = {
        claim.id: _values(evidence[name] for name in claim.evidence if name in evidence)
        for claim in claims
        if claim.evidence
    }
    shown = [claim for claim in claims if claim.id in held]
    found = _asked(asked, shown, evidence, queries, library) | _named(asked, shown, held)
    frontier = [claim for claim in shown if claim.id in found and not _is_alike(claim)]
    if not frontier:
        return Tied(found, judged=False)
    open_ones = [claim for claim in shown if claim.id not in found]
    while frontier:
        reached = []
        for claim in open_ones:
            tie = next(
                ((value, other) for other in frontier if (value := _shared(held[claim.id], held[other.id]))), None
            )
            if tie:
                (kind, _), other = tie
                alike = "look-alike: " if _is_alike(claim) else ""
                found[claim.id] = f"{alike}same {kind} as {other.id}"
                reached.append(claim)
        open_ones = [claim for claim in open_ones if claim.id not in found]
        frontier = [claim for claim in reached if not _is_alike(claim)]
    return Tied(found, judged=True)


def _is_alike(claim: Claim) -> bool:
    return claim.text.startswith(RULED_OUT)


def _values(rows: Iterable[Evidence]) -> frozenset[Value]:
    return frozenset(
        (kind, value)
        for row in rows
        for kind, names in _NAMES.items()
        for name in names
        for given in _listed(row.fields.get(name))
        if (value := _plain(kind, str(given))) and value not in _EVERYWHERE
    )


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def _plain(kind: str, value: str) -> str:
    match kind:
        case "host":
            return (short_host(value) or "").lower()
        case "account":
            name = account_name(value)
            return "" if name.endswith("$") else name
        case "mail":
            return value.lower()
        case "domain":
            return url_host(value) if "/" in value else value.lower().rstrip(".")
        case "file":
            return base_name(value).lower()
        case _:
            return value.lower()


def _shared(one: frozenset[Value], other: frozenset[Value]) -> Value | None:
    order = list(_NAMES)
    both = one & other
    # A recipient of a mail is the account of the same name.
    both |= {("account", value) for kind, value in one if kind == "mail" and ("account", account_name(value)) in other}
    both |= {("account", value) for kind, value in other if kind == "mail" and ("account", account_name(value)) in one}
    # A link leads to the domain that a mail came from.
    both |= {("domain", name) for name in _senders(one) if ("domain", name) in other}
    both |= {("domain", name) for name in _senders(other) if ("domain", name) in one}
    return min(both, key=lambda value: (order.index(value[0]), value[1]), default=None)


def _senders(held: frozenset[Value]) -> set[str]:
    return {value.rpartition("@")[2] for kind, value in held if kind == "mail" and "@" in value}


def _named(asked: Asked, claims: Sequence[Claim], held: Mapping[str, frozenset[Value]]) -> dict[str, str]:
    """Claims whose rows hold something that the question names."""
    question = " ".join((asked.question, *asked.about)).lower()
    told = set(_WORD.findall(question))
    told |= {part for word in told if "@" in word for part in (word.partition("@")[2],)}
    found: dict[str, str] = {}
    for claim in claims:
        for kind, value in sorted(held[claim.id]):
            names = {value, value.removesuffix(".exe"), value.partition("@")[2] if kind == "mail" else value}
            if (len(value) > 2 and names & told) or (" " in value and len(value) > 6 and value in question):
                found[claim.id] = f"asked: it is about {value}"
                break
    return found


def _asked(
    asked: Asked,
    claims: Sequence[Claim],
    evidence: Mapping[str, Evidence],
    queries: Mapping[str, QueryRecord],
    library: HuntLibrary,
) -> dict[str, str]:
    """Claims whose rows a hunt returned, or recognises, whose title or tags use the question's words."""
    told = _stems(asked.question)
    meant = {
        hunt.id: hunt.title
        for hunt in library.all()
        if hunt.id in asked.hunts or (not asked.hunts and told & _stems(" ".join((hunt.title, *hunt.tags))))
    }
    if not meant:
        return {}
    found: dict[str, str] = {}
    for claim in claims:
        rows = [evidence[name] for name in claim.evidence if name in evidence]
        title = next((meant[name] for name in _hunts_of(rows, queries, library) if name in meant), None)
        if title:
            found[claim.id] = f"asked: {title}"
    return found


def _hunts_of(rows: Sequence[Evidence], queries: Mapping[str, QueryRecord], library: HuntLibrary) -> Iterator[str]:
    """Hunts that returned rows, then those that recognise them: a follow-up tells of what an earlier query brought."""
    for row in rows:
        if row.query in queries:
            yield (queries[row.query].hunt or "").partition("#")[0]
    for row in rows:
        yield from (label.hunt for label in library.label(row.fields, EventClass(row.event_class)))


def _stems(text: str) -> set[str]:
    words = re.findall(r"[a-z0-9.]{3,}", text.lower())
    return {word[:_STEM] for word in words if word not in _COMMON and (len(word) > 3 or word in ("mfa", "aws", "rdp"))}
