"""Every command of the manual: its options, its output on both streams, its exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from tracehound import cli

QUESTION = "show me lateral movement from WS-042 in the last day"
CLOCK = "2026-11-20T14:00:00Z"
Run = Callable[..., Any]

MANUAL = {
    "ask": "lab case model now since until platform json jsonl step",
    "triage": "lab case model now since until platform json jsonl step",
    "chat": "case resume lab",
    "translate": "language now json jsonl",
    "check": "collection schema functions json jsonl",
    "hunts list": "",
    "hunts show": "",
    "hunts search": "",
    "hunts run": "set",
    "hunts check": "",
    "hunts import": "out",
    "runbooks list": "",
    "runbooks show": "",
    "runbooks search": "",
    "runbooks add": "",
    "runbooks remove": "",
    "explain": "",
    "pending": "json",
    "approve": "by json",
    "reject": "by why",
    "undo": "by",
    "approver add": "role",
    "approver list": "",
    "approver revoke": "",
    "case list": "",
    "case show": "",
    "case export": "format out",
    "case verify": "key",
    "case replay": "model live json",
    "case handoff": "out",
    "case delete": "",
    "lab create": "scenario scale seed",
    "lab load": "lab",
    "lab serve": "lab port json real-time",
    "lab info": "json",
    "lab journal": "json",
    "lab fault": "lab",
    "audit verify": "",
    "audit export": "",
    "kill-switch status": "",
    "kill-switch raise": "by why",
    "kill-switch lower": "by why",
    "eval run": "model repeat baseline record replay out",
    "eval list": "",
    "eval diff": "",
    "doctor": "json",
    "config show": "origin",
}


def _commands() -> dict[str, Any]:
    top = typer.main.get_command(cli.app)
    found: dict[str, Any] = {}
    for name, command in top.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found |= {f"{name} {sub}": item for sub, item in inner.items()} if inner else {name: command}
    return found


@pytest.mark.parametrize("name", MANUAL)
def test_the_manuals_commands_and_options_exist(name: str) -> None:
    command = _commands()[name]
    options = {flag.lstrip("-") for parameter in command.params for flag in parameter.opts if flag.startswith("--")}
    assert set(MANUAL[name].split()) <= options
    assert command.help


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("tracehound ")


def test_unknown_command_is_usage(run: Run) -> None:
    assert run("divine").code == 2


def test_ask_prints_json_and_nothing_else(run: Run, kestrel: Path) -> None:
    result = run("ask", QUESTION, "--lab", str(kestrel), "--json")
    assert result.code == 0
    assert result.err == ""
    answer = json.loads(result.out)
    assert answer["schema"] == "tracehound.answer/1"
    assert (answer["model"], answer["estate"]) == ("offline", "lab")
    assert result.out.count("\n") == 1
    assert result.out.isascii()
    assert answer["proposals"][0]["status"] == "awaiting_approval"

    translated = json.loads(run("translate", QUESTION, "--now", CLOCK, "--json").out)
    assert translated["window"] == answer["window"]
    assert {query["hunt"] for query in translated["queries"]} <= {query["hunt"] for query in answer["queries"]}

    shown = run("case", "show", answer["case"], "--json")
    assert json.loads(shown.out)["timeline"] == answer["timeline"]
    assert run("case", "verify", answer["case"]).code == 0
    exported = run("case", "export", answer["case"], "--format", "md")
    assert exported.out.startswith("# show me lateral movement")
    assert run("case", "export", answer["case"], "--format", "docx").code == 2
    assert answer["case"] in run("case", "list").out
    assert json.loads(run("pending", "--json").out)[0]["id"] == answer["proposals"][0]["id"]
    assert run("case", "delete", answer["case"]).code == 2
    assert run("case", "delete", answer["case"], "--yes").code == 0
    assert run("case", "show", answer["case"]).code == 1


def test_ask_streams_typed_events_in_order(run: Run, kestrel: Path) -> None:
    result = run("ask", QUESTION, "--lab", str(kestrel), "--jsonl")
    assert result.code == 0
    events = [json.loads(line) for line in result.out.splitlines()]
    types = [event["type"] for event in events]
    assert set(types) <= {"session", "plan", "query", "evidence", "claim", "approval", "gap", "text", "error", "result"}
    assert types[0] == "session"
    assert types[-2:] == ["text", "result"]
    assert types.count("session") == types.count("result") == 1
    assert types.index("query") < types.index("evidence") < types.index("claim") < types.index("approval")
    answer = events[-1]
    assert answer["schema"] == "tracehound.answer/1"
    said = [event["query"]["id"] for event in events if event["type"] == "query"]
    assert sorted(said) == sorted(query["id"] for query in answer["queries"])
    told = {event["id"] for event in events if event["type"] == "evidence"}
    looked_up = {item["id"] for item in answer["evidence"] if item["class"] == "inventory_info"}
    assert {item["id"] for item in answer["evidence"]} - looked_up <= told


def test_ask_reads_well_without_a_terminal(run: Run, kestrel: Path) -> None:
    result = run("ask", QUESTION, "--lab", str(kestrel))
    assert result.code == 0
    assert "\x1b" not in result.out + result.err
    assert "model: offline" in result.err
    assert "Timeline (UTC)" in result.out
    assert "tracehound approve A-" in result.out
    assert "plan 1:" in result.err
    assert "plan 1:" not in result.out


def test_triage_is_a_draft_for_a_ticket(run: Run, kestrel: Path) -> None:
    alerts = json.loads(run("lab", "info", str(kestrel), "--json").out)["alerts"]
    result = run("triage", alerts["S1-credential-dumping"], "--lab", str(kestrel))
    assert result.code == 0
    for words in ("Verdict: true positive", "Next steps", "  1. ", "Timeline (UTC)", "Ticket: tracehound case export"):
        assert words in result.out


def test_hunt_runs_with_its_parameters(run: Run, kestrel: Path) -> None:
    arguments = ("hunts", "run", "execution.powershell", "--set", "host=WS-042", "--lab", str(kestrel), "--json")
    answer = json.loads(run(*arguments).out)
    assert answer["queries"]
    assert "execution.powershell" in {query["hunt"] for query in answer["queries"]}
    assert run("hunts", "run", "execution.powershell", "--set", "nonsense=1", "--lab", str(kestrel)).code == 2


def test_translate_shows_languages_side_by_side(run: Run) -> None:
    result = run("translate", QUESTION, "--now", CLOCK, "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert found["schema"] == "tracehound.translation/1"
    assert found["window"] == {
        "start": "2026-11-19T14:00:00.000Z", "end": "2026-11-20T14:00:00.000Z", "phrase": "in the last day"
    }  # fmt: skip
    assert {"kql", "cql", "s1ql", "fql"} <= {query["language"] for query in found["queries"]}
    assert all(query["check"]["ok"] for query in found["queries"])
    assert 0 < found["confidence"] <= 1
    assert found["searches"]
    assert found["declined"] is None
    only = json.loads(run("translate", QUESTION, "--language", "kql", "--json").out)
    assert {query["language"] for query in only["queries"]} == {"kql"}
    text = run("translate", QUESTION, "--language", "s1ql").out
    assert "sentinelone · s1ql" in text


@pytest.mark.parametrize("question", ["what will the weather be in Lisbon", "isolate WS-042", "triage the alert"])
def test_translate_declines_with_the_nearest_hunts(run: Run, question: str) -> None:
    result = run("translate", question, "--json")
    found = json.loads(result.out)
    assert result.code == 8
    assert found["queries"] == []
    assert found["declined"]["reason"]


def test_translate_batch_answers_every_line_in_order(run: Run) -> None:
    lines = [{"id": "a", "question": QUESTION}, {"id": "b", "question": " "}, {"id": "c", "question": "phishing mails"}]
    result = run("translate", "-", "--jsonl", stdin="\n".join(map(json.dumps, lines)) + "\n")
    found = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 0
    assert [row["id"] for row in found] == ["a", "b", "c"]
    assert [row["declined"] is None for row in found] == [True, False, True]


def test_check_gives_verdict_and_carets(run: Run) -> None:
    good = run("check", "kql", "DeviceProcessEvents | where Timestamp > ago(1d) | take 5", "--json")
    assert good.code == 0
    report = json.loads(good.out)
    assert (report["schema"], report["ok"], report["read_only"]) == ("tracehound.check/1", True, True)
    assert report["collections"] == ["DeviceProcessEvents"]
    assert report["lab"] == {"runnable": True, "unsupported": None}
    bad = run("check", "kql", "DeviceProcessEvents | where FileNam == 'x'")
    assert bad.code == 1
    assert "^^^^^^^" in bad.out
    assert "did you mean FileName?" in bad.out
    assert run("check", "kql", ".drop table T").code == 1
    assert run("check", "fql", "-", "--collection", "alerts", stdin="severity_name:'High'").code == 0


def test_check_against_own_tables(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tables.json").write_text('{"Own_CL": {"TimeGenerated": "datetime", "Who_s": "string"}}')
    query = "Own_CL | where TimeGenerated > ago(1h) | where Who_s == 'x'"
    assert run("check", "kql", query, "--schema", "tables.json").code == 0
    assert run("check", "kql", query).code == 1


def test_check_batch(run: Run) -> None:
    lines = '{"id": 1, "query": "severity_name:\'High\'", "collection": "alerts"}\n\n{"id": 2, "query": "((("}\n'
    result = run("check", "fql", "-", "--jsonl", stdin=lines)
    assert result.code == 0
    assert [(row["id"], row["ok"]) for row in map(json.loads, result.out.splitlines())] == [(1, True), (2, False)]
    broken = run("check", "fql", "-", "--jsonl", stdin='{"id": 1, "query": "x"}\n{oops\n')
    assert broken.code == 2
    assert "line 2" in broken.complaint


def test_explain_reads_an_encoded_command(run: Run) -> None:
    command = "powershell -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAIABOAGUAdAAuAFcAZQBiAEMAbABpAGUAbgB0ACkA"
    found = json.loads(run("explain", command, "--json").out)
    assert found["schema"] == "tracehound.explanation/1"
    assert run("explain", "-", stdin=command).out.strip().splitlines() == found["sentences"]
    assert run("explain", "-").code == 2


def test_content_commands(run: Run, tmp_path: Path) -> None:
    assert "lateral-movement.remote-service" in run("hunts", "list").out
    assert json.loads(run("hunts", "show", "lateral-movement.remote-service", "--json").out)["searches"]
    assert "searches:" in run("hunts", "show", "lateral-movement.remote-service").out
    assert "email." in run("hunts", "search", "phishing", "link").out
    (tmp_path / "bad.yaml").write_text("id: x\n")
    wrong = run("hunts", "check", str(tmp_path / "bad.yaml"))
    assert wrong.code == 1
    assert "bad.yaml" in wrong.out

    (tmp_path / "own.md").write_text("# Stolen badge\n\n## Check\n\nAsk the front desk about the turnstile log.\n")
    added = run("runbooks", "add", str(tmp_path / "own.md"))
    assert added.code == 0
    own = next(book for book in json.loads(run("runbooks", "list", "--json").out) if book["own"])
    assert "turnstile" in run("runbooks", "show", own["id"]).out
    assert own["id"] in run("runbooks", "search", "turnstile", "badge").out
    assert run("runbooks", "remove", own["id"]).code == 0
    assert run("runbooks", "show", own["id"]).code == 2


def test_lists_in_a_file_have_one_line_a_row(run: Run) -> None:
    lines = run("hunts", "list").out.splitlines()
    assert len(lines) == 1 + len(json.loads(run("hunts", "list", "--json").out))


def test_people_and_the_switch(run: Run) -> None:
    assert run("approver", "add", "ada", "--role", "admin").code == 0
    assert run("approver", "add", "ben", "--role", "lead", "--by", "ada").code == 0
    assert {item["name"] for item in json.loads(run("approver", "list", "--json").out)} == {"ada", "ben"}
    assert run("approver", "revoke", "ben", "--by", "ada").code == 0
    assert run("kill-switch", "raise", "K2", "--by", "ben", "--why", "drill").code == 0
    assert run("kill-switch", "status").out.startswith("K2")
    assert run("kill-switch", "lower", "K0", "--by", "ada", "--why", "drill over").code == 0
    assert run("kill-switch", "raise", "K9", "--by", "ada", "--why", "x").code == 2
    assert run("audit", "verify").code == 0
    assert run("audit", "export", "-o", "trail.jsonl").code == 0
    assert "nothing waits" in run("pending").out


def test_lab_commands(run: Run, lab: Path) -> None:
    info = json.loads(run("lab", "info", str(lab), "--json").out)
    assert {"clock", "seed", "names", "alerts", "events", "tables", "question"} <= set(info)
    assert run("lab", "info", str(lab)).out.startswith("directory: ")
    assert json.loads(run("lab", "journal", str(lab), "--json").out) == []
    assert run("lab", "fault", "falcon", "alerts", "500", "--lab", str(lab)).code == 0
    assert run("lab", "fault", "falcon", "alerts", "off", "--lab", str(lab)).code == 0
    assert run("lab", "fault", "falcon", "alerts", "gremlins", "--lab", str(lab)).code == 2


def test_doctor_and_config(run: Run, kestrel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = json.loads(run("doctor", "--lab", str(kestrel), "--json").out)
    assert report["ok"]
    checks = {item["check"] for item in report["checks"]}
    assert {"python", "home", "content", "index", "model", "falcon", "sentinelone", "defender", "clock"} <= checks
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("TRACEHOUND_MODEL", "some-model")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    shown = run("config", "show", "--origin")
    assert "sk-secret" not in shown.out
    assert "environment" in shown.out
    failing = run("doctor", "--lab", str(kestrel))
    assert failing.code == 3
    assert "FAIL" in failing.out
