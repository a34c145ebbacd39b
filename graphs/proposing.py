"""Which response action follows from what was found. Proposals only: a person decides, another process acts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..tools.evidence import claims as claiming
from ..tools.evidence.records import Declined, Evidence, Proposal
from ..tools.evidence.story_facts import Happening
from ..tools.evidence.story_links import STRONG
from ..tools.languages.query import Platform
from ..tools.languages.vocabulary import EventClass
from ..tools.response import facts_from_event
from .draft import only_collects
from .orders import SUPPORTED, action_of, orders
from .state import Deps, Scope

if TYPE_CHECKING:
    from .draft import Draft

TENANT_FIELDS: Mapping[Platform, tuple[str, ...]] = {
    Platform.FALCON: ("cid",),
    Platform.SENTINELONE: ("siteId", "accountId"),
    Platform.DEFENDER: ("TenantId",),
}
"""Where a vendor's device record names its tenant."""

HARM = "this asks for something that deceives or harms somebody; tracehound only investigates and proposes response actions"

_TARGETS = ("email", "ip", "domain", "url", "hash", "file", "process")
"""Kinds of entities, besides hosts and accounts, that a response action can be about."""


def propose_isolation(draft: "Draft", scope: Scope, deps: Deps) -> None:
    """Propose to isolate the host where the story began, when strong evidence stands on it and the question is about it.

    A story that a question about something else leads to is told, and acted upon when it is asked about.
    """
    if not _asked_about(draft.story.entries, scope, deps):
        return
    about = {*scope.hosts, *(anchor.host for anchor in draft.story.anchors)}
    for host in _suspects(draft.story.entries):
        if host not in about:
            continue
        device = _device(host, deps)
        if device is None:
            continue
        item, platform = device
        grounds = [entry for entry in draft.story.entries if entry.host == host and entry.signal >= STRONG]
        says = list(
            dict.fromkeys(label.says for entry in grounds for label in entry.labels if label.signal == "strong")
        )
        reason = f"{len(grounds)} events of strong suspicion on {host}: {', '.join(says[:3]).lower()}"
        cited = tuple(dict.fromkeys(entry.events[0].evidence for entry in grounds))[:8]
        proposal = _propose("isolate_host", item, platform, reason, cited, deps, requester="copilot")
        if isinstance(proposal, Proposal):
            draft.proposals.append(proposal)
            return
        draft.suggestions.append(f"isolation of {host} was not proposed: {proposal[1]}")


def _asked_about(entries: tuple[Happening, ...], scope: Scope, deps: Deps) -> bool:
    """Whether the question asks for such behaviour or for whatever happened: looking for something else proposes nothing."""
    hunts = [deps.library.hunts[name] for name in scope.hunts if name in deps.library.hunts]
    if not hunts or only_collects(hunts[0]):
        return True
    asked = {hunt.id for hunt in hunts}
    return any(label.hunt in asked and label.signal == "strong" for item in entries for label in item.labels)


def _suspects(entries: tuple[Happening, ...]) -> list[str]:
    """Hosts with strong evidence of more than one behaviour, the first one taken over first.

    One tool of remote administration is an administrator's day as often as an attacker's.
    """
    behaviours: dict[str, set[str]] = {}
    for entry in entries:
        if entry.host and entry.signal >= STRONG:
            strong = {label.says for label in entry.labels if label.signal == "strong"}
            behaviours.setdefault(entry.host, set()).update(strong)
    return [host for host, found in behaviours.items() if len(found) > 1]


def refused_acts(question: str) -> str:
    """The words that name what is ordered and cannot be done, with what can; empty when everything can."""
    acts = list(dict.fromkeys(order.act for order in orders(question) if not order.act.supported))
    if not acts:
        return ""
    said = " and ".join(f"{act.says}{f' ({act.action})' if act.action else ''}" for act in acts)
    can = " and ".join(SUPPORTED)
    return f"{said} is refused: not supported yet, nothing was done; supported are {can}; "


def propose_named(question: str, scope: Scope, draft: "Draft", deps: Deps) -> None:
    """Propose the action that the analyst asked for by name; a refusal is said with its reason."""
    action = action_of(question)
    beyond = refused_acts(question)
    about = ", ".join(
        dict.fromkeys(
            (*scope.hosts, *scope.users, *(value for kind in _TARGETS for value in scope.slots.get(kind, ())))
        )
    )
    if action not in SUPPORTED:
        on = f"asked for on {about}" if about else "no target was named"
        reason = (
            f"{beyond}{on}" if beyond else "no response action was recognised; known are isolate and release of a host"
        )
        draft.declined = Declined(reason=reason)
        return
    if not scope.hosts:
        draft.declined = Declined(reason=f"{action} needs the name of a host, such as: isolate HOST")
        return
    told, refusals = [], []
    for host in scope.hosts:
        device = _device(host, deps)
        if device is None:
            refusals.append((host, f"no connected platform has a sensor on {host} that could carry out {action}", ""))
            continue
        item, platform = device
        made = _propose(action, item, platform, f"asked for by {deps.user}", (item.id,), deps, requester=deps.user)
        if isinstance(made, Proposal):
            draft.proposals.append(made)
            told.append(f"{action} on {host} ({platform.value}) is proposed as {made.id} and waits for a person.")
        else:
            refused, why = made
            refusals.append((host, f"{why}, recorded as {refused.id}", refused.id))
    if refusals and not told and not scope.hunts:
        draft.declined = Declined(reason="; ".join(why for _, why, _ in refusals), refused=refusals[0][2])
        return
    for host, why, _ in refusals:
        draft.claims.append(claiming.refusal(f"C{len(draft.claims) + 1}", host, why))
        told.append(f"{draft.claims[-1].text}.")
    if beyond:
        told.append(f"{beyond[:1].upper()}{beyond[1:].rstrip('; ')}.")
    draft.summary = " ".join((*told, draft.summary)).strip()


def _device(host: str, deps: Deps) -> tuple[Evidence, Platform] | None:
    """The device record of a host on a platform that can act, Falcon first, then SentinelOne, then Defender."""
    records = [
        item
        for item in deps.workspace.evidence.values()
        if item.event_class == EventClass.DEVICE and item.host == host and item.fields.get("device.uid")
    ]
    for platform in TENANT_FIELDS:
        for item in records:
            if item.platform == platform.value:
                return item, platform
    return None


def _propose(
    action: str, item: Evidence, platform: Platform, reason: str, cited: tuple[str, ...], deps: Deps, *, requester: str
) -> Proposal | tuple[Proposal, str]:
    named = (str(item.raw[name]) for name in TENANT_FIELDS[platform] if item.raw.get(name))
    tenant = next(named, deps.estate.tenants.get(platform, ""))
    facts = facts_from_event(item.fields, platform=platform, tenant=tenant, seen_in=(item.id,))
    proposal, decision = deps.desk.consider(
        action,
        facts,
        reason=reason,
        evidence=cited,
        case_id=deps.workspace.case.id,
        requester=requester,
    )
    if proposal.status == "denied":
        return proposal, f"{action} on {facts.hostname} is refused: {decision.reason} ({decision.rule})"
    return proposal
