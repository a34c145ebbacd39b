"""Columns through the pipeline: whether every name is there, every function known and every comparison sensible."""

from collections.abc import Iterable, Mapping, Sequence

from ..query import Code, Diagnostic, Severity
from ..s1ql.schema import Field as Column
from ..syntax import did_you_mean
from .ast import (
    And,
    Anywhere,
    Arithmetic,
    Call,
    Choice,
    Compare,
    Expression,
    Field,
    FreeText,
    Named,
    Not,
    Or,
    Present,
    Test,
    Value,
    ValueKind,
)
from .comparisons import compared, escape_problem, tested
from .functions import AGGREGATES, INSTEAD, SCALARS, Function
from .printer import label
from .schema import by_older_name, fields

_LITERAL_TYPES = {
    ValueKind.STRING: "string",
    ValueKind.NUMBER: "int",
    ValueKind.BOOLEAN: "bool",
    ValueKind.NULL: "any",
}


class Judge:
    """Reads a query command by command and gathers what it finds."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.findings: list[Diagnostic] = []
        self.used: list[str] = []
        """Fields of the event that the query reads, in order."""
        self._made: dict[str, Column] = {}
        self._whole_event = True
        """Whether the fields of the event are still there beside those that commands have made."""
        self._first = False
        self._of_others = False
        """Whether the first filter asks for the events of other products, whose fields are not known here."""

    def condition(self, node: Expression, *, first: bool) -> None:
        """Judge a filter; only the first one searches the text of the whole event."""
        self._first = first
        self._of_others = self._of_others or _asks_for_others(node)
        self.expression(node)
        self._first = False

    def add(self, items: Iterable[Named]) -> None:
        """Judge `let`: each column may use those before it."""
        for item in items:
            self._made[label(item)] = self._column(item)

    def replace(self, items: Sequence[Named]) -> None:
        """Judge `columns`."""
        made = {label(item): self._column(item) for item in items}
        self._made, self._whole_event = made, False

    def group(self, aggregates: Sequence[Named], by: Sequence[Named]) -> None:
        """Judge `group`."""
        keys = {label(item): self._column(item) for item in by}
        values = {label(item): self._column(item, grouped=True) for item in aggregates}
        self._made, self._whole_event = keys | values, False

    def expression(self, node: Expression) -> str:
        """Judge an expression outside `group`; its type: string, int, bool, timestamp, list or any."""
        return self._expression(node, grouped=False)

    def _column(self, item: Named, *, grouped: bool = False) -> Column:
        kind = self._expression(item.expression, grouped=grouped)
        known = self._known(item.expression.name) if isinstance(item.expression, Field) else None
        return Column(label(item), known.type, known.values, known.inferred) if known else Column(label(item), kind)

    def _expression(self, node: Expression, *, grouped: bool) -> str:
        match node:
            case Value():
                self._escapes(node)
                return _LITERAL_TYPES[node.kind]
            case Field():
                if grouped:
                    message = f"{node.name} is neither counted nor a key of the group"
                    hint = f"write any({node.name}), or add it behind by"
                    self._find("bad_operator", message, node.start, node.end, hint)
                return self._field(node)
            case Call():
                return self._call(node, grouped)
            case Arithmetic(left=left, right=right):
                kinds = [self._expression(part, grouped=grouped) for part in (left, right)]
                for part, kind in zip((left, right), kinds, strict=True):
                    if kind in ("string", "bool", "enum", "list") and not isinstance(part, Field):
                        message = f"{node.operation} takes numbers"
                        self._find("type_mismatch", message, part.start, part.end, "number(...) makes one")
                return "int"
            case Choice(condition=condition, yes=yes, no=no):
                self._expression(condition, grouped=grouped)
                kinds = [self._expression(part, grouped=grouped) for part in (yes, no)]
                return kinds[0] if kinds[0] == kinds[1] else "any"
            case Anywhere() | FreeText():
                if not self._first:
                    message = "the text of the whole event is searched in the first filter alone"
                    self._find("bad_operator", message, node.start, node.end, "name a field")
                return "any"
            case _:
                self._logic(node, grouped=grouped)
                return "bool"

    def _logic(self, node: Compare | Test | Present | And | Or | Not, *, grouped: bool) -> None:
        match node:
            case Compare(left=left, right=right):
                self._expression(left, grouped=grouped)
                if isinstance(right, Field) and self._known(right.name) is None and self._known_field(left):
                    hint = f'write "{right.name}"'
                    self._find("unknown_column", f"there is no field {right.name}", right.start, right.end, hint)
                    return
                self._expression(right, grouped=grouped)
                self.findings += compared(node, self._subject(left), self._subject(right))
                self._null(node)
            case Test(subject=subject, values=values):
                self._expression(subject, grouped=grouped)
                for value in values:
                    self._escapes(value)
                self.findings += tested(node, self._subject(subject), self._text)
            case Present(field=field):
                self._field(field)
            case Not(part=part):
                self._expression(part, grouped=grouped)
            case Or(parts=parts):
                for part in parts:
                    if isinstance(part, And) and not part.bracketed:
                        message = "and beside or without brackets; here and is taken first"
                        hint = "put brackets around what belongs together"
                        self._find("ambiguous", message, part.start, part.end, hint, "warning")
                    self._expression(part, grouped=grouped)
            case And(parts=parts):
                for part in parts:
                    self._expression(part, grouped=grouped)

    def _null(self, node: Compare) -> None:
        null = isinstance(node.right, Value) and node.right.kind is ValueKind.NULL
        if null and isinstance(node.left, Field) and node.left.name not in self._made:
            message = f"{node.left.name} = null finds nothing before a command has made {node.left.name}"
            hint = f"write !({node.left.name} = *)" if node.sign == "=" else f"write {node.left.name} = *"
            self._find("silent_zero", message, node.start, node.end, hint, "warning")

    def _known_field(self, node: Expression) -> bool:
        return isinstance(node, Field) and self._known(node.name) is not None

    def _subject(self, node: Expression) -> Column | None:
        return self._known(node.name) if isinstance(node, Field) else None

    def _known(self, name: str) -> Column | None:
        return self._made.get(name) or (fields().get(name) if self._whole_event else None)

    def _field(self, node: Field) -> str:
        known = self._known(node.name)
        if known is None:
            self._unknown(node)
            return "any"
        if node.name not in self._made:
            self.used.append(node.name)
        return known.type

    def _unknown(self, node: Field) -> None:
        name = node.name
        if not self._whole_event:
            left = did_you_mean(name, self._made) or "columns here: " + ", ".join(self._made)
            carry = f"carry it along, as in group n=count(), {name}=any({name})"
            hint = carry if name in fields() else left
            self._find("unknown_column", f"no command before has left {name}", node.start, node.end, hint)
            return
        newer = by_older_name().get(name.lower())
        meant = f"{name} is the S1QL 1.0 name of {newer}" if newer else did_you_mean(name, (*fields(), *self._made))
        quoted = None if "." in name else f'write a text in quotes: "{name}"'
        severity: Severity = "warning" if self._of_others else "error"
        self._find("unknown_column", f"there is no field {name}", node.start, node.end, meant or quoted, severity)

    def _call(self, node: Call, grouped: bool) -> str:
        aggregate, scalar = AGGREGATES.get(node.name), SCALARS.get(node.name)
        inside = grouped and aggregate is None
        for argument in node.arguments:
            self._expression(argument, grouped=inside)
        end = node.start + len(node.name)
        if grouped and aggregate is not None:
            self._arity(node, aggregate)
            return _column_type(aggregate)
        if scalar is not None:
            self._arity(node, scalar)
            if node.name == "timebucket" and len(node.arguments) == 1:
                # Without a field it is the event's own time that is cut.
                self._expression(Field("event.time", node.start, end), grouped=grouped)
            return _column_type(scalar)
        if aggregate is not None:
            write = f"write | group {node.name}(...)"
            self._find("bad_operator", f"{node.name} counts rows and stands in group alone", node.start, end, write)
            return "any"
        known: Mapping[str, Function] = {**SCALARS, **AGGREGATES} if grouped else SCALARS
        hint = INSTEAD.get(node.name.lower()) or did_you_mean(node.name, known)
        self._find("unknown_function", f"there is no function {node.name} in this subset", node.start, end, hint)
        return "any"

    def _arity(self, node: Call, function: Function) -> None:
        given = len(node.arguments)
        if function.fewest <= given <= function.most:
            return
        if function.fewest == function.most:
            takes = f"{function.fewest} argument{'s' if function.fewest != 1 else ''}"
        else:
            takes = f"{function.fewest} to {function.most} arguments"
        self._find("type_mismatch", f"{node.name} takes {takes}, not {given}", node.start, node.end)

    def _escapes(self, value: Value) -> None:
        problem = escape_problem(value, self._text)
        if problem is not None:
            self.findings.append(problem)

    def _find(
        self, code: Code, message: str, start: int, end: int, hint: str | None = None, severity: Severity = "error"
    ) -> None:
        self.findings.append(Diagnostic(code, severity, message, start, end, hint))


def _asks_for_others(node: Expression) -> bool:
    match node:
        case Compare(left=Field(name="dataSource.name"), sign="=", right=Value(text=text)):
            return text.lower() != "sentinelone"
        case Test(subject=Field(name="dataSource.name"), values=values):
            return any(value.text.lower() != "sentinelone" for value in values)
        case And(parts=parts) | Or(parts=parts):
            return any(map(_asks_for_others, parts))
        case _:
            return False


def _column_type(function: Function) -> str:
    return "int" if function.result == "number" else function.result
