"""The executor as a process of its own, against a Falcon that listens on loopback."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tracehound import Approver
from tracehound.knowledge.errors import (
    ApprovalError,
    ConfigurationError,
    DeniedError,
    NotPendingError,
    VendorUnavailableError,
)
from tracehound.tools.response import Desk, State, subprocess_executor

pytestmark = pytest.mark.anyio


class Falcon(ThreadingHTTPServer):
    """Token, host and containment of one host; containment is seen after two reads."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.reads, self.contained, self.down = "normal", 0, 0, False
        self.seen: list[str] = []
        self.lock = threading.Lock()

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        with self.lock:
            self.seen.append(path)
            if path.startswith("/oauth2/token"):
                return 201, {"access_token": "t0ken", "expires_in": 1799, "token_type": "bearer"}
            if self.down:
                return 503, {"errors": [{"code": 503, "message": "later"}]}
            if path.startswith("/devices/entities/devices/"):
                self.reads += 1
                if self.status == "containment_pending" and self.reads > 2:
                    self.status = "contained"
                host = {"device_id": "d-7", "hostname": "PC-7", "cid": "tenant-1", "status": self.status}
                host |= {"product_type_desc": "Workstation", "last_seen": "2026-03-02T12:00:00Z"}
                return 200, {"resources": [host], "errors": [], "meta": {}}
            if "action_name=contain" in path:
                self.contained, self.reads, self.status = self.contained + 1, 0, "containment_pending"
                return 202, {"resources": [{"id": "d-7", "path": "/"}], "errors": [], "meta": {"trace_id": "tr-1"}}
            return 200, {"resources": [], "errors": [], "meta": {}}


class _Handler(BaseHTTPRequestHandler):
    server: Falcon  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status, body = self.server.answer(self.path)
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def falcon() -> Iterator[Falcon]:
    server = Falcon()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def wall(house: Any) -> Any:
    """The house on the clock of this machine, which the executor's process shares."""
    house.desk = Desk(house.home, "lab")
    return house


def environment(home: Path, falcon: Falcon, **changes: str) -> dict[str, str]:
    values = {
        "TRACEHOUND_HOME": str(home),
        "TRACEHOUND_ESTATE": "lab",
        "TRACEHOUND_FALCON_BASE_URL_ACTING": f"http://127.0.0.1:{falcon.server_port}",
        "TRACEHOUND_FALCON_CLIENT_ID_ACTING": "acting-client",
        "TRACEHOUND_FALCON_CLIENT_SECRET_ACTING": "canary-5ecret",
    }
    return {name: value for name, value in (values | changes).items() if value}


async def test_an_approval_is_carried_out_by_another_process(wall: Any, falcon: Falcon) -> None:
    wanted = wall.propose()
    run = subprocess_executor(environment(wall.home, falcon))
    outcome = await wall.desk.approve(wanted, Approver.open("lead"), run)
    assert (outcome.status, falcon.contained) == ("verified", 1)
    assert await wall.desk.approve(wanted, Approver.open("second"), run) == outcome
    assert wall.desk.audit.verify() == []
    for kept in wall.home.rglob("*"):
        assert kept.is_dir() or b"canary-5ecret" not in kept.read_bytes(), f"{kept} holds the acting secret"


async def test_it_prints_one_line_and_its_exit_code(wall: Any, falcon: Falcon) -> None:
    wanted = wall.propose()

    def run(*arguments: str, **changes: str) -> tuple[int, dict[str, Any], str]:
        command = [sys.executable, "-m", "tracehound.tools.response", *arguments]
        ran = subprocess.run(
            command, env=environment(wall.home, falcon, **changes), capture_output=True, text=True, timeout=60
        )
        assert ran.stdout.count("\n") == 1
        return ran.returncode, json.loads(ran.stdout), ran.stderr

    code, said, noise = run(wanted)
    assert (code, said["kind"], noise) == (6, "NotPendingError", "")
    wall.desk.ledger.decide(wanted, Approver.open("lead"), "approve")
    assert run(wanted, TRACEHOUND_ESTATE="")[0] == 3
    assert run()[0] == 2
    code, said, noise = run(wanted)
    assert (code, said["status"], said["id"], noise) == (0, "verified", wanted, "")
    assert run(wanted)[:2] == (0, said)
    assert falcon.contained == 1


async def test_its_troubles_are_told_to_who_approves(wall: Any, falcon: Falcon) -> None:
    wanted = wall.propose()
    without = environment(wall.home, falcon, TRACEHOUND_FALCON_CLIENT_SECRET_ACTING="")
    with pytest.raises(ConfigurationError, match="CLIENT_SECRET_ACTING"):
        await wall.desk.approve(wanted, Approver.open("lead"), subprocess_executor(without))
    desk = Desk(wall.home, "lab", grace_seconds=0)
    falcon.down = True
    with pytest.raises(VendorUnavailableError):
        await desk.approve(wanted, Approver.open("lead"), subprocess_executor(environment(wall.home, falcon)))
    falcon.down = False
    assert wall.desk.approval(wanted).state is State.APPROVED
    broken = subprocess_executor({"PYTHONHOME": str(wall.home / "nowhere")})
    with pytest.raises(ApprovalError, match="stopped before it recorded"):
        await desk.approve(wanted, Approver.open("lead"), broken)
    with pytest.raises(ConfigurationError, match="cannot start"):
        await desk.approve(wanted, Approver.open("lead"), subprocess_executor({}, python=sys.executable + "-none"))
    elsewhere = environment(wall.home, falcon, TRACEHOUND_ESTATE="live")
    with pytest.raises((DeniedError, NotPendingError)):
        await desk.approve(wanted, Approver.open("lead"), subprocess_executor(elsewhere))
    assert falcon.contained == 0


def test_the_executor_knows_no_model_no_graph_and_no_lab() -> None:
    code = "import sys, tracehound.tools.response.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    foreign = ("langgraph", "langchain", "openai", "chromadb", "duckdb")
    assert not [name for name in loaded if name.startswith(foreign)]
    ours = {name.split(".")[1] for name in loaded if name.startswith("tracehound.")}
    assert ours <= {"tools", "knowledge"}
