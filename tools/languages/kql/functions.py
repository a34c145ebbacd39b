"""Signatures of KQL's functions, aggregates and plugins, and the functions that a workspace adds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ....knowledge.errors import UsageError
from ..syntax import QuerySyntaxError
from . import ast
from .parser import parse


@dataclass(frozen=True, slots=True)
class Signature:
    """Parameters as sets of types (`any` fits all); `result` is a type or a rule (`$1`, `common`, `sum`, ...)."""

    parameters: tuple[frozenset[str], ...]
    required: int
    variadic: bool
    result: str

    def parameter(self, index: int) -> frozenset[str]:
        """The types of the argument at a place; the last one repeats."""
        return self.parameters[min(index, len(self.parameters) - 1)]


@dataclass(frozen=True, slots=True)
class Library:
    """What a query may call."""

    scalar: Mapping[str, Signature]
    aggregate: Mapping[str, Signature]
    plugin: Mapping[str, str]


_GROUPS = {
    "number": frozenset({"int", "long", "real", "decimal"}),
    "int": frozenset({"int", "long"}),
    "any": frozenset({"any"}),
}


@cache
def library() -> Library:
    """The documented functions."""
    text = files("tracehound.tools.languages.kql").joinpath("functions.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return Library(
        {name: _signature(text) for name, text in data["scalar"].items()},
        {name: _signature(text) for name, text in data["aggregate"].items()},
        data["plugin"],
    )


def _signature(text: str) -> Signature:
    left, _, result = text.partition("->")
    parameters: list[frozenset[str]] = []
    required, variadic = 0, False
    for word in left.split():
        bare = word.rstrip("?.")
        kinds: frozenset[str] = frozenset()
        for part in bare.split("|"):
            kinds |= _GROUPS.get(part, frozenset({part}))
        parameters.append(kinds)
        variadic = variadic or word.endswith("...")
        required += bare == word
    return Signature(tuple(parameters), required, variadic, result.strip())


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
