"""Sigma rules as hunts: one rule, one hunt, or one sentence on why not."""

import re
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from sigma.rule import SigmaRule

from ...knowledge import attack
from ...knowledge.errors import ContentError
from ..hunts import Hunt, HuntSearch, Parameter, Signal
from ..languages.search import All, AnyOf, Condition, Expression, Not, Operator
from ..languages.views import views_for
from ..library import missing_attributes
from .conditions import Translation, Unknown, conjunction, kinds_of, merged, where_of
from .mapping import EventKind, LogSource, SigmaMapping, mapping
from .rules import RuleFile, read_rules

LICENCE = "Detection Rule License (DRL) 1.1"
"""Of SigmaHQ's rules, which say so outside of the rule files; a rule's own `license` goes before it."""
_SYSTEMS = ("windows", "linux", "macos")
_SIGNALS: Mapping[str, Signal] = {
    "CRITICAL": "strong", "HIGH": "strong", "MEDIUM": "medium", "LOW": "context", "INFORMATIONAL": "context"
}  # fmt: skip
_NO_BENIGN = frozenset({"unknown", "none", "unlikely", "-", ""})


@dataclass(frozen=True, slots=True)
class Imported:
    """A rule that became a hunt."""

    path: Path
    line: int
    title: str
    hunt: Hunt
    remarks: tuple[str, ...] = ()
    """What the hunt leaves out of the rule, or reads in another way."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A rule that cannot become a hunt, and why in one sentence."""

    path: Path
    line: int | None
    title: str
    why: str
    broken: bool = False
    """The file itself is wrong, so that no tool could read it."""


def import_file(path: Path) -> list[Imported | Refused]:
    """Every rule of a file as a hunt, or why not. Hunts have ids by title; `unique_ids` tells equal ones apart.

    Raises:
        UsageError: the file cannot be read at all.
    """
    try:
        rules = read_rules(path)
    except ContentError as exc:
        return [Refused(path, exc.line, path.stem, exc.problem, broken="correlation rule" not in exc.problem)]
    return [_import(found, mapping()) for found in rules]


def _import(found: RuleFile, sigma: SigmaMapping) -> Imported | Refused:
    rule = found.rule
    log = rule.logsource
    source = sigma.source(log.product, log.category, log.service)
    if source is None:
        named = " ".join(filter(None, (log.product, log.category, log.service)))
        return Refused(found.path, found.line_of("logsource"), rule.title, f"no event class has the log source {named}")
    try:
        read = _Reading(sigma, source)
        where = read.expression(rule)
    except _UnreadableError as exc:
        return Refused(found.path, found.line_of_field(exc.field), rule.title, str(exc))
    parameter: Literal["host", "user"] = "host" if source.os is not None else "user"
    blind, benign = _unique(read.blind), _unique(read.benign)
    hunt = _hunt(rule, read.kind, where, parameter, blind=blind, benign=benign)
    if (nowhere := _nowhere(hunt.searches[0])) is not None:
        return Refused(found.path, found.line_of("detection"), rule.title, nowhere)
    return Imported(
        found.path, found.line_of("title"), rule.title, hunt, tuple(dict.fromkeys(read.blind + read.benign))
    )


class _UnreadableError(Exception):
    """The rule's condition cannot be stated; `field` is the Sigma field that stands in the way."""

    def __init__(self, why: str, field: str | None = None) -> None:
        super().__init__(why)
        self.field = field


