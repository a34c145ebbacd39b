"""What `tracehound doctor` looks at: each finding says what is right, or what is wrong and what to do."""

import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypedDict

import httpx
from langchain_core.messages import HumanMessage

from ..graphs.calling import Caller
from ..graphs.reading import Tool
from ..graphs.think import Finish
from ..knowledge import attack
from ..knowledge.errors import ConfigurationError, ModelError, TracehoundError
from ..tools.vendors.connect import estate as connect
from ..tools.vendors.estate import Estate
from ..tools.vendors.probe import probe
from ..tools.vendors.settings import EstateSettings
from .models import open_model
from .settings import Settings, check_folder
from .shelves import open_library, open_retrieval, open_runbooks

OLDEST_PYTHON = (3, 11)
CLOCK_SECONDS = 60
"""A window of this length would be moved by a clock that is off by as much."""

EstateFactory = Callable[[], Estate]


class Finding(TypedDict):
    """One line of the report."""

    check: str
    ok: bool
    detail: str


async def examine(settings: Settings, estate_factory: EstateFactory | None = None) -> list[Finding]:
    """Look at everything; a failure is a finding, never an exception.

    Args:
        settings: Settings to examine.
        estate_factory: Opens the lab; without one the live vendors of the settings are meant.
    """
    return [
        _python(),
        _terminal(),
        _home(settings),
        _content(settings),
        _index(settings),
        await _model(settings),
        *await _vendors(settings, estate_factory),
    ]


def _python() -> Finding:
    version = platform.python_version()
    return _finding("python", sys.version_info >= OLDEST_PYTHON, f"{version} on {platform.system()}")


def _terminal() -> Finding:
    encoding = (sys.stdout.encoding or "unknown").lower()
    kind = "a terminal" if sys.stdout.isatty() else "no terminal: no colour, no prompts"
    return _finding("terminal", True, f"{encoding}, {kind}")


def _home(settings: Settings) -> Finding:
    try:
        return _finding("home", True, f"{check_folder(settings.home)} can be written")
    except ConfigurationError as exc:
        return _finding("home", False, str(exc))


def _content(settings: Settings) -> Finding:
    try:
        hunts, runbooks = open_library(settings).all(), open_runbooks(settings).list()
    except TracehoundError as exc:
        return _finding("content", False, str(exc))
    return _finding("content", True, f"{len(hunts)} hunts, {len(runbooks)} runbooks, ATT&CK {attack.version()}")


def _index(settings: Settings) -> Finding:
    try:
        found = open_retrieval(settings).search("lateral movement", 1)
    except TracehoundError as exc:
        return _finding("index", False, str(exc))
    return _finding("index", bool(found), f"{settings.home / 'index'} finds hunts and runbooks")


async def _model(settings: Settings) -> Finding:
    name = settings.get("model", "offline")
    if name == "offline":
        return _finding("model", True, "offline: rules, no network and no key")
    finish = Tool("finish", "Stop: nothing more is needed.", Finish)
    try:
        caller = Caller(open_model(name, settings))
        choice = await caller.choose([HumanMessage("Call the tool `finish`.")], [finish])
    except ModelError as exc:
        return _finding("model", False, f"{name}: {exc}")
    except ConfigurationError as exc:
        return _finding("model", False, str(exc))
    if not choice.actions:
        return _finding("model", False, f"{name} answers, and its answer could not be used: {choice.problem}")
    return _finding("model", True, f"{name} answers and calls tools")


async def _vendors(settings: Settings, factory: EstateFactory | None) -> list[Finding]:
    try:
        estate = factory() if factory else _live(settings)
    except TracehoundError as exc:
        return [_finding("vendors", False, str(exc))]
    try:
        probes = [item for reader in estate.readers for item in await probe(reader)]
    finally:
        await estate.aclose()
    found = [_finding(item.platform, item.ok, item.detail) for item in probes]
    return [*found, await _clock(settings, estate)]


def _live(settings: Settings) -> Estate:
    environment = EstateSettings.from_environment(settings.vendor_environment())
    return connect(environment, kind="live", name="", now=lambda: datetime.now(UTC))


async def _clock(settings: Settings, estate: Estate) -> Finding:
    """The offset to the vendors' `Date`: a wrong clock asks for a wrong window."""
    now = estate.now()
    if estate.kind == "lab":
        return _finding("clock", True, f"the lab's clock stands at {now:%Y-%m-%d %H:%M}Z")
    offsets = {name: offset for name in _addresses(settings) if (offset := await _offset(name)) is not None}
    if not offsets:
        return _finding("clock", True, f"{now:%Y-%m-%d %H:%M}Z; no vendor said what time it is")
    address, worst = max(offsets.items(), key=lambda item: abs(item[1]))
    ok = abs(worst) < CLOCK_SECONDS
    advice = "" if ok else "; set this machine's clock, or every window is moved by as much"
    return _finding("clock", ok, f"{worst:+.0f} s against {address}{advice}")


def _addresses(settings: Settings) -> list[str]:
    return [url for vendor in ("falcon", "sentinelone", "microsoft") if (url := settings.get(f"{vendor}_base_url"))]


async def _offset(address: str) -> float | None:
    """Seconds that this machine is ahead of a server, or None when the server does not say."""
    try:
        async with httpx.AsyncClient(timeout=5.0) as client:
            answer = await client.head(address)
        said = parsedate_to_datetime(answer.headers["date"])
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):
        return None
    return (datetime.now(UTC) - said).total_seconds()


def _finding(check: str, ok: bool, detail: str) -> Finding:
    return {"check": check, "ok": ok, "detail": detail}
