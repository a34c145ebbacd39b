"""The tactic that a happening is coloured by."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ....knowledge import attack

ORDER = (
    "reconnaissance", "resource-development", "initial-access", "execution", "persistence", "privilege-escalation",
    "defense-evasion", "stealth", "defense-impairment", "credential-access", "discovery", "lateral-movement", "collection",
    "command-and-control", "exfiltration", "impact",
)  # fmt: skip
"""ATT&CK's own order; the stylesheet has a colour for each of them."""


@dataclass(frozen=True, slots=True)
class Tactic:
    """A tactic: `style` is a class of the stylesheet, `name` is for people."""

    style: str
    name: str


NONE = Tactic("t-none", "No tactic")


def tactic_of(techniques: Iterable[str], named: Iterable[str] = ()) -> Tactic:
    """The tactic that techniques stand for: one that serves few tactics says more than one that serves many.

    Args:
        techniques: ATT&CK ids.
        named: Names of tactics as vendors write them, asked where the techniques say nothing.
    """
    votes: Mapping[str, float] = defaultdict(float)
    for technique_id in techniques:
        found = attack.technique(technique_id)
        for name in found.tactics if found else ():
            votes[name] += 1 / len(found.tactics)  # type: ignore[index, union-attr]
    known = [name for name in votes if name in ORDER]
    if known:
        return _tactic(max(known, key=lambda name: (votes[name], -ORDER.index(name))))
    slugs = ("-".join(name.lower().split()) for name in named)
    return next((_tactic(slug) for slug in slugs if slug in ORDER), NONE)


def _tactic(slug: str) -> Tactic:
    return Tactic(f"t-{slug}", slug.replace("-", " ").replace(" and ", " & ").capitalize())


def in_order(tactics: Iterable[Tactic]) -> list[Tactic]:
    """Each tactic once, in ATT&CK's order; none comes last."""
    places = {f"t-{slug}": place for place, slug in enumerate(ORDER)}
    return sorted(set(tactics), key=lambda tactic: places.get(tactic.style, len(places)))
