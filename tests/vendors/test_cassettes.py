"""Replays of recorded conversations. `TRACEHOUND_RECORD=1 pytest tests/vendors/test_cassettes.py` records them anew.

They are recorded over a socket from the small vendors of this folder, since nobody has run this against a real tenant.
"""

import json
import os
import re
import socket
import threading
import time as wall
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import vcr
from vcr.record_mode import RecordMode

from tracehound.tools.languages.query import Language, Platform
from tracehound.tools.vendors import connect
from tracehound.tools.vendors.settings import EstateSettings

pytestmark = pytest.mark.anyio
CASSETTES = Path(__file__).parent / "cassettes"
RECORDING = bool(os.environ.get("TRACEHOUND_RECORD"))
NOWHERE = "http://127.0.0.1:9"
"""Nothing listens at the discard port: an answer can only come from the cassette."""

QUESTIONS = {
    "falcon": [
        (Platform.FALCON, Language.FQL, "alerts", "severity:>60", 25),
        (Platform.FALCON, Language.FQL, "hosts", "hostname:'HOST*'", 12),
        (Platform.FALCON, Language.CQL, "events", "#event_simpleName=ProcessRollup2 | tail(100)", 2),
    ],
    "sentinelone": [
        (Platform.SENTINELONE, Language.S1QL, "events", 'ProcessName ContainsCIS "a"', 30),
        (Platform.SENTINELONE, Language.REST, "threats", "GET /threats?resolved=false", 7),
    ],
    "microsoft": [
        (Platform.SENTINEL, Language.KQL, "SigninLogs", "SigninLogs | take 100", 2),
        (Platform.DEFENDER, Language.KQL, "DeviceProcessEvents", "DeviceProcessEvents | take 100", 1),
    ],
}


def without_secrets(response: dict[str, Any]) -> dict[str, Any]:
    try:
        body = json.loads(response["body"]["string"])
    except ValueError:
        return response
    if isinstance(body, dict) and "access_token" in body:
        response["body"]["string"] = json.dumps(body | {"access_token": "redacted"}).encode()
        response["headers"].pop("content-length", None)
    return response


def without_place(request: Any) -> Any:
    request.uri = re.sub(r"^http://127\.0\.0\.1:\d+", "https://vendor.test", request.uri)
    request.headers.pop("host", None)
    return request


RECORDER = vcr.VCR(
    cassette_library_dir=str(CASSETTES),
    record_mode=RecordMode.ALL if RECORDING else RecordMode.NONE,
    match_on=["method", "path", "query", "body"],
    filter_headers=["authorization"],
    filter_post_data_parameters=["client_id", "client_secret"],
    before_record_request=without_place,
    before_record_response=without_secrets,
)


@contextmanager
def served(app: Any) -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        wall.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(5)
        listener.close()


@pytest.mark.parametrize("vendor", sorted(QUESTIONS))
async def test_a_recorded_conversation(
    vendor: str, request: Any, environment: dict[str, str], ask: Any, time: Any, falcon: Any
) -> None:
    events = [{"@timestamp": str(1_772_000_000_000 + n), "@id": f"e{n}"} for n in range(2)]
    falcon.job = {"events": events, "filterMatches": 2, "metaData": {"eventCount": 2}}
    if RECORDING:
        with served(request.getfixturevalue(vendor).app) as address:
            await converse(vendor, address, environment, ask, time)
    else:
        await converse(vendor, NOWHERE, environment, ask, time)


async def converse(vendor: str, address: str, environment: dict[str, str], ask: Any, time: Any) -> None:
    prefix = f"TRACEHOUND_{vendor.upper()}_"
    own = {name: value for name, value in environment.items() if name.startswith(prefix)}
    settings = EstateSettings.from_environment(own | {f"{prefix}BASE_URL": address})
    estate = connect.estate(settings, now=time.now, clock=time.now, sleep=time.sleep)
    with RECORDER.use_cassette(f"{vendor}.yaml") as cassette:
        for platform, language, collection, text, rows in QUESTIONS[vendor]:
            reader = estate.reader(platform)
            assert reader
            run = await reader.run(ask(platform, language, collection, text))
            assert len(run.rows) == rows
            assert run.coverage.complete
            assert run.vendor_request_id or collection == "threats"
        assert RECORDING or cassette.all_played
    await estate.aclose()


SHAPES = {
    "a bearer or API token": r"(?i)(bearer|apitoken|basic)\s+[\w\-.~+/=]{6,}",
    "a JSON web token": r"eyJ[\w-]{8,}",
    "a client secret": r"(?i)client_secret\W+[\w~.-]{4,}",
    "an access token": r"(?i)access_token\W+(?!redacted)[\w~.-]{4,}",
    "an AWS key": r"AKIA[0-9A-Z]{16}",
    "a private key": r"BEGIN [A-Z ]*PRIVATE KEY",
}


@pytest.mark.parametrize("vendor", sorted(QUESTIONS))
def test_no_cassette_holds_the_shape_of_a_key(vendor: str, secret: str) -> None:
    text = (CASSETTES / f"{vendor}.yaml").read_text(encoding="utf-8")
    assert "interactions:" in text
    assert secret not in text
    assert not [name for name, shape in SHAPES.items() if re.search(shape, text)]


@pytest.mark.parametrize(
    "leak",
    ["authorization: ApiToken abcdefgh", "client_secret=abcdef", '"access_token": "abcdef"', "AKIAABCDEFGHIJKLMNOP"],
)
def test_the_search_for_keys_finds_keys(leak: str) -> None:
    assert any(re.search(shape, leak) for shape in SHAPES.values())
