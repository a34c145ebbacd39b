"""A real headless Chromium, driven over the DevTools protocol; every page gets a tab and a log of what it asked for."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from websockets.sync.client import ClientConnection, connect

from tracehound.tools.evidence.records import (
    Answer,
    CheckRecord,
    Claim,
    Evidence,
    Gap,
    Note,
    Proposal,
    QueryRecord,
    RunbookHit,
    TimelineEntry,
    WindowRecord,
)

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions",
    "--disable-dev-shm-usage", "--mute-audio", "--remote-debugging-port=0", "--window-size=1400,900",
)  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
START = datetime(2026, 11, 1, 8, tzinfo=UTC)


class Tab:
    """One page: commands go in, answers and events come out."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection, self._number = connection, 0
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Network", "Runtime", "Log", "Audits"):
            self.send(f"{domain}.enable")
        self.prefer()

    def prefer(self, scheme: str = "light", media: str = "") -> None:
        """Colour scheme and medium; scrolling jumps, so that what is pointed at stays where it is."""
        features = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        self.send(
            "Emulation.setEmulatedMedia",
            media=media,
            features=[{"name": name, "value": value} for name, value in features.items()],
        )

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=60))
            if message.get("id") == self._number:
                assert "error" not in message, message["error"]
                return dict(message.get("result", {}))
            self.events.append(message)

    def open(self, page: Path) -> None:
        self.events.clear()
        self.send("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + 60
        while not self.named("Page.loadEventFired"):
            assert time.monotonic() < deadline, "the page did not load"
            self.events.append(json.loads(self._connection.recv(timeout=60)))
        self.send("Page.bringToFront")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def settle(self) -> None:
        """Let handlers, frames and timers of the page run."""
        self.run("new Promise(done => setTimeout(() => requestAnimationFrame(() => setTimeout(done, 20)), 120))")

    def key(self, name: str, code: int, text: str = "", modifiers: int = 0) -> None:
        common = {"key": name, "code": name, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def hover(self, selector: str) -> None:
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center', "
            "behavior: 'instant'}); const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2] })()"
        )
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def named(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event.get("method") == method]

    @property
    def requests(self) -> list[str]:
        return [event["request"]["url"] for event in self.named("Network.requestWillBeSent")]

    @property
    def complaints(self) -> list[str]:
        """What the browser has to say against the page: violated policies, errors, exceptions, dialogs."""
        issues = [json.dumps(event["issue"]) for event in self.named("Audits.issueAdded")]
        logged = [event["entry"]["text"] for event in self.named("Log.entryAdded")]
        thrown = [json.dumps(event) for event in self.named("Runtime.exceptionThrown")]
        dialogs = [event["message"] for event in self.named("Page.javascriptDialogOpening")]
        return [*(issue for issue in issues if "ContentSecurityPolicy" in issue), *logged, *thrown, *dialogs]

    def screenshot(self, place: Path) -> None:
        place.write_bytes(b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]))


