"""Calls of functions, written as calls that run: names of today, default arguments, conversions."""

import re
from collections.abc import Callable, Mapping

from ....tools.languages.kql import ast
from ....tools.languages.kql.rows import DYNAMIC, UNKNOWN, Row
from . import sql_functions, trees
from .conversions import ALIASES, Arguments, Kinds, as_text, converted, fitted, lab, to_string
from .faults import SemanticFaultError, UnrunnableError
from .shapes import signature_of

_Rule = Callable[[Arguments, Kinds, Row], ast.Node]


def adapted(call: ast.Call, kinds: Kinds, row: Row) -> ast.Node:
    """A scalar call whose arguments were adapted; `kinds` are the types of the arguments as they were written.

    Raises:
        SemanticFaultError: there is no such function.
        UnrunnableError: the function cannot run here.
    """
    if call.name.startswith(sql_functions.PREFIX):
        return call
    name = ALIASES.get(call.name, call.name)
    signature = signature_of(name) or signature_of(call.name)
    arguments = fitted(call.arguments, kinds, signature) if signature else call.arguments
    rule = _RULES.get(name)
    if rule is not None:
        return rule(arguments, kinds, row)
    count = sql_functions.parameters(name)
    if count == len(arguments):
        return lab(name, *arguments)
    if count is not None:
        raise UnrunnableError(f"{name}() with {len(arguments)} arguments")
    if signature is None:
        raise SemanticFaultError(f"Unknown function: '{name}'")
    return trees.call(name, *arguments)


# Rules for one function each


