"""From a happening to a claim about its rows and a line of the timeline."""

from typing import Any

from ..tools.evidence import claims as claiming
from ..tools.evidence.records import Claim, TimelineEntry
from ..tools.evidence.story_facts import Happening
from ..tools.library import Label
from .draft import Draft
from .state import Deps


def queries_of(item: Happening, deps: Deps) -> tuple[str, ...]:
    """The queries that brought a happening's rows."""
    return tuple(dict.fromkeys(deps.workspace.evidence[event.evidence].query for event in item.events))


def telling_label(item: Happening) -> Any:
    """The strongest suspicious label of a happening; None when it has none."""
    order = {"strong": 0, "medium": 1, "context": 2, "inventory": 3}
    suspicious = sorted(item.labels, key=lambda label: (order[label.signal], label.hunt, label.search))
    return suspicious[0] if suspicious and suspicious[0].signal in ("strong", "medium") else None


def observe(item: Happening, draft: Draft, deps: Deps, *, ruled_out: bool = False, label: Label | None = None) -> Claim:
    """Say what was seen as a claim of the answer."""
    claim = claiming.claim_for(
        item.events, label or telling_label(item), claim_id=f"C{len(draft.claims) + 1}", queries=queries_of(item, deps)
    )
    if ruled_out:
        claim = claim.model_copy(update={"text": f"{claiming.RULED_OUT}{claim.text}"})
    add(claim, draft, deps)
    return claim


def add(claim: Claim, draft: Draft, deps: Deps) -> None:
    """Put a claim into the answer, and tell who listens."""
    draft.claims.append(claim)
    deps.emit({"type": "claim", "claim": claim.model_dump(mode="json")})


def entry_for(item: Happening, claim: Claim, verdict: Any, text: str) -> TimelineEntry:
    """A line of the timeline that rests on a claim."""
    hosts = dict.fromkeys([item.host] if item.host else [])
    return TimelineEntry(
        time=item.time,
        text=text,
        evidence=claim.evidence,
        techniques=claim.techniques if verdict == "suspicious" else (),
        hosts=tuple(hosts),
        platforms=tuple(dict.fromkeys(event.platform.value for event in item.events)),
        until=item.until if item.until > item.time else None,
        verdict=verdict,
        claim=claim.id,
    )