class Browser:
    """A running browser with a profile of its own."""

    def __init__(self, program: str, profile: Path) -> None:
        self._program, self._profile = program, profile

    def __enter__(self) -> "Browser":
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        self._process = subprocess.Popen(
            [self._program, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        chosen = self._profile / "DevToolsActivePort"
        deadline = time.monotonic() + 40
        while not (chosen.exists() and len(chosen.read_text().splitlines()) > 1):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                pytest.skip(f"{self._program} does not start here, so the HTML report is not driven in a browser")
            time.sleep(0.05)
        self._port, path = chosen.read_text().splitlines()[:2]
        self._open = ExitStack()
        self._control = self._open.enter_context(connect(f"ws://127.0.0.1:{self._port}{path}", max_size=None))
        self._number = 0
        return self

    def __exit__(self, *exc: object) -> None:
        if hasattr(self, "_open"):
            self._open.close()
        self._process.terminate()
        self._process.wait(timeout=20)

    def _command(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._control.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._control.recv(timeout=60))
            if message.get("id") == self._number:
                return dict(message["result"])

    @contextmanager
    def tab(self) -> Iterator[Tab]:
        target = self._command("Target.createTarget", url="about:blank")["targetId"]
        with connect(f"ws://127.0.0.1:{self._port}/devtools/page/{target}", max_size=None) as connection:
            yield Tab(connection)
        self._command("Target.closeTarget", targetId=target)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    named = os.environ.get("TRACEHOUND_CHROMIUM")
    program = named or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("there is no Chromium on PATH or in TRACEHOUND_CHROMIUM, so the HTML report is not driven in one")
    # Not in pytest's folder: a browser that is just ending may still write into its profile.
    profile = Path(tempfile.mkdtemp(prefix="chromium-"))
    try:
        with Browser(program, profile) as running:
            yield running
    finally:
        shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    with browser.tab() as opened:
        yield opened


Verdict = Literal["suspicious", "context", "benign"]


def evidence(number: int, text: str, **fields: Any) -> Evidence:
    """A row of a process launch that carries a text wherever an attacker may write."""
    sha256 = f"{number:064x}"
    known = {
        "activity": "Launch", "process.name": text, "process.cmd_line": text, "process.pid": 1_000 + number,
        "process.uid": f"p{number}", "actor.process.name": "services.exe", "actor.process.pid": 700,
        "device.hostname": text,
    }  # fmt: skip
    return Evidence(
        id=f"E-{number:012x}", alias=f"E{number}", query="Q1", platform="falcon", collection=text,
        time=START + timedelta(minutes=number), host=text, user=text, event_class="process_activity",
        fields=known | {text: text} | fields, raw={text: text, "nested": {text: [text]}}, sha256=sha256,
    )  # fmt: skip


@pytest.fixture
def made() -> Callable[..., Answer]:
    """Makes an answer of some entries, whose every field that an attacker may write holds a text."""

    def make(
        entries: int = 12, text: Callable[[int], str] | str = "whoami.exe", verdict: Verdict = "suspicious"
    ) -> Answer:
        def said(number: int) -> str:
            return text(number) if callable(text) else text

        window = WindowRecord(start=START, end=START + timedelta(days=1), phrase=said(1))
        query = QueryRecord(
            id="Q1", platform="falcon", language="cql", collection=said(2), text=said(3), check=CheckRecord(ok=True),
            status="ok", rows=entries, total=entries, complete=False, incomplete_because=said(4), window=window,
            hunt="execution.lolbin", pages=1, error=said(5), cannot_express=(said(6),),
        )  # fmt: skip
        techniques = (("T1059.001",), ("T1021.002",), ())
        hosts = ("SRV-1", "SRV-2", "WS-3", said(7))
        platforms = (("falcon",), ("sentinelone", "defender"))
        rows = [evidence(number, said(number)) for number in range(1, entries + 1)]
        rows += [
            evidence(
                entries + number, said(number), activity="Logon", logon_type=said(number), status="Success",
                **{"user.name": said(number), "src_endpoint.ip": "10.0.0.9", "src_endpoint.hostname": said(number)},
            ).model_copy(update={"event_class": "authentication", "host": f"SRV-{number}"})
            for number in (1, 2)
        ]  # fmt: skip
        claims = [
            Claim(
                id=f"C{n}", kind="observation", subject=said(n), predicate="x", object=said(n), evidence=(row.id,),
                queries=("Q1",), text=f"{said(n)} `{said(n)}` [E{n}]", verified=n % 2 == 0, why_not=said(n),
            )
            for n, row in enumerate(rows, 1)
        ]  # fmt: skip
        timeline = [
            TimelineEntry(
                time=START + timedelta(minutes=n), text=f"Step {n}: {said(n)} ran `{said(n)}`: ruled out, {said(n)}",
                evidence=(row.id,), techniques=(*techniques[n % 3], said(n)), hosts=(hosts[n % 4],),
                platforms=platforms[n % 2], claim=f"C{n}", verdict="benign" if n % 6 == 5 else verdict,
            )
            for n, row in enumerate(rows, 1)
        ]  # fmt: skip
        return Answer(
            case="c-20261101-080000-000abcdef", question=said(8), model=said(9), estate=said(10), window=window,
            route="search", summary=f"{said(11)} [E1] and [E2]\n`{said(12)}`", queries=(query,), evidence=tuple(rows),
            timeline=tuple(timeline), claims=tuple(claims),
            gaps=(Gap(kind="capped", text=said(13), queries=("Q1", said(14))),),
            runbooks=(
                RunbookHit(id=said(15), title=said(16), section=said(17), score=0.5, text=f"- {said(18)}\n`{said(19)}`"),
            ),
            notes=(
                Note(
                    id="N-0123456789ab", alias="N1", author=said(30), text=said(31), written=START, sha256="0" * 64,
                    evidence=(rows[1].id,), time=START,
                ),
            ),
            proposals=(
                Proposal(
                    id=said(20), action=said(21), platform=said(22), target={said(23): said(24)}, reason=said(25),
                    evidence=(rows[0].id,), undo=said(26), status=said(27), blast_radius={said(28): [said(29)]},
                ),
            ),
        )  # fmt: skip

    return make
