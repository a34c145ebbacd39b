"""The answer in the making, and the story that it is made from."""

from dataclasses import dataclass, field
from time import monotonic

from ..tools.evidence.records import (
    Claim,
    Declined,
    Gap,
    Proposal,
    RunbookHit,
    TimelineEntry,
    Triage,
    Verification,
)
from ..tools.evidence.story import Focus, Story
from ..tools.hunts import Hunt
from ..tools.languages.vocabulary import EventClass
from ..tools.library import HuntLibrary
from .state import Deps, Scope


@dataclass
class Draft:
    """The answer in the making; it lives in the workspace, not in the graph's state."""

    story: Story = field(default_factory=Story)
    claims: list[Claim] = field(default_factory=list)
    entries: list[TimelineEntry] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    runbooks: list[RunbookHit] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    verification: Verification = field(default_factory=Verification)
    triage: Triage | None = None
    declined: Declined | None = None
    summary: str = ""
    suggestions: list[str] = field(default_factory=list)
    followed: list[Claim] = field(default_factory=list)
    """What goes with the story by a hunt's relations."""
    counted: set[str] = field(default_factory=set)
    """Rows that an amount was told of."""
    started: float = field(default_factory=monotonic)


def focus(scope: Scope, library: HuntLibrary) -> Focus:
    """What the story is assembled around. A hunt that only collects (an overview) asks for no behaviour in particular."""
    named = [library.hunts[hunt] for hunt in scope.hunts if hunt in library.hunts]
    brought = {name for hunt in named for name in hunt.relations.include}
    # A hunt that another brings along to count by is not asked for as an overview.
    asked = [hunt for hunt in named if not (hunt.id in brought and only_collects(hunt))]
    telling = {hunt.id for hunt in asked if not only_collects(hunt)}
    return Focus(
        hosts=frozenset(scope.hosts),
        users=frozenset(scope.users),
        addresses=frozenset(scope.addresses),
        names=frozenset(scope.names),
        findings=frozenset(scope.alerts),
        hunts=frozenset(telling),
        broad=len(telling) < len(asked),
        outbound=scope.outbound,
        since=scope.window.start,
    )


def asks_for_texts(scope: Scope, library: HuntLibrary) -> bool:
    """Whether the question, by the hunt that comes nearest to it, asks what texts say rather than what happened."""
    best = next(iter(scope.hunts), "")
    return best in library.hunts and library.hunts[best].texts


def only_collects(hunt: Hunt) -> bool:
    """Whether a hunt reads what happened without saying what would be suspicious; alerts are suspicious anywhere."""
    own = {search.signal for search in hunt.searches if search.event_class is not EventClass.FINDING}
    return "context" in own and not own & {"strong", "medium"}


def story(scope: Scope, deps: Deps) -> Story:
    """The story as far as it is known now."""
    return deps.workspace.story(focus(scope, deps.library))
