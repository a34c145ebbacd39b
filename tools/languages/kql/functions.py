"""Signatures of KQL's functions, aggregates and plugins, and the functions that a workspace adds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ....knowledge.errors import UsageError
from ..syntax import QuerySyntaxError
from . import ast
from .parser import parse
from .signatures import Signature, read


@dataclass(frozen=True, slots=True)
class Names:
    """How functions name a column that has no name, by function."""

    first: frozenset[str]
    """Named as the first argument is."""
    only: frozenset[str]
    """Named as the argument is where there is but one."""
    own: frozenset[str]
    """The function's name before that of the argument."""
    prefix: Mapping[str, str]
    """Another prefix than the function's name."""
    constant: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Library:
    """What a query may call."""

    scalar: Mapping[str, Signature]
    aggregate: Mapping[str, Signature]
    operator: Mapping[str, Signature]
    plugin: Mapping[str, str]
    tuples: Mapping[str, Mapping[str, str]]
    """Function to the columns that it yields at once, with their types."""
    bags: Mapping[str, tuple[str, ...]]
    """Known parts of property bags, by the name that results give them."""
    names: Names


@cache
def library() -> Library:
    """The documented functions."""
    text = files("tracehound.tools.languages.kql").joinpath("functions.json").read_text(encoding="utf-8")
    data = json.loads(text)
    values = {name: frozenset(texts.split()) for name, texts in data["values"].items()}
    scalar, aggregate, operator = (
        {name: read(text, values) for name, text in data[group].items()}
        for group in ("scalar", "aggregate", "operator")
    )
    tuples = {name: _columns(text) for name, text in data["tuples"].items()}
    bags = {name: tuple(parts.split()) for name, parts in data["bags"].items()}
    return Library(scalar, aggregate, operator, data["plugin"], tuples, bags, _names(data["names"]))


def _columns(text: str) -> Mapping[str, str]:
    """`min min_idx:long`: names, `real` where no type stands."""
    pairs = (word.partition(":") for word in text.split())
    return {name: kind or "real" for name, _, kind in pairs}


def _names(data: Mapping[str, Any]) -> Names:
    prefix = {name: word for word, names in data["prefix"].items() for name in names.split()}
    first, only, own = (frozenset(data[group].split()) for group in ("first", "only", "own"))
    return Names(first, only, own, prefix, data["constant"])


_WORKSPACE = {
    "_GetWatchlist": (
        "(alias:string, keys:dynamic=dynamic([]))",
        "{ datatable(SearchKey:string, WatchlistItem:dynamic, LastUpdatedTimeUTC:datetime, _DTItemId:string)[] }",
    ),
    "FileProfile": (
        "(T:(*), hash:string='', most:int=100)",
        "{ T | extend GlobalPrevalence=0, GlobalFirstSeen=now(), GlobalLastSeen=now(), Signer='', Issuer='',"
        " SignerHash='', IsCertificateValid=true, IsRootSignerMicrosoft=true, SignatureState='', IsExecutable=true,"
        " ThreatName='', Publisher='', SoftwareName='', ProfileAvailability='' }",
    ),
    "DeviceFromIP": ("(T:(*), ip:string='', at:datetime=datetime(null))", "{ T | extend DeviceId='' }"),
    "AssignedIPAddresses": (
        "(device:string, at:datetime=datetime(null))",
        "{ datatable(Timestamp:datetime, IPAddress:string, IPType:string, NetworkAdapterType:string,"
        " ConnectedNetworks:dynamic)[] }",
    ),
}
"""Functions that Defender and Sentinel bring along, as far as their columns are documented."""


@cache
def workspace_functions() -> Mapping[str, ast.Function]:
    """The functions of Defender and Sentinel themselves."""
    return {name: function(name, parameters, body) for name, (parameters, body) in _WORKSPACE.items()}


def function(name: str, parameters: str, body: str) -> ast.Function:
    """A declared function, from its two texts.

    Raises:
        UsageError: they are no KQL.
    """
    try:
        statement = parse(f"let f = {parameters} {body};").statements[0]
    except QuerySyntaxError as exc:
        raise UsageError(f"the function {name} cannot be read: {exc.message}") from exc
    if isinstance(statement, ast.Let) and isinstance(statement.value, ast.Function):
        return statement.value
    raise UsageError(f"the function {name} needs parameters in brackets and a body in braces")


def load_functions(content: str) -> Mapping[str, ast.Function]:
    """Read functions from JSON: `{name: {"parameters": "(a:string)", "body": "{ ... }"}}`.

    Raises:
        UsageError: the text is not of that shape.
    """
    try:
        data = json.loads(content)
        return {name: function(name, entry["parameters"], entry["body"]) for name, entry in data.items()}
    except json.JSONDecodeError as exc:
        raise UsageError(f"the functions are not JSON (line {exc.lineno}): {exc.msg}") from exc
    except (AttributeError, KeyError, TypeError) as exc:
        raise UsageError('the functions must be an object of name to {"parameters", "body"}') from exc


def functions_from_metadata(data: Mapping[str, Any]) -> Mapping[str, ast.Function]:
    """The functions of a workspace from the same answer as its tables, beside those of Defender and Sentinel.

    A function whose text cannot be read is left out: what calls it is then refused, not guessed at.
    """
    found = dict(workspace_functions())
    for entry in data.get("functions") or ():
        name, body = str(entry.get("name") or ""), str(entry.get("body") or "")
        parameters = str(entry.get("parameters") or "").strip()
        bracketed = parameters if parameters.startswith("(") else f"({parameters})"
        try:
            found[name] = function(name, bracketed, f"{{ {body}\n}}")
        except UsageError:
            continue
    return found
