"""What an investigation leaves behind: evidence, queries, claims, gaps, proposals and the answer.

These are the public models; `Answer.model_dump(mode="json")` is the JSON of `tracehound ask --json`, and its keys are
a promise to users. Times are aware UTC and are written with a trailing `Z`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer


def iso_z(moment: datetime | None) -> str | None:
    """UTC with milliseconds and a trailing Z; microseconds are kept when they are not whole milliseconds."""
    if moment is None:
        return None
    spec = "milliseconds" if moment.microsecond % 1000 == 0 else "microseconds"
    return moment.astimezone(UTC).isoformat(timespec=spec).replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(iso_z, return_type=str, when_used="json")]


class Record(BaseModel):
    """Base of the public models: unknown keys are an error, values do not change after they are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WindowRecord(Record):
    """A resolved UTC window and the words that it came from."""

    start: Time
    end: Time
    phrase: str = ""


class DiagnosticRecord(Record):
    """One finding of a query check, see `tools.languages.query.Diagnostic`."""

    code: str
    severity: str
    message: str
    start: int
    end: int
    hint: str | None = None


class CheckRecord(Record):
    """Verdict on a query before it was sent."""

    ok: bool
    diagnostics: tuple[DiagnosticRecord, ...] = ()


class QueryRecord(Record):
    """One query: what was asked, what was sent, what came back, and how complete it is."""

    id: str
    platform: str
    language: str
    collection: str
    text: str
    check: CheckRecord
    status: Literal["ok", "error", "refused", "unsupported"]
    rows: int = 0
    kept: int | None = None
    """Rows that met the search and became evidence, where the query had to return more than was asked for."""
    total: int | None = None
    complete: bool = False
    incomplete_because: str | None = None
    window: WindowRecord
    hunt: str | None = None
    attempt: int = 1
    started: Time | None = None
    duration_ms: float = 0.0
    vendor_request_id: str | None = None
    error: str | None = None
    cannot_express: tuple[str, ...] = ()
    pages: int = 0
    retries: int = 0


class Evidence(Record):
    """One row of one query in a case, raw and normalised."""

    id: str
    """`E-` and the first 12 hex digits of `sha256`."""
    alias: str
    query: str
    platform: str
    collection: str = ""
    time: Time | None
    host: str | None
    user: str | None
    event_class: str = Field(serialization_alias="class", validation_alias="class")
    fields: dict[str, Any]
    raw: dict[str, Any]
    sha256: str

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class TimelineEntry(Record):
    """One line of the timeline; several rows of the same happening are one entry."""

    time: Time
    text: str
    evidence: tuple[str, ...]
    techniques: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    until: Time | None = None
    """Last time of a folded burst."""
    verdict: Literal["suspicious", "context", "benign"] = "suspicious"
    """`benign`: a look-alike that is shown because it was ruled out."""
    claim: str = ""


class Claim(Record):
    """A checkable statement. Prose is rendered from it; `verified` is the verifier's word, not the model's."""

    id: str
    kind: Literal["observation", "assessment", "gap", "recommendation"]
    subject: str
    predicate: str
    object: str
    evidence: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    text: str
    verified: bool = False
    why_not: str | None = None
    time: Time | None = None
    techniques: tuple[str, ...] = ()
    why_shown: str = ""
    """The verifier's word: `asked: ...`, `same host as C3`, `look-alike: same account as C3`; empty: not judged."""


class Note(Record):
    """An analyst's remark: evidence as rows are, hashed and cited."""

    id: str
    """`N-` and the first 12 hex digits of `sha256`."""
    alias: str
    author: str
    text: str
    written: Time
    evidence: tuple[str, ...] = ()
    """Rows that it is about."""
    time: Time | None = None
    """When what it tells happened, where the analyst says so; then it stands in the timeline."""
    sha256: str


class Verification(Record):
    """Count of claims by outcome."""

    claims: int = 0
    verified: int = 0
    assessments: int = 0
    gaps: int = 0
    uncited: int = 0
    failed: int = 0
    problems: tuple[str, ...] = ()
    """What views of the claims say otherwise than the claims; each counts in `failed`."""
    assessed: float = 0.0
    """Share of the sentences told (observations and assessments) that are only assessments."""


class Gap(Record):
    """Something that is not known, and why."""

    kind: Literal["not_queried", "capped", "failed", "retention", "no_telemetry", "unparsed", "clock"]
    text: str
    queries: tuple[str, ...] = ()


class RunbookHit(Record):
    """A runbook section that fits."""

    id: str
    title: str
    section: str
    score: float
    text: str


class Proposal(Record):
    """A response action that waits for a person."""

    id: str
    action: str
    platform: str
    target: dict[str, Any]
    reason: str
    evidence: tuple[str, ...]
    blast_radius: dict[str, Any] = Field(default_factory=dict)
    undo: str | None
    status: str
    decide_by: Time | None = None


class Declined(Record):
    """Why a question was not answered, and what would be."""

    reason: str
    nearest: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    refused: str = ""
    """The approval id under which the ledger holds the refusal, when policy refused an action."""


class Factor(Record):
    """One part of a triage score."""

    factor: str
    value: str
    """The text of a claim of the answer."""
    evidence: tuple[str, ...] = ()
    speaks: Literal["for", "against", "neither"] = "neither"
    """For or against the alert being true."""
    points: float | None = None
    """What this part adds to the score, where it is the first reason of its part."""
    most: float | None = None
    """The most that this part can add."""
    claim: str = ""


class Triage(Record):
    """Verdict on one alert."""

    alert: str
    verdict: Literal["true_positive", "benign", "unclear"]
    priority: Literal["Critical", "High", "Medium", "Low"]
    score: float = Field(ge=0, le=1)
    because: tuple[Factor, ...] = ()
    next_steps: tuple[str, ...] = ()
    ticket: str = ""


class Usage(Record):
    """What an answer cost."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    queries: int = 0
    wall_ms: int = 0


class Answer(Record):
    """The answer to one question: `tracehound.answer/1`."""

    schema_name: Literal["tracehound.answer/1"] = Field(
        default="tracehound.answer/1", serialization_alias="schema", validation_alias="schema"
    )
    case: str
    question: str
    model: str
    estate: str
    window: WindowRecord | None
    route: Literal["search", "alert", "explain", "runbook", "respond", "off_topic"]
    summary: str = ""
    queries: tuple[QueryRecord, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    claims: tuple[Claim, ...] = ()
    verification: Verification = Verification()
    runbooks: tuple[RunbookHit, ...] = ()
    gaps: tuple[Gap, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    declined: Declined | None = None
    triage: Triage | None = None
    usage: Usage = Usage()
    suggestions: tuple[str, ...] = ()
    """Next questions that fit."""
    about: tuple[str, ...] = ()
    """Hosts, accounts, addresses and names that the question was resolved to, with what its case added."""
    hunts: tuple[str, ...] = ()
    """Hunts that the question asked for, pivots left out."""
    notes: tuple[Note, ...] = ()
    """What analysts added to the case up to when this was written out."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """The public JSON object."""
        return self.model_dump(mode="json", by_alias=True)

    def to_markdown(self) -> str:
        """The answer as Markdown for a ticket; evidence text is neutralised."""
        from .exports.markdown import to_markdown

        return to_markdown(self)


def aliases(evidence: Sequence[Evidence]) -> dict[str, str]:
    """Evidence id to its short alias."""
    return {item.id: item.alias for item in evidence}