class _Reading:
    """The conditions of one rule, with what is lost on the way."""

    def __init__(self, sigma: SigmaMapping, source: LogSource) -> None:
        self._sigma, self._source = sigma, source
        self._kinds: list[EventKind] = []
        self.blind: list[str] = []
        self.benign: list[str] = []

    @property
    def kind(self) -> EventKind:
        """The kind of the rule's events."""
        return self._kinds[0]

    def expression(self, rule: SigmaRule) -> Expression:
        """The rule's conditions, any of which may hold, within what its log source means.

        Raises:
            _UnreadableError: one cannot be stated.
        """
        parts = [self._one(condition.parsed) for condition in rule.detection.parsed_condition]
        if len({kind.event_class for kind in self._kinds}) > 1:
            raise _UnreadableError("its conditions are of several event classes")
        return _framed(parts[0] if len(parts) == 1 else merged(AnyOf(of=tuple(parts))), self.kind, self._source)

    def _one(self, tree: Any) -> Expression:
        kind, kinds, why = kinds_of(self._source, tree)
        if kind is None:
            raise _UnreadableError(why, "EventID")
        self._kinds.append(kind)
        tables = [self._sigma.fields[name] for name in {one.fields: None for one in (kind, *kinds.values())}]
        work = Translation(self._sigma, dict(ChainMap(*(dict(table) for table in tables))), kinds)
        whole = work.of(tree)
        if isinstance(whole, Unknown):
            raise _UnreadableError(str(whole), whole.field)
        if isinstance(whole, bool):
            raise _UnreadableError("nothing is left of its condition")
        self.blind += [f"left out of the rule's alternatives: {part}" for part in work.dropped_alternatives]
        self.blind += work.notes
        self.benign += [f"the rule also filters by {part}; such events are shown" for part in work.dropped_filters]
        return whole


def _unique(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentence[:1].upper() + sentence[1:] for sentence in sentences))


def _framed(where: Expression, kind: EventKind, source: LogSource) -> Expression:
    """The rule's condition with what its log source means: a host to ask about, the system, the kind of event."""
    parts: list[Expression] = []
    if source.os is None:
        asked = (Condition(field=name, op=Operator.EQ, values=("$user",)) for name in ("user.name", "actor.user.name"))
        parts.append(AnyOf(of=tuple(asked)))
    else:
        parts.append(Condition(field="device.hostname", op=Operator.EQ, values=("$host",)))
        # Platforms that do not tell the system apart keep the rest of the condition.
        others = tuple(system for system in _SYSTEMS if system != source.os)
        parts.append(Not(of=Condition(field="device.os", op=Operator.EQ, values=others)))
    if source.kind is not None:
        parts += where_of(kind)
    whole = conjunction([*parts, where])
    assert not isinstance(whole, bool)
    return whole


def _nowhere(search: HuntSearch) -> str | None:
    """Why no platform can run the search; None when one can."""
    carried = {view.platform for view in views_for(search.event_class)}
    lacking = missing_attributes(search)
    if not carried:
        return f"no platform records {search.event_class}"
    if not carried <= set(lacking):
        return None
    names = sorted({name for missing in lacking.values() for name in missing})
    return f"no platform carries {', '.join(names) or 'such values'} for {search.event_class}"


def _hunt(
    rule: SigmaRule,
    kind: EventKind,
    where: Expression,
    parameter: Literal["host", "user"],
    *,
    blind: tuple[str, ...],
    benign: tuple[str, ...],
) -> Hunt:
    title = rule.title.strip()
    search = HuntSearch(
        id="rule",
        event_class=kind.event_class,
        where=where,
        signal=_SIGNALS.get(rule.level.name if rule.level else "", "medium"),
        says=title,
    )
    given = [text.strip() for text in rule.falsepositives or () if text.strip().casefold() not in _NO_BENIGN]
    return Hunt(
        id=f"sigma.{slug(title)}",
        title=title,
        domain=kind.domain,
        about=" ".join((rule.description or "").split()),
        techniques=_techniques(rule),
        tags=_tags(rule),
        questions=_questions(title, parameter),
        parameters={parameter: Parameter(type=parameter)},
        searches=(search,),
        blind=blind,
        benign=tuple(dict.fromkeys([*given, *benign])),
        attribution=attribution(rule),
    )


