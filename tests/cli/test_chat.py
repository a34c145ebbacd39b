"""The chat without a terminal: lines in, answers out, and commands over the case."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
QUESTION = "show me lateral movement from WS-042 in the last day"


@pytest.fixture
def chat(run: Run, kestrel: Path) -> Callable[..., Any]:
    def talk(*lines: str, options: tuple[str, ...] = ()) -> Any:
        return run("chat", "--lab", str(kestrel), *options, stdin="".join(f"{line}\n" for line in lines))

    return talk


def test_a_case_is_asked_shown_noted_and_resumed(chat: Callable[..., Any], run: Run, tmp_path: Path) -> None:
    first = chat(
        QUESTION,
        "/evidence",
        "/show E1",
        "/show e1",
        "/show [E1]",
        "/query Q1",
        "/why C1",
        "/gaps",
        "/timeline",
        "/pending",
        "/approve",
        "/note the account owner is on leave",
        "/report",
        "/export json answer.json",
        "/case",
        "/exit",
        "this line is never read",
    )
    assert first.code == 0
    assert "error:" not in first.err
    assert "\x1b" not in first.out + first.err
    assert first.out.count("as the vendor sent it:") == 3
    for words in ("Timeline (UTC)", "rests on E", " pages, ",
                  "# show me lateral movement", "note by", "the account owner is on leave"):  # fmt: skip
        assert words in first.out
    assert "tracehound approve A-" in first.out
    assert "a chat never approves" in first.err
    assert (tmp_path / "answer.json").read_text(encoding="utf-8").startswith("{")
    assert "never read" not in first.out

    second = chat("/case", "which alerts are there on WS-042?", "/case", options=("--resume",))
    assert second.code == 0
    assert "1. show me lateral movement" in second.out
    assert "2. which alerts are there on WS-042?" in second.out
    assert len(run("case", "list").out.splitlines()) == 2


def test_the_views_are_drawn_from_the_last_answer(chat: Callable[..., Any], tmp_path: Path) -> None:
    result = chat(
        QUESTION, "/timeline", "/graph", "/tree", "/tree srv-bk-01", "/tree nowhere", "/hyp", "/context", "/cost", "/tools",
        "/export html report.html", "/handoff", "/replay",
    )  # fmt: skip
    assert "error:" not in result.err
    assert "\x1b" not in result.out
    for words in (
        "● suspicious", "─→ SRV-BK-01", "port 443 as", "── services.exe", "launch not seen", "→ network to",
        "no process on nowhere", "Least contradicted:", "The cheapest search", "all", "platforms", "tool ask",
        "# Hand-over of case",
    ):  # fmt: skip
        assert words in result.out, words
    assert "none differs" in result.err
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "Logons and movement" in page


def test_rows_are_pinned_tagged_and_looked_around(chat: Callable[..., Any]) -> None:
    result = chat(
        QUESTION, "/note E1 E2 the owner is on leave", "/tag [E1] patient-zero", "/pin e1 first code", "/pin E99999",
        "/tag E99999 x", "/pivot E99999", "/pivot E1 soon", "/pivot nobody", "/pivot FS-01 10", "/case",
        "/pivot E1 5", "/case",
    )  # fmt: skip
    for words in (
        "noted as N1, about E1 E2", "noted as N2, about E1", "noted as N3, about E1", "no evidence E99999",
        "no evidence 'E99999'",
        "soon is no number of minutes", "no row of this case names nobody", "minutes go with a row",
    ):  # fmt: skip
        assert words in result.err, words
    assert "tag: patient-zero" in result.out
    assert "pinned: first code" in result.out
    assert "2. Everything suspicious on a host (overview.host: host=" in result.out


def test_a_hunt_is_found_and_run(chat: Callable[..., Any]) -> None:
    result = chat(
        "/hunt remote-logon", "/hunt no such thing", "/hunt overview.host", "/hunt overview.host host",
        "/hunt overview.host host=FS-01", "/case",
    )  # fmt: skip
    assert "lateral-movement.remote-logon" in result.out
    assert "no hunt has 'no such thing'" in result.err
    assert result.err.count("error:") == 3
    assert "1. Everything suspicious on a host (overview.host: host=FS-01)" in result.out


def test_a_declined_question_does_not_spoil_the_next(chat: Callable[..., Any]) -> None:
    result = chat("what will the weather be in Lisbon", "which alerts are there on WS-042 in the last day?", "/case")
    first, _, second = result.out.partition("0 claims")
    assert "not a question about a security estate" in first
    assert "not a question about a security estate" not in second
    assert "1. what will the weather be in Lisbon" in second


def test_commands_without_a_case_say_what_to_do(chat: Callable[..., Any]) -> None:
    result = chat("/evidence", "/show E1", "/report", "/case", "/note x", "/pending")
    assert result.code == 0
    assert result.err.count("error: there is no case yet; ask a question first") == 5
    assert "nothing waits for a decision" in result.out


def test_unknown_and_ambiguous_commands(chat: Callable[..., Any]) -> None:
    result = chat("/dance", "/e", "/", "/why", "/pivot", "/tag E1", "/pin", "/note E1", "", "/quit", "/help")
    assert "not supported yet: /dance" in result.err
    for usage in ("/pivot ROW|NAME [MINUTES]", "/tag ROW ... WORD", "/pin ROW [TEXT]", "/note [ROW ...] TEXT"):
        assert f"something is missing: {usage}" in result.err
    assert "/e may be /" in result.err
    assert "something is missing: /why CLAIM" in result.err
    assert "anything else" not in result.out


def test_wrong_ids_name_what_there_is(chat: Callable[..., Any]) -> None:
    result = chat(
        QUESTION, "/show E99999", "/query Q99999", "/why C99999", "/show A-000000000000", "/export docx", "/gaps"
    )
    for words in (
        "no evidence E99999",
        "it has Q1 to Q",
        "it has C1 to C",
        "A-000000000000",
        "'docx'",
    ):
        assert words in result.err
    assert "Traceback" not in result.err


def test_an_artefact_is_explained_without_a_vendor(chat: Callable[..., Any]) -> None:
    result = chat("/explain powershell -nop -w hidden -c whoami", "explain the command line: whoami /priv")
    assert result.code == 0
    assert "It was read, not run." in result.out
    assert "Q1" not in result.err
