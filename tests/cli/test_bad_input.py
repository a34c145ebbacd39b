"""Bad input: one clear sentence, and the exit code that the manual promises."""

import asyncio
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tracehound.evals.lab.connect import environment
from tracehound.evals.lab.lab import Lab
from tracehound.evals.lab.serve import serving

QUESTION = "show me lateral movement from WS-042 in the last day"
Run = Callable[..., Any]


def test_off_topic(run: Run, kestrel: Path) -> None:
    result = run("ask", "what will the weather be in Lisbon", "--lab", str(kestrel), "--json")
    assert result.code == 8
    declined = json.loads(result.out)["declined"]
    assert "not a question about a security estate" in declined["reason"]


@pytest.mark.parametrize("question", ["", "   ", "\n\t"])
def test_empty(run: Run, question: str) -> None:
    result = run("ask", question)
    assert (result.code, result.out) == (2, "")
    assert result.complaint.startswith("the question is empty")


def test_unknown_host_names_candidates(run: Run, kestrel: Path) -> None:
    result = run("ask", "show me lateral movement from WS-941 in the last day", "--lab", str(kestrel), "--json")
    assert result.code == 8
    declined = json.loads(result.out)["declined"]
    assert "WS-941" in declined["reason"]
    assert declined["candidates"]
    assert all(name.startswith("WS-") for name in declined["candidates"])


