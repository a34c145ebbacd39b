"""Tables and their columns: the built-in ones of Defender and Sentinel, or those of a file."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from ....knowledge.errors import UsageError

Columns = Mapping[str, str]
"""Column name to KQL type, in order."""
Schema = Mapping[str, Columns]
"""Table name to its columns."""

SURFACES = ("defender", "sentinel")
_TYPES = {"bool", "datetime", "decimal", "dynamic", "guid", "int", "long", "real", "string", "timespan"}
_SPELLINGS = {"boolean": "bool", "double": "real", "float": "real", "date": "datetime", "object": "dynamic"}
_DOT_NET = {
    "System.String": "string",
    "System.Int32": "int",
    "System.Int64": "long",
    "System.Double": "real",
    "System.Boolean": "bool",
    "System.SByte": "bool",
    "System.DateTime": "datetime",
    "System.TimeSpan": "timespan",
    "System.Guid": "guid",
    "System.Object": "dynamic",
    "System.Data.SqlTypes.SqlDecimal": "decimal",
}


@cache
def _built_in() -> Mapping[str, Mapping[str, Columns]]:
    """Table to surface to columns."""
    text = files("tracehound.tools.languages.kql").joinpath("schema.json").read_text(encoding="utf-8")
    return {
        table: {
            surface: {name: kind for kind, names in by_type.items() for name in names.split()}
            for surface, by_type in surfaces.items()
        }
        for table, surfaces in json.loads(text)["tables"].items()
    }


@cache
def tables(surface: str | None = None) -> Schema:
    """The documented tables of one surface (`defender`, `sentinel`), or of both joined.

    Where the surfaces type a column differently, the joined table has the wider type.
    """
    found: dict[str, Columns] = {}
    for table, surfaces in _built_in().items():
        if surface is not None:
            if surface in surfaces:
                found[table] = surfaces[surface]
            continue
        joined: dict[str, str] = {}
        for columns in surfaces.values():
            for name, kind in columns.items():
                joined[name] = kind if joined.get(name, kind) == kind else _wider(joined[name], kind)
        found[table] = joined
    return found


def surfaces_of(table: str) -> tuple[str, ...]:
    """Where a documented table can be queried; empty when it is not documented."""
    return tuple(_built_in().get(table, ()))


def _wider(one: str, other: str) -> str:
    pair = {one, other}
    if pair <= {"int", "long", "real"}:
        return "real" if "real" in pair else "long"
    return "dynamic" if "dynamic" in pair else "int" if pair == {"int", "string"} else "string"


def load_schema(content: str) -> Schema:
    """Read tables from JSON: `{table: {column: type}}`, or the shape of an exported Kusto database.

    Raises:
        UsageError: the text is not JSON of either shape, or a type is unknown.
    """
    try:
        data = json.loads(content)
    except json.JSONDecodeError as exc:
        raise UsageError(f"the schema is not JSON (line {exc.lineno}): {exc.msg}") from exc
    if isinstance(data, list):
        data = _exported(data)
    if not isinstance(data, dict) or not all(isinstance(columns, dict) for columns in data.values()):
        raise UsageError("the schema must be an object of tables, each an object of column to type")
    return {
        str(table): {str(name): _type(table, name, kind) for name, kind in columns.items()}
        for table, columns in data.items()
    }


def from_metadata(data: Mapping[str, Any]) -> Schema:
    """The tables of a workspace, from what `GET /v1/workspaces/{id}/metadata` of Log Analytics answers.

    Raises:
        UsageError: it is not of that shape, or a type is unknown.
    """
    try:
        return {
            str(table["name"]): {
                str(column["name"]): _type(table["name"], column["name"], column["type"]) for column in table["columns"]
            }
            for table in data["tables"]
        }
    except (AttributeError, KeyError, TypeError) as exc:
        raise UsageError("the metadata of a workspace holds tables, each with a name and columns") from exc


def _exported(databases: list[Any]) -> dict[str, dict[str, str]]:
    try:
        return {
            table.get("Name") or table["Table"]: {column["Name"]: column["Type"] for column in table["Columns"]}
            for database in databases
            for table in database["Tables"]
        }
    except (AttributeError, KeyError, TypeError) as exc:
        raise UsageError(
            "the schema's list must hold databases of Tables, their Columns, and each Name and Type"
        ) from exc


def _type(table: str, name: str, kind: Any) -> str:
    spelled = _DOT_NET.get(str(kind), str(kind).lower())
    spelled = _SPELLINGS.get(spelled, spelled)
    if spelled not in _TYPES:
        raise UsageError(f"the schema gives {table}.{name} the unknown type {kind!r}")
    return spelled