def slug(title: str) -> str:
    """A title as the last part of a hunt id."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "rule"


def attribution(rule: SigmaRule) -> str:
    """Whose rule it is and under which licence: the words that must stay with it."""
    number = f" {rule.id}" if rule.id else ""
    return f"Sigma rule{number} “{rule.title}” by {rule.author or 'an unnamed author'}, {rule.license or LICENCE}"


def unique_ids(results: Iterable[Imported | Refused], taken: Mapping[str, str]) -> list[Imported | Refused]:
    """The results with every hunt id used once: a second rule of the same title gets a part of its number.

    Args:
        results: what `import_file` gave, of any number of files.
        taken: ids of hunts that are there already, with their attribution; a rule keeps its own id.
    """
    used = dict(taken)
    found: list[Imported | Refused] = []
    for result in results:
        if isinstance(result, Imported):
            hunt = result.hunt
            if used.get(hunt.id, hunt.attribution) != hunt.attribution:
                number = re.search(r"Sigma rule ([0-9a-f]{8})", hunt.attribution)
                mark = number[1] if number else slug(result.path.stem)
                hunt = hunt.model_copy(update={"id": f"{hunt.id}-{mark}"})
                result = Imported(result.path, result.line, result.title, hunt, result.remarks)
            used[hunt.id] = hunt.attribution
        found.append(result)
    return found


def _techniques(rule: SigmaRule) -> tuple[str, ...]:
    named = [tag.name.upper() for tag in rule.tags if tag.namespace == "attack" and re.match(r"t\d{4}", tag.name)]
    return tuple(dict.fromkeys(found.id for name in named if (found := attack.current(name))))


def _tags(rule: SigmaRule) -> tuple[str, ...]:
    tactics = [
        tag.name.replace("-", " ").replace("_", " ")
        for tag in rule.tags
        if tag.namespace == "attack" and not re.match(r"[tgs]\d{4}", tag.name)
    ]
    return tuple(dict.fromkeys(["sigma", *tactics]))


def _questions(title: str, parameter: str) -> tuple[str, ...]:
    text = title[:1].lower() + title[1:] if title[1:2].islower() else title
    return (f"any sign of {text}", f"show me {text} {'on' if parameter == 'host' else 'by'} {{{parameter}}}")


def to_yaml(hunt: Hunt) -> str:
    """The hunt as the file that `hunts check` reads."""
    search = hunt.searches[0]
    content: dict[str, Any] = hunt.model_dump(mode="json", exclude_defaults=True, exclude={"searches", "source"})
    content["parameters"] = {name: {"type": parameter.type} for name, parameter in hunt.parameters.items()}
    content["searches"] = [
        {
            "id": search.id,
            "class": search.event_class.value,
            "signal": search.signal,
            "says": search.says,
            "where": short_form(search.where),
        }
    ]
    order = ["id", "title", "domain", "about", "techniques", "tags", "questions", "parameters", "searches"]
    rest = [key for key in content if key not in order]
    ordered = {key: content[key] for key in (*order, *rest) if key in content}
    text: str = yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return f"# {hunt.attribution}\n{text}"


class _Dumper(yaml.SafeDumper):
    """Conditions on one line each, as people write them."""


class _Inline(dict[str, Any]):
    pass


_Dumper.add_representer(_Inline, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, True))


def short_form(expression: Expression | None) -> Any:
    """An expression as hunt files write it: the other direction of `hunts.parse_expression`."""
    match expression:
        case None:
            return None
        case Condition(op=Operator.EXISTS):
            return _Inline(field=expression.field, exists=True)
        case Condition(values=values):
            plain: Sequence[Any] | Any = values[0] if len(values) == 1 else list(values)
            return _Inline({"field": expression.field, expression.op.value: plain})
        case Not(of=Condition(op=Operator.EXISTS) as inner):
            return _Inline(field=inner.field, exists=False)
        case Not(of=inner):
            return {"not": short_form(inner)}
        case All(of=parts):
            return {"all": [short_form(part) for part in parts]}
        case AnyOf(of=parts):
            return {"any": [short_form(part) for part in parts]}
