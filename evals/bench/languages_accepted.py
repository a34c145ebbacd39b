"""What the checks accept and refuse of the corpora: counts beside the times of `languages`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...tools.languages import Check, fql, kql, s1ql
from ...tools.languages.kql import ast
from ...tools.languages.kql.policy import from_below

LISTED = "externaldata"
"""What policy refuses for a listed reason; a missing bound on time is the other one."""


def accepted(folder: Path) -> Mapping[str, str]:
    """Counts by what they are of, in words. `folder` holds the corpora, as `TRACEHOUND_CORPORA` names it."""
    strings = _lines(folder / "fql" / "strings.jsonl")
    good = [fql.check(row["query"]).ok for row in strings if row["ok"]]
    bad = [not fql.check(row["query"]).ok for row in strings if not row["ok"]]
    queries = [s1ql.check(row["query"]).ok for row in _lines(folder / "s1ql" / "strings.jsonl") if row["ok"]]
    schema = kql.load_schema((folder / "nl2kql" / "Defender_Schema.json").read_text(encoding="utf-8"))
    golds = [
        kql.check(row["baseline"], schema=schema).ok for row in _lines(folder / "nl2kql" / "Defender_Evaluation.jsonl")
    ]
    return {
        "FQL strings": f"{_of(good)} good ones accepted, {_of(bad)} bad ones refused",
        "S1QL queries": f"{_of(queries)} accepted",
        "NL2KQL's Defender golds": f"{_of(golds)} schema-clean",
        "published KQL refused for other than a listed reason": _of(_unlisted(folder / "kql")),
    }


def _unlisted(folder: Path) -> list[bool]:
    schema = kql.load_schema((folder / "schema.json").read_text(encoding="utf-8"))
    functions = kql.load_functions((folder / "functions.json").read_text(encoding="utf-8"))
    rows = _lines(folder / "hunting-queries.jsonl")
    return [_is_unlisted(row["query"], kql.check(row["query"], schema=schema, functions=functions)) for row in rows]


def _is_unlisted(text: str, verdict: Check) -> bool:
    """Whether policy refuses a query that neither reads from outside nor leaves its time open."""
    if any(item.code == "syntax" for item in verdict.diagnostics):
        return False
    if any(item.code == "not_read_only" and LISTED not in item.message for item in verdict.diagnostics):
        return True
    filters = [node for node in ast.walk(kql.parse(text)) if isinstance(node, ast.Where | ast.Search | ast.Find)]
    whole = any(item.code == "unbounded" and item.message.startswith("every table") for item in verdict.diagnostics)
    return whole and any(from_below(node.predicate) for node in filters)


def _of(found: list[bool]) -> str:
    return f"{sum(found)} of {len(found)}"


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
