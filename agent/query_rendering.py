"""Verdicts on queries and translations of questions on a terminal, as readable as a compiler's messages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ..tools.evidence.safe import safe
from .rendering import text

SEVERITY = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}
BEFORE, BEHIND = 60, 40
"""Characters of a long line that are shown before and behind the place of a finding."""


@dataclass(frozen=True)
class _Place:
    """Where a finding lies, ready to be drawn; columns count terminal cells of the neutralised line."""

    number: int
    column: int
    line: str
    indent: int
    width: int


def show_check(console: Console, query: str, result: Mapping[str, Any]) -> None:
    """A verdict, and each finding with the line it is about, carets under the place, and what to write instead."""
    verdict = "ok" if result["ok"] else "not ok"
    policy = "reads only" if result["read_only"] else "NOT read-only"
    good = result["ok"] and result["read_only"]
    console.print(text(f"{result['language']}: {verdict}, {policy}", "bold green" if good else "bold red"))
    for item in result["diagnostics"]:
        _show_finding(console, query, item)
    console.print(text(" · ".join(_footer(result)), "dim"))
    for item in result.get("translations", ()):
        if item["text"]:
            console.print(text(f"as {item['language']}:", "bold"))
            console.print(Text(safe(item["text"], single_line=False)), soft_wrap=True)
        for sentence in item["cannot_express"]:
            console.print(text(f"  {sentence}", "yellow"))


def _show_finding(console: Console, query: str, item: Mapping[str, Any]) -> None:
    style = SEVERITY[item["severity"]]
    place = _place(query, item["start"], item["end"])
    margin = " " * len(str(place.number))
    headline = text(f"{item['severity']}[{item['code']}]", style)
    console.print(headline.append_text(text(f": {item['message']}", "bold")))
    if query.strip():
        lines = [
            (f" {margin}--> ", f"line {place.number}, column {place.column}", ""),
            (f" {place.number} | ", place.line, ""),
            (f" {margin} | ", " " * place.indent + "^" * place.width, style),
        ]
        for gutter, words, colour in lines:
            console.print(Text(gutter, style="dim").append(words, style=colour), soft_wrap=True)
    if item.get("hint"):
        console.print(text(f" {margin} = ", "dim").append_text(text(item["hint"], "cyan")))


def _place(query: str, start: int, end: int) -> _Place:
    """The line that a finding begins in, neutralised and cut around it."""
    start = min(max(start, 0), len(query))
    first = query.rfind("\n", 0, start) + 1
    last = query.find("\n", start)
    last = len(query) if last < 0 else last
    stop = max(start, min(end, last))
    left, right = max(first, start - BEFORE), min(last, stop + BEHIND)
    head = ("…" if left > first else "") + safe(query[left:start])
    marked = safe(query[start:stop])
    tail = safe(query[stop:right]) + ("…" if right < last else "")
    return _Place(
        number=query.count("\n", 0, first) + 1,
        column=start - first + 1,
        line=head + marked + tail,
        indent=cell_len(head),
        width=max(cell_len(marked), 1),
    )


def _footer(result: Mapping[str, Any]) -> Iterator[str]:
    counts = [(kind, sum(item["severity"] == kind for item in result["diagnostics"])) for kind in ("error", "warning")]
    yield ", ".join(f"{number} {kind}{'' if number == 1 else 's'}" for kind, number in counts)
    if result["collections"]:
        yield f"reads {', '.join(result['collections'])}"
    lab = result.get("lab")
    if lab and result["ok"]:
        yield "runs in the lab" if lab["runnable"] else f"valid, not runnable in the lab: {lab['unsupported']}"


def show_translation(console: Console, result: Mapping[str, Any]) -> None:
    """One question in every language, search by search, and what a platform cannot answer."""
    if result["window"]:
        console.print(text("window {start} to {end} ({phrase})".format(**result["window"]), "dim"))
    for hunt, queries in groupby(result["queries"], key=lambda query: query["hunt"]):
        console.print()
        console.print(text(hunt or "the question", "bold underline"))
        for query in queries:
            _show_query(console, query)
    for item in result["not_applicable"]:
        console.print(text(f"{item['platform']}: {item['reason']}", "dim"))
    if result["declined"]:
        console.print(text(result["declined"]["reason"], "bold yellow"))
        if result["declined"]["nearest"]:
            console.print(text("Nearest hunts: " + ", ".join(result["declined"]["nearest"])))


def _show_query(console: Console, query: Mapping[str, Any]) -> None:
    ok = query["check"]["ok"]
    where = f"\n{query['platform']} · {query['language']} · {query['collection']} · "
    console.print(
        text(where.lstrip("\n"), "bold").append("ok" if ok else "NOT OK", style="green" if ok else "bold red")
    )
    console.print(Text(safe(query["text"], single_line=False)), soft_wrap=True)
    for sentence in query["cannot_express"]:
        console.print(text(f"  cannot express: {sentence}", "yellow"))
    for item in query["check"]["diagnostics"]:
        console.print(text(f"  {item['severity']}[{item['code']}]: {item['message']}", SEVERITY[item["severity"]]))
