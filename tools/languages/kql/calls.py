"""Calls of documented functions: the overload that fits, what the arguments must be, and what comes out."""

from collections.abc import Mapping, Sequence

from . import ast
from .naming import implied_name
from .rows import DYNAMIC, NUMBERS, UNKNOWN, Row, array_of, bag_of, plain
from .scalars import ScalarBinder, Several, Value
from .signatures import Match, Parameter, Signature, arguments_wanted, matched, widest

_WHOLE = frozenset({"any", "pack_array", "estimate_data_size"})
_BEHIND = frozenset({"arg_max", "arg_min", "argmax", "argmin"})
"""Functions that take * alone, and behind their first argument."""
_MOVING = frozenset({"rand", "new_guid", "row_number", "prev", "next"})
_COMMON = ("common", "common_or_dynamic", "common_orderable")


class CallBinder(ScalarBinder):
    """Binds calls by the signatures of `functions.json`."""

    def _signature_call(self, call: ast.Call, signature: Signature, row: Row | None) -> Value:
        kinds = [self._argument_kind(call, argument, row) for argument in call.arguments]
        match = matched(signature, kinds)
        if match is None:
            some = arguments_wanted(signature)
            self._report("bad_value", f"{call.name} takes {some} arguments, here are {len(kinds)}", call)
            return self._result(call, signature[0].result, kinds, None)
        self._judge(call, match, kinds, row)
        return self._result(call, match.overload.result, kinds, match)

    def _argument_kind(self, call: ast.Call, argument: ast.Node, row: Row | None) -> str:
        value = argument.value if isinstance(argument, ast.Named) else argument
        if isinstance(value, ast.Star):
            alone, behind = len(call.arguments) == 1, value is not call.arguments[0]
            if not ((alone and call.name in _WHOLE) or (behind and call.name in _BEHIND) or call.name == "take_any"):
                self._report("bad_value", f"{call.name} does not take * here", value)
            return UNKNOWN
        return self._scalar(value, row)

    def _judge(self, call: ast.Call, match: Match, kinds: list[str], row: Row | None) -> None:
        """Whether the arguments fit the parameters that they meet."""
        if match.misfit is not None:
            wanted, found = match.places[match.misfit], kinds[match.misfit]
            argument = call.arguments[match.misfit]
            hint = "compare with ==" if isinstance(argument, ast.Named) else _cure(wanted, found)
            message = f"{call.name} takes {wanted.described} here, this is {plain(found)}"
            self._report("type_mismatch", message, argument, hint)
            return
        for place, argument in zip(match.places, call.arguments, strict=True):
            if place.must_be and not self._quiet:
                self._judge_form(call, place, argument, row)
        common = [kind for place, kind in zip(match.places, kinds, strict=True) if place.word in _COMMON[::2]]
        if common and _common(common, match.places[-1].word) is None:
            self._report("type_mismatch", f"{call.name} needs values of one type", call, "bring them to one type first")

    def _judge_form(self, call: ast.Call, place: Parameter, argument: ast.Node, row: Row | None) -> None:
        value = argument.value if isinstance(argument, ast.Named) else argument
        match place.must_be:
            case "column" if not isinstance(value, ast.Name | ast.Star):
                self._report("bad_value", f"{call.name} takes a column here", value)
            case "constant" if not self._constant(value, row):
                self._report("bad_value", f"{call.name} takes a constant here, not a value of each row", value)
            case "literal" if not isinstance(value, ast.Literal | ast.DynamicLiteral | ast.TypeOf):
                self._report("bad_value", f"{call.name} takes a value written out here, not an expression", value)
            case "literal" if isinstance(value, ast.Literal) and value.value == "":
                self._report("bad_value", f"{call.name} takes no empty text here", value)
        if place.values and isinstance(value, ast.Literal) and str(value.value).lower() not in place.values:
            known = ", ".join(sorted(place.values))
            hint = self._meant(str(value.value), place.values) or f"one of {known}"
            self._report("bad_value", f"{call.name} does not know {value.value!r}", value, hint)

    def _constant(self, node: ast.Node, row: Row | None) -> bool:
        """Whether an expression has one value for the whole query."""
        if isinstance(node, ast.Name):
            return row is None or (node.name not in row.columns and self._scope.find(node.name) is not None) or row.open
        if isinstance(node, ast.Call) and node.name in _MOVING:
            return False
        if isinstance(node, ast.Pipeline):
            return True
        return all(self._constant(child, row) for child in ast.children(node))

    def _result(self, call: ast.Call, rule: str, kinds: Sequence[str], match: Match | None) -> Value:
        """What a call yields, by the rule of its signature and the types of its arguments."""
        head, _, inner = rule.partition(":")
        match head:
            case "array":
                return array_of(_argument(kinds, inner) if inner.startswith("$") else inner or UNKNOWN)
            case "bag":
                return bag_of(dict.fromkeys(self._library.bags.get(inner, ()), "string"))
            case "pack":
                return bag_of(_packed(call.arguments, kinds))
            case "widest":
                return widest(kinds)
            case "common":
                places = match.places if match else ()
                shared = [kind for place, kind in zip(places, kinds, strict=False) if place.word in _COMMON]
                word = places[-1].word if places else "common"
                return _common(shared, word) or UNKNOWN
            case "promoted":
                return "long" if kinds and kinds[0] == "int" else _argument(kinds, "$1")
            case "percentile":
                kind = _argument(kinds, "$1")
                return {"int": "long", "decimal": "real"}.get(kind, kind)
            case "typeof":
                last = call.arguments[-1]
                return last.type if isinstance(last, ast.TypeOf) else UNKNOWN
            case "tuple":
                before = f"{call.name}_{(implied_name(call.arguments[0]) if call.arguments else None) or ''}"
                return Several(
                    tuple((f"{before}_{name}", kind) for name, kind in self._library.tuples[call.name].items())
                )
            case "any" | "table":
                return UNKNOWN
            case _ if head.startswith("$"):
                return _argument(kinds, head)
            case _:
                return head

    def _unknown_function(self, call: ast.Call) -> None:
        if call.name in self._library.aggregate:
            message = f"{call.name} is an aggregate and has no place here"
            self._report("unknown_function", message, call, "aggregates stand in summarize, make-series and top-nested")
            return
        known: Mapping[str, object] = {**self._library.scalar, **dict.fromkeys(self._scope.all_names())}
        self._report("unknown_function", f"there is no function {call.name}", call, self._meant(call.name, known))


