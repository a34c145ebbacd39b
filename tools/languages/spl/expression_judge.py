"""What expressions of `where` and `eval` get wrong: types, and comparisons that are legal and never true."""

from collections.abc import Callable, Iterator
from typing import Literal

from ....knowledge.errors import UnsafeValueError
from ..query import Diagnostic
from ..values import block_of
from .ast import Binary, Call, Constant, Expression, Joined, Name, Unary
from .expressions import COMPARISONS, TRUTHS
from .literals import pattern_problem

Kind = Literal["condition", "value"]


class ExpressionJudge:
    """Judges one expression. `field` reports on a name between two offsets, `is_field` says whether one is known."""

    def __init__(
        self,
        text: str,
        field: Callable[[str, int, int], Iterator[Diagnostic]],
        is_field: Callable[[str], bool],
    ) -> None:
        self._text, self._field, self._is_field = text, field, is_field

    def run(self, item: Expression, wanted: str) -> Iterator[Diagnostic]:
        """Every finding, given what the place asks for: `condition` or `value`."""
        yield from self._wanted(item, wanted)
        yield from self._inside(item)

    def _wanted(self, item: Expression, wanted: str) -> Iterator[Diagnostic]:
        kind = _kind(item)
        if kind == wanted or (isinstance(item, Call) and item.function in ("if", "case", "coalesce", "nullif")):
            return
        if isinstance(item, Constant) and item.value is None:
            return
        if wanted == "condition":
            message, hint = "this is a value, not a condition", "compare it with something"
        else:
            message, hint = "a truth value cannot be kept in a field", 'write if(..., "yes", "no")'
        yield Diagnostic("type_mismatch", "error", message, item.start, item.end, hint)

    def _inside(self, item: Expression) -> Iterator[Diagnostic]:
        match item:
            case Constant():
                return
            case Name(name=name):
                yield from self._field(name, item.start, item.end)
            case Unary(operator="NOT", operand=operand):
                yield from self.run(operand, "condition")
            case Unary(operand=operand):
                yield from self.run(operand, "value")
            case Joined(operands=operands):
                for operand in operands:
                    yield from self.run(operand, "condition")
            case Binary(operator=operator) if operator in COMPARISONS:
                yield from self._comparison(item)
            case Binary(operator=".", left=Name(name=first), right=Name(name=second)) if not (
                self._is_field(first) and self._is_field(second)
            ):
                dotted = f"{first}.{second}"
                message = f"outside single quotes the dot joins two fields; {dotted} is not read as one field"
                yield Diagnostic("silent_zero", "warning", message, item.start, item.end, f"write '{dotted}'")
            case Binary(left=left, right=right):
                yield from self.run(left, "value")
                yield from self.run(right, "value")
            case Call():
                yield from self._call(item)

    def _comparison(self, item: Binary) -> Iterator[Diagnostic]:
        left, right = item.left, item.right
        if isinstance(left, Constant) and isinstance(right, Constant):
            yield self._constants(item, left)
            return
        if item.operator in ("=", "!="):
            for one, other in ((left, right), (right, left)):
                yield from self._never_equal(one, other)
        if isinstance(left, Name) and isinstance(right, Name) and not self._is_field(right.name):
            message = f"{right.name} is read as a field here"
            hint = f'a value stands in double quotes: "{right.name}"'
            yield Diagnostic("silent_zero", "warning", message, right.start, right.end, hint)
            yield from self._inside(left)
            return
        yield from self.run(left, "value")
        yield from self.run(right, "value")

    def _constants(self, item: Binary, left: Constant) -> Diagnostic:
        name = left.value if isinstance(left.value, str) else None
        hint = f"a field stands bare or in single quotes: '{name}'" if name else None
        message = "this compares two values; double quotes make a value of what stands in them"
        return Diagnostic("silent_zero", "warning", message, item.start, item.end, hint)

    def _never_equal(self, one: Expression, other: Expression) -> Iterator[Diagnostic]:
        if not isinstance(one, Constant) or not isinstance(one.value, str):
            return
        text = one.value
        if "*" in text:
            pattern = text.replace("%", "\\%").replace("*", "%")
            hint = f'write like(field, "{pattern}"), or compare with search'
            message = "= compares literally here; * is a wildcard in search alone"
            yield Diagnostic("silent_zero", "warning", message, one.start, one.end, hint)
        if isinstance(other, Call) and other.function in ("lower", "upper"):
            changed = text.lower() if other.function == "lower" else text.upper()
            if changed != text:
                message = f"{other.function}() never gives this text"
                yield Diagnostic("silent_zero", "warning", message, one.start, one.end, f'write "{changed}"')

    def _call(self, item: Call) -> Iterator[Diagnostic]:
        arguments = item.arguments
        match item.function, arguments:
            case "if", (condition, *values):
                yield from self.run(condition, "condition")
                for value in values:
                    yield from self._inside(value)
            case "case", _:
                for index, argument in enumerate(arguments):
                    yield from self.run(argument, "condition") if index % 2 == 0 else self._inside(argument)
                if len(arguments) % 2:
                    message = "case needs a value behind each condition"
                    yield Diagnostic("type_mismatch", "error", message, item.start, item.end)
            case "in", (_, *values):
                for value in values:
                    yield from self._never_equal(value, arguments[0])
                for argument in arguments:
                    yield from self._inside(argument)
            case "like", (_, Constant(value=str(pattern))) if "*" in pattern and "%" not in pattern:
                message = "like has the wildcards % and _; * is an asterisk"
                hint = f'write "{pattern.replace("*", "%")}"'
                yield Diagnostic("silent_zero", "warning", message, arguments[1].start, arguments[1].end, hint)
                yield from self._inside(arguments[0])
            case "match", (_, Constant(value=str(pattern))):
                yield from self._pattern(pattern, arguments[1])
                yield from self._inside(arguments[0])
            case "replace", (_, Constant(value=str(pattern)), _):
                yield from self._pattern(pattern, arguments[1])
                for argument in arguments:
                    yield from self._inside(argument)
            case "cidrmatch", (Constant(value=value), address):
                yield from self._block(value, arguments[0])
                yield from self._inside(address)
            case _:
                for argument in arguments:
                    yield from self._inside(argument)

    def _pattern(self, pattern: str, place: Expression) -> Iterator[Diagnostic]:
        problem = pattern_problem(pattern)
        if problem is not None:
            yield Diagnostic("bad_value", "error", problem, place.start, place.end)

    def _block(self, value: object, place: Expression) -> Iterator[Diagnostic]:
        try:
            block_of(str(value))
        except UnsafeValueError:
            message = f"{value!r} is not a block of addresses"
            hint = 'write cidrmatch("10.0.0.0/8", field)'
            yield Diagnostic("bad_value", "error", message, place.start, place.end, hint)


def _kind(item: Expression) -> Kind:
    match item:
        case Constant(value=bool()):
            return "condition"
        case Unary(operator="NOT"):
            return "condition"
        case Joined():
            return "condition"
        case Binary(operator=operator) if operator in COMPARISONS:
            return "condition"
        case Call(function=function) if function in TRUTHS:
            return "condition"
        case _:
            return "value"