def _filled(name: str, *defaults: ast.Node) -> _Rule:
    """The lab's function of that name, with what is left out at the end filled in."""

    def rule(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
        wanted = sql_functions.parameters(name) or 0
        missing = wanted - len(arguments)
        if missing < 0 or missing > len(defaults):
            raise UnrunnableError(f"{name}() with {len(arguments)} arguments")
        return lab(name, *arguments, *defaults[len(defaults) - missing :])

    return rule


def _listed(name: str) -> _Rule:
    """A function of one value and a list, which may also be written as further arguments."""

    def rule(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
        first, *rest = arguments
        if len(rest) == 1 and kinds[1] in DYNAMIC:
            return lab(name, first, rest[0])
        return lab(name, first, trees.call("pack_array", *rest))

    return rule


def _folded(name: str) -> _Rule:
    """A function of two values that takes any number."""

    def rule(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
        result = arguments[0]
        for argument in arguments[1:]:
            result = lab(name, result, argument)
        return result

    return rule


def _typed(name: str) -> _Rule:
    """`extract` and its kin, whose last argument may be `typeof(...)`."""

    def rule(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
        last = arguments[-1]
        if not isinstance(last, ast.TypeOf):
            return _plain_or_lab(name, arguments)
        found = _plain_or_lab(name, arguments[:-1])
        text = trees.call("tostring", found)
        return found if last.type == "dynamic" else text if last.type == "string" else converted(text, last.type)

    return rule


def _plain_or_lab(name: str, arguments: Arguments) -> ast.Node:
    return lab(name, *arguments) if sql_functions.parameters(name) else trees.call(name, *arguments)


def _six(name: str, signs: Callable[[ast.Node], ast.Node]) -> _Rule:
    def rule(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
        a, b, *most = arguments
        bits = most[0] if most else trees.number(128)
        return signs(lab("ip6_compare", a, _long_form(a), b, _long_form(b), bits))

    return rule


def _long_form(node: ast.Node) -> ast.Node:
    """An address in the long form of parse_ipv6(), without a prefix length."""
    return trees.call("parse_ipv6", trees.call("extract", trees.text("^[^/]*"), trees.number(0), node))


def _is_zero(node: ast.Node) -> ast.Node:
    return trees.binary(node, "==", trees.number(0))


def _six_in_range(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    ip, place = arguments
    bits = lab("ip6_bits", place, _long_form(place))
    return _is_zero(lab("ip6_compare", ip, _long_form(ip), place, _long_form(place), bits))


def _split(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    return lab("split_at" if len(arguments) == 3 else "split", *arguments)


def _range(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    if kinds[0] == "datetime":
        step = arguments[2] if len(arguments) > 2 else ast.Literal(0, 0, "timespan", "1h")
        return lab("moments", *arguments[:2], step)
    if not set(kinds) <= {"int", "long", UNKNOWN, *DYNAMIC}:
        raise UnrunnableError("range() over real numbers or timespans")
    step = arguments[2] if len(arguments) > 2 else trees.number(1)
    return lab("numbers", *(trees.call("tolong", item) for item in (*arguments[:2], step)))


def _indexof(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    if len(arguments) > 3:
        raise UnrunnableError("indexof() with a length or an occurrence")
    return lab("indexof_text", *arguments) if len(arguments) == 2 else lab("indexof_from", *arguments)


def _tostring(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    return to_string(arguments[0], kinds[0])


def _of_text(name: str) -> _Rule:
    """A function of a text, without the translator's test of what it is at run time."""

    def rule(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
        if kinds[0] in DYNAMIC:
            return lab(name, lab("text_of_json", arguments[0]))
        return lab(name, *arguments) if kinds[0] == "string" else trees.call(name, *arguments)

    return rule


def _substring(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    return lab(f"substring_{len(arguments)}", as_text(arguments[0], kinds[0]), *arguments[1:])


def _strcat(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    """Texts that are none yet; concat() of the database takes no null for one."""
    pairs = zip(arguments, kinds, strict=True)
    return lab("strcat", *(node if kind == "string" else to_string(node, kind) for node, kind in pairs))


def _bin_at(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    word = {"datetime": "moment", "timespan": "span"}.get(kinds[0], "number")
    if word != "number" and kinds[1] not in ("timespan", UNKNOWN):
        raise UnrunnableError(f"bin_at() of a {kinds[0]} by a {kinds[1]}")
    return lab(f"bin_at_{word}", *arguments)


def _bin(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    return lab("bin_span", *arguments) if kinds[0] == "timespan" else trees.call("bin", *arguments)


def _strrep(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    texts = (as_text(arguments[0], kinds[0]), *arguments[1:])
    return lab("strrep_with", *texts) if len(texts) == 3 else trees.call("strrep", *texts)


def _is_column(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    name = arguments[0]
    if not isinstance(name, ast.Literal):
        raise UnrunnableError("iscolumnexists() of a name that is computed")
    return trees.truth(name.value in row.columns)


def _parse_command_line(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    line, shell = arguments
    if not (isinstance(shell, ast.Literal) and str(shell.value).lower() == "windows"):
        raise UnrunnableError("parse_command_line() of another shell than windows")
    return lab("parse_command_line", line)


def _turned(name: str) -> _Rule:
    """A function to the right as one to the left."""

    def rule(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
        array, places, *fill = arguments
        back = ast.Unary(0, 0, "-", places) if isinstance(places, ast.Literal) else trees.binary(
            trees.number(0), "-", places
        )  # fmt: skip
        rest = fill or ([ast.DynamicLiteral(0, 0, None)] if "shift" in name else [])
        return lab(name, array, back, *rest)

    return rule


def _pack_all(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    if arguments and not (isinstance(arguments[0], ast.Literal) and arguments[0].value is False):
        raise UnrunnableError("pack_all() without empty values")
    if row.open:
        raise UnrunnableError("pack_all() over columns that depend on values")
    return trees.call("bag_pack", *(part for name in row.columns for part in (trees.text(name), trees.name(name))))


def _column_if_exists(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    wanted, default = arguments
    if not isinstance(wanted, ast.Literal):
        raise UnrunnableError("column_ifexists() of a name that is computed")
    return trees.name(str(wanted.value)) if wanted.value in row.columns else default


def _row_number(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    if len(arguments) > 1:
        raise UnrunnableError("row_number() with a restart")
    return lab("row_number", arguments[0] if arguments else trees.number(1))


def _neighbour(name: str) -> _Rule:
    def rule(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
        value, *more = arguments
        offset = more[0] if more else trees.number(1)
        if len(more) < 2:
            return lab(name, value, offset)
        if kinds[0] != kinds[2] and not {kinds[0], kinds[2]} <= {"int", "long", "real"}:
            raise UnrunnableError(f"{name}() with a default of another type")
        return lab(f"{name}_or", value, offset, more[1])

    return rule


def _row_cumsum(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    if len(arguments) > 1:
        raise UnrunnableError("row_cumsum() with a restart")
    return lab("row_cumsum", *arguments)


def _parse_urlquery(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    key = trees.text("Query Parameters")
    url = trees.call("parse_url", trees.call("strcat", trees.text("http://x/?"), arguments[0]))
    return trees.call("bag_pack", key, ast.Index(0, 0, url, key))


def _ingestion_time(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    """The row's own time: a lab has no delay."""
    for name in ("TimeGenerated", "Timestamp"):
        if name in row.columns:
            return trees.name(name)
    raise UnrunnableError("ingestion_time() of rows without a time of their own")


def _rand(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    return lab("rand_below", *arguments) if arguments else lab("rand")


def _is_null(wanted: bool) -> _Rule:
    """A string is never null to Kusto, only empty."""

    def rule(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
        if kinds[0] == "string":
            return trees.truth(not wanted)
        if kinds[0] in DYNAMIC:
            return lab("absent" if wanted else "present", *arguments)
        return trees.call("isnull" if wanted else "isnotnull", *arguments)

    return rule


def _abs(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    return lab("abs_span", *arguments) if kinds[0] == "timespan" else trees.call("abs", *arguments)


def _bag_pack(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    """Keys are text, whatever they are given as; a datetime is packed as Kusto writes it."""
    packed = [
        as_text(argument, kind) if place % 2 == 0 or kind in ("datetime", "timespan") else argument
        for place, (argument, kind) in enumerate(zip(arguments, kinds, strict=True))
    ]
    return trees.call("bag_pack", *packed)


_SPAN_ELEMENT = re.compile(r"d+|hh?|HH?|mm?|ss?|[fF]+|.", re.DOTALL)
_SPAN_PARTS: Mapping[str, tuple[int, int]] = {
    "d": (86_400_000_000, 1_000_000_000),
    "h": (3_600_000_000, 24),
    "m": (60_000_000, 60),
    "s": (1_000_000, 60),
}


def _format_timespan(arguments: Arguments, kinds: Kinds, row: Row) -> ast.Node:
    value, shape = arguments
    if not isinstance(shape, ast.Literal):
        raise UnrunnableError("format_timespan() with a format that is computed")
    pieces: list[ast.Node] = []
    for element in _SPAN_ELEMENT.findall(str(shape.value)):
        letter = element[0].lower()
        if letter in _SPAN_PARTS:
            unit, most = _SPAN_PARTS[letter]
            pieces.append(lab("span_part", value, *(trees.number(n) for n in (unit, most, len(element)))))
        elif letter == "f":
            pieces.append(lab("span_fraction", value, trees.number(len(element))))
        else:
            pieces.append(trees.text(element))
    return lab("strcat", *pieces)


_NULL = ast.DynamicLiteral(0, 0, None)
_RULES: Mapping[str, _Rule] = {
    **{
        name: _filled(name, trees.number(32))
        for name in ("ipv4_compare", "ipv4_is_match", "format_ipv4", "format_ipv4_mask")
    },
    **{name: _listed(name) for name in ("ipv4_is_in_any_range", "has_any_ipv4", "has_any_ipv4_prefix")},
    **{name: _folded(name) for name in ("set_union", "set_intersect", "set_difference", "bag_merge")},
    **{name: _typed(name) for name in ("extract", "extractjson")},
    "ipv6_compare": _six("ipv6_compare", lambda node: node),
    "ipv6_is_match": _six("ipv6_is_match", _is_zero),
    "ipv6_is_in_range": _six_in_range,
    "split": _split,
    "range": _range,
    "indexof": _indexof,
    "tostring": _tostring,
    "strcat": _strcat,
    "substring": _substring,
    **{name: _of_text(name) for name in ("strlen", "tolower", "toupper", "isempty", "isnotempty")},
    "bin_at": _bin_at,
    "bin": _bin,
    "floor": _bin,
    "strrep": _strrep,
    "iscolumnexists": _is_column,
    "parse_command_line": _parse_command_line,
    "array_rotate_right": _turned("array_rotate_left"),
    "array_shift_right": _turned("array_shift_left"),
    "array_shift_left": _filled("array_shift_left", _NULL),
    "series_fill_const": _filled("series_fill_const", trees.number(0)),
    "pack_all": _pack_all,
    "column_ifexists": _column_if_exists,
    "row_number": _row_number,
    "prev": _neighbour("prev"),
    "next": _neighbour("next"),
    "row_cumsum": _row_cumsum,
    "parse_urlquery": _parse_urlquery,
    "ingestion_time": _ingestion_time,
    "rand": _rand,
    "isnull": _is_null(True),
    "isnotnull": _is_null(False),
    "notnull": _is_null(False),
    "abs": _abs,
    "bag_pack": _bag_pack,
    "pack": _bag_pack,
    "format_timespan": _format_timespan,
    "new_guid": lambda arguments, kinds, row: lab("new_guid"),
}  # fmt: skip