def _argument(kinds: Sequence[str], place: str) -> str:
    index = int(place[1:]) - 1
    return kinds[index] if index < len(kinds) else UNKNOWN


def _common(kinds: Sequence[str], rule: str) -> str | None:
    """The one type of several values; None where a function needs one and there is none."""
    known = [kind for kind in kinds if kind != UNKNOWN]
    if not known:
        return UNKNOWN
    if len(known) < len(kinds):
        return UNKNOWN
    if rule == "common_or_dynamic":
        flat = [kind for kind in known if kind not in DYNAMIC]
        if not flat:
            return known[0] if all(kind == known[0] for kind in known) else "dynamic"
        known = flat
    if all(kind == known[0] for kind in known):
        return known[0]
    if all(kind in NUMBERS for kind in known):
        return widest(known)
    if rule == "common_or_dynamic" or all(kind in DYNAMIC for kind in known):
        return "dynamic"
    return None


def _packed(arguments: Sequence[ast.Node], kinds: Sequence[str]) -> dict[str, str]:
    """The parts of a bag that is packed from names and values."""
    return {
        str(key.value): kind
        for key, kind in zip(arguments[::2], kinds[1::2], strict=False)
        if isinstance(key, ast.Literal)
    }


_CURES = {"string": "tostring", "datetime": "todatetime", "timespan": "totimespan", "bool": "tobool", "long": "tolong"}
_CURES |= {"real": "toreal", "number": "toreal", "integer": "tolong", "orderable": "tostring", "summable": "toreal"}


def _cure(wanted: Parameter, found: str) -> str | None:
    """How a nested value, or text, is brought to the wanted type."""
    if wanted.word == "timespan" and found in ("string", *NUMBERS):
        return "write a span of time without quotes and with its unit: 7d, 12h, 30m"
    if found not in DYNAMIC and not (found == "string" and wanted.word not in ("array", "bag", "string")):
        return None
    if wanted.word in ("array", "bag"):
        return "read it with parse_json(...) first" if found == "string" else None
    cast = _CURES.get(wanted.word)
    return f"wrap it in {cast}(...)" if cast else None
