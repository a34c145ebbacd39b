"""Conversions that Kusto makes by itself and DuckDB does not, and the names that functions have today."""

from collections.abc import Mapping, Sequence

from ....tools.languages.kql import ast
from ....tools.languages.kql.rows import DYNAMIC, UNKNOWN
from ....tools.languages.kql.signatures import Parameter, Signature, matched
from . import sql_functions, trees

Arguments = tuple[ast.Node, ...]
Kinds = Sequence[str]

ALIASES: Mapping[str, str] = {
    "parsejson": "parse_json",
    "toobject": "parse_json",
    "pack_dictionary": "bag_pack",
    "notempty": "isnotempty",
    "parseurl": "parse_url",
    "parseipv4": "parse_ipv4",
    "array_strcat": "strcat_array",
    "extract_json": "extractjson",
    "columnifexists": "column_ifexists",
    "array_iif": "array_iff",
    "arraylength": "array_length",
    "extractall": "extract_all",
    "parseurlquery": "parse_urlquery",
    "totime": "totimespan",
    "datepart": "datetime_part",
    "to_utf8": "unicode_codepoints_from_string",
    "unicode_codepoints_to_string": "make_string",
    "makeset": "make_set",
    "makelist": "make_list",
    "argmax": "arg_max",
    "argmin": "arg_min",
    "anyif": "take_anyif",
    "make_dictionary": "make_bag",
}
"""Old names and the ones that took their place."""

_EXACT = 2
_READ_AS = ("string", "real", "long", "int", "datetime", "timespan", "bool")
_TEXT_OF: Mapping[str, str] = {
    "string": "text_of_string",
    "guid": "text_of_string",
    "int": "text_of_number",
    "long": "text_of_number",
    "datetime": "text_of_moment",
    "bool": "text_of_bool",
    **dict.fromkeys(DYNAMIC, "text_of_json"),
}


def lab(name: str, *arguments: ast.Node) -> ast.Call:
    """A call of one of the lab's own functions."""
    return trees.call(sql_functions.PREFIX + name, *arguments)


def to_string(node: ast.Node, kind: str) -> ast.Node:
    """`tostring(...)` of a value of a type."""
    own = _TEXT_OF.get(kind)
    return lab(own, node) if own else trees.call("tostring", node)


def as_text(node: ast.Node, kind: str) -> ast.Node:
    """The value as Kusto reads it where text is wanted."""
    return node if kind in ("string", UNKNOWN, "any") else to_string(node, kind)


def as_kind(node: ast.Node, found: str, wanted: str) -> ast.Node:
    """A dynamic value as one of another type, for comparing and computing."""
    if found not in DYNAMIC or wanted in DYNAMIC or wanted in (UNKNOWN, "any"):
        return node
    match wanted:
        case "string" | "guid":
            return lab("text_of_json", node)
        case "bool":
            return lab("truth", node)
        case "datetime":
            return trees.call("todatetime", lab("text_of_json", node))
        case "timespan":
            return trees.call("totimespan", lab("text_of_json", node))
        case _:
            return lab("number", node)


def converted(node: ast.Node, kind: str) -> ast.Node:
    """`tolong(...)` and its kin; nothing for a string."""
    words = {"real": "todouble", "guid": "toguid", "dynamic": "todynamic", "string": "tostring"}
    return trees.call(words.get(kind, f"to{kind}"), node)


def fitted(arguments: Arguments, kinds: Kinds, signature: Signature) -> Arguments:
    """Convert as Kusto does where a value of one type is passed and another is wanted."""
    match = matched(signature, kinds)
    if match is None:
        return arguments
    return tuple(
        argument if place.rank(kind) == _EXACT else _fit(argument, kind, place)
        for argument, kind, place in zip(arguments, kinds, match.places, strict=True)
    )


def _fit(node: ast.Node, kind: str, place: Parameter) -> ast.Node:
    wanted = place.exact
    if kind in DYNAMIC:
        one = next((item for item in _READ_AS if item in wanted), None)
        return as_kind(node, kind, one) if one else node
    return as_text(node, kind) if "string" in wanted else node
