from io import StringIO
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from tracehound.agent.checking import check_report
from tracehound.agent.query_rendering import show_check, show_translation
from tracehound.tools.languages import Language


def shown(query: str, result: dict[str, Any]) -> list[str]:
    out = StringIO()
    show_check(Console(file=out, width=100, color_system=None), query, result)
    return out.getvalue().splitlines()


def finding(start: int, end: int, **more: Any) -> dict[str, Any]:
    item = {"code": "syntax", "severity": "error", "message": "this is wrong", "start": start, "end": end, **more}
    return {
        "language": "kql", "ok": False, "read_only": True, "diagnostics": [item], "collections": [], "fields": []
    }  # fmt: skip


def marked(lines: list[str]) -> str:
    """The cells of the line that stand above the carets."""
    carets = next(at for at, line in enumerate(lines) if "^" in line)
    line, under = lines[carets - 1], lines[carets]
    assert line.index("|") == under.index("|")
    cells = [(character, cell_len(character)) for character in line]
    begin, end, at, found = under.index("^"), under.rindex("^") + 1, 0, ""
    for character, width in cells:
        if begin <= at < end:
            found += character
        at += width
    return found


@pytest.mark.parametrize(
    ("query", "part", "drawn"),
    [
        ("T | where Colum == 1", "Colum", "Colum"),
        ("T\n| where\n  Colum == 1", "Colum", "Colum"),
        ('T | where a == "日本語" and Colum == 1', "Colum", "Colum"),
        ("T |\twhere\tColum == 1", "Colum", "Colum"),
        ("T | where a == '\u202e\x1b[31m' and Colum == 1", "Colum", "Colum"),
        ("T | where a == '日本語'", "日本語", "日本語"),
        ("x" * 300 + " Colum " + "y" * 300, "Colum", "Colum"),
    ],
)
def test_carets_stand_under_what_they_are_about(query: str, part: str, drawn: str) -> None:
    start = query.index(part)
    lines = shown(query, finding(start, start + len(part)))
    assert marked(lines) == drawn
    assert max(map(cell_len, lines)) <= 130
    assert not any(character in "".join(lines) for character in "\u202e\x1b\t")


def test_a_place_is_named_by_line_and_column_and_a_hint_stands_below() -> None:
    query = "T\n| where Colum == 1"
    lines = shown(query, finding(10, 15, hint="did you mean Column?"))
    assert lines == [
        "kql: not ok, reads only",
        "error[syntax]: this is wrong",
        "  --> line 2, column 9",
        " 2 | | where Colum == 1",
        "   |         ^^^^^",
        "   = did you mean Column?",
        "1 error, 0 warnings",
    ]


@pytest.mark.parametrize(("start", "end"), [(18, 18), (5, 400), (400, 401), (0, 18)])
def test_a_place_at_or_beyond_the_end_is_drawn_too(start: int, end: int) -> None:
    lines = shown("T | where x ==    ", finding(start, end))
    assert "^" in lines[4]
    assert lines[3].startswith(" 1 | T | where x ==")


def test_a_finding_over_several_lines_is_drawn_in_its_first() -> None:
    query = "T | where (a\n or b"
    assert marked(shown(query, finding(10, len(query)))) == "(a"


def test_nothing_to_draw_under_an_empty_query() -> None:
    assert len(shown("  ", check_report(Language.KQL, "  "))) == 3


def test_what_the_lab_cannot_run_is_named() -> None:
    result = check_report(Language.KQL, "DeviceInfo | where Timestamp > ago(1d)")
    result["lab"] = {"runnable": False, "unsupported": "reduce"}
    assert shown("...", result)[-1].endswith("reads DeviceInfo · valid, not runnable in the lab: reduce")


def test_a_translation_is_told_search_by_search() -> None:
    query = {"platform": "falcon", "language": "cql", "collection": "events", "text": "a\x1b=1", "hunt": "h.one#x",
             "check": {"ok": True, "diagnostics": []}, "cannot_express": ["the second half"]}  # fmt: skip
    result = {"window": None, "queries": [query, {**query, "platform": "sentinel"}, {**query, "hunt": "h.two#y"}],
              "not_applicable": [{"platform": "defender", "reason": "carries no such thing"}], "declined": None}  # fmt: skip
    out = StringIO()
    show_translation(Console(file=out, width=100, color_system=None), result)
    told = out.getvalue()
    assert (told.count("h.one#x"), told.count("h.two#y")) == (1, 1)
    assert "falcon · cql · events · ok\na\\x1b=1\n  cannot express: the second half\n" in told
    assert "\\n" not in told
    assert "defender: carries no such thing" in told