def test_ambiguous_host_names_both_devices(run: Run, lab: Path) -> None:
    with duckdb.connect(str(lab / "telemetry.duckdb")) as db:
        twin = "ffffffffffffffffffffffffffffffff"
        db.execute(
            "INSERT INTO falcon_devices SELECT * REPLACE (? AS device_id, "
            "json_merge_patch(document, json_object('device_id', ?)) AS document) "
            "FROM falcon_devices WHERE hostname = 'WS-042'",
            [twin, twin],
        )
    result = run("ask", QUESTION, "--lab", str(lab), "--json")
    assert result.code == 8
    declined = json.loads(result.out)["declined"]
    assert len(declined["candidates"]) == 2
    assert any(twin in name for name in declined["candidates"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("show me lateral movement from WS-042 tomorrow",),
        (QUESTION, "--since", "2031-01-01T00:00:00Z"),
        (QUESTION, "--since", "2026-11-20T10:00:00Z", "--until", "2026-11-20T09:00:00Z"),
    ],
)
def test_window_that_cannot_be(run: Run, kestrel: Path, arguments: tuple[str, ...]) -> None:
    result = run("ask", *arguments, "--lab", str(kestrel))
    assert (result.code, result.out) == (2, "")
    assert "window" in result.complaint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.zip", b"PK\x03\x04 and nothing of a zip"),
        ("broken.json", b'{"EventID": 1,\n'),
        ("broken.evtx", b"ElfFile\x00garbage"),
        ("empty.json", b""),
    ],
)
def test_corrupt_recording_makes_no_lab(run: Run, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    result = run("lab", "load", str(tmp_path / name), "--lab", str(tmp_path / "new"))
    assert (result.code, result.out) == (1, "")
    assert name in result.complaint
    assert not (tmp_path / "new").exists()


def test_vendor_down_is_incomplete_evidence(run: Run, lab: Path) -> None:
    assert run("lab", "fault", "falcon", "all", "500", "--lab", str(lab)).code == 0
    result = run("ask", QUESTION, "--lab", str(lab), "--json")
    assert result.code == 4
    answer = json.loads(result.out)
    failed = [query for query in answer["queries"] if query["status"] == "error"]
    assert {query["platform"] for query in failed} == {"falcon"}
    assert all(query["error"] for query in failed)
    assert any(gap["kind"] == "failed" for gap in answer["gaps"])
    assert any(query["status"] == "ok" for query in answer["queries"])


@contextmanager
def served_lab(folder: Path) -> Iterator[dict[str, str]]:
    """The lab's vendors over TLS on loopback, from a thread; gives the settings for them."""
    ready, stop = threading.Event(), threading.Event()
    found: dict[str, str] = {}

    async def serve() -> None:
        async with serving(Lab.open(folder)) as served:
            found.update(environment(served["vendors"], served["ca_file"]))
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    try:
        yield found
    finally:
        stop.set()
        thread.join(30)


def test_wrong_key_of_a_vendor(run: Run, lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served_lab(lab) as vendors:
        for name, value in vendors.items():
            if not name.endswith("_ACTING"):
                secret = "SECRET" in name or "TOKEN" in name
                monkeypatch.setenv(name, "wrong" if secret else value)
        result = run("ask", QUESTION)
        examined = run("doctor", "--json")
    assert result.code == 3, result.err
    assert "credential" in result.complaint or "key" in result.complaint
    assert examined.code == 3
    refused = [item for item in json.loads(examined.out)["checks"] if not item["ok"]]
    assert {item["check"] for item in refused} >= {"falcon", "sentinelone", "sentinel", "defender"}


@contextmanager
def model_server(content: str, status: int = 200) -> Iterator[str]:
    """An OpenAI-compatible server on loopback that always says the same."""

    async def complete(request: Request) -> JSONResponse:
        if status != 200:
            return JSONResponse({"error": {"message": content, "type": "invalid_request_error"}}, status)
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return JSONResponse(
            {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
        )

    app = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.should_exit = True
        thread.join(10)


def test_nonsense_model(run: Run, kestrel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with model_server("colourless green ideas sleep furiously") as address:
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        result = run("ask", QUESTION, "--lab", str(kestrel), "--model", "nonsense")
    assert result.code == 7
    assert "repair" in result.complaint


def test_wrong_key_of_a_model(run: Run, kestrel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with model_server("Incorrect API key provided", 401) as address:
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        monkeypatch.setenv("OPENAI_API_KEY", "wrong")
        result = run("ask", QUESTION, "--lab", str(kestrel), "--model", "guarded")
    assert result.code == 3
    assert "key" in result.complaint


def test_model_out_of_reach(run: Run, kestrel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    result = run("ask", QUESTION, "--lab", str(kestrel), "--model", "nobody", "--jsonl")
    assert result.code == 3
    assert "could not be reached" in result.complaint
    last = json.loads(result.out.splitlines()[-1])
    assert (last["type"], last["exit_code"]) == ("error", 3)


def test_model_without_key_or_address(run: Run, kestrel: Path) -> None:
    result = run("ask", QUESTION, "--lab", str(kestrel), "--model", "gpt-x", "--json")
    assert (result.code, result.out) == (3, "")
    assert "OPENAI_API_KEY" in result.complaint


@pytest.mark.parametrize("command", [("ask", QUESTION), ("pending",), ("hunts", "search", "phishing")])
def test_folder_that_cannot_be_written(
    run: Run, tmp_path: Path, kestrel: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("TRACEHOUND_HOME", str(tmp_path / "file" / "home"))
    result = run(*command)
    assert (result.code, result.out) == (3, "")
    assert "cannot be written" in result.complaint
    assert "TRACEHOUND_HOME" in result.complaint


def test_disk_full_before_the_first_query(run: Run, kestrel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, os.strerror(28), str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    result = run("ask", QUESTION, "--lab", str(kestrel))
    assert (result.code, result.out) == (3, "")
    assert os.strerror(28) in result.complaint


def test_disk_full_in_the_middle(run: Run, kestrel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself refuses to grow the case, as on a full disk."""
    connect = sqlite3.connect

    def small(database: Any, *args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(database, *args, **kwargs)
        if str(database).endswith("case.sqlite"):
            connection.execute("PRAGMA max_page_count = 60")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    result = run("ask", QUESTION, "--lab", str(kestrel))
    assert (result.code, result.out) == (3, "")
    assert "full" in result.complaint


def test_no_lab_where_one_is_named(run: Run, tmp_path: Path) -> None:
    result = run("ask", QUESTION, "--lab", str(tmp_path / "nothing"))
    assert (result.code, result.out) == (2, "")
    assert "holds no lab" in result.complaint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ask", QUESTION, "--platform", "splunk"), "not supported yet: asking splunk"),
        (("ask", QUESTION, "--platform", "qradar"), "qradar"),
        (("ask", QUESTION, "--now", "yesterday"), "--now"),
        (("ask", QUESTION, "--step"), "terminal"),
        (("ask", QUESTION, "--case", "c-1"), "no case"),
        (("triage", " "), "alert id"),
        (("translate", QUESTION, "--language", "klingon"), "klingon"),
        (("check", "klingon", "x"), "klingon"),
        (("check", "fql", "x", "--schema", "tables.json"), "kql"),
        (("check", "kql", "x", "--schema", "missing.json"), "missing.json"),
        (("hunts", "show", "nothing.like-it"), "no hunt"),
        (("hunts", "run", "execution.powershell", "--set", "host"), "NAME=VALUE"),
        (("case", "show", "c-1"), "no case"),
        (("approve", "A-000000000000", "--by", "nobody"), "nobody"),
        (("chat", "--resume"), "no case"),
        (("lab", "load", "missing.zip"), "missing.zip"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_one_sentence_says_what_is_wrong(
    run: Run, kestrel: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.setenv("TRACEHOUND_LAB", str(kestrel))
    result = run(*arguments)
    assert result.code in (1, 2, 3)
    assert result.out == ""
    assert words in result.complaint


@pytest.mark.parametrize("content", ["no JSON", "[1]", '{"schema": "another/1"}'])
def test_what_is_no_report_of_a_run(run: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "old.json").write_text(content, encoding="utf-8")
    compared = run("eval", "diff", "old.json", "old.json")
    assert (compared.code, compared.out) == (2, "")
    assert "fault of Tracehound" not in compared.complaint
    assert "report" in compared.complaint


@pytest.mark.parametrize("name", ["old.json", "missing.json"])
def test_a_baseline_is_read_before_anything_runs(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the suites ran")

    monkeypatch.setattr("tracehound.evals.harness.run_suites", never)
    (tmp_path / "old.json").write_text("no JSON", encoding="utf-8")
    result = run("eval", "run", "refusals", "--baseline", name)
    assert result.code in (2, 3)
    assert name in result.complaint


def test_a_fault_of_the_program_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("deliberate")

    monkeypatch.setattr("tracehound.tools.explain.explain", broken)
    result = run("explain", "whoami")
    assert result.code == 1
    assert "ZeroDivisionError: deliberate" in result.complaint
    monkeypatch.setenv("TRACEHOUND_DEBUG", "1")
    assert "Traceback" in run("explain", "whoami").err


def test_default_lab_is_never_loaded_into(run: Run, tmp_path: Path) -> None:
    shutil.copy(__file__, tmp_path / "events.json")
    result = run("lab", "load", str(tmp_path / "events.json"), "--lab", "default")
    assert result.code == 2
    assert "never changed" in result.complaint
