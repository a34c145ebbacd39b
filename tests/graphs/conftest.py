"""A model server on loopback that says what a test tells it to, and a lab whose vendors are watched."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tracehound.agent.models import open_model
from tracehound.agent.settings import Settings
from tracehound.evals.lab.lab import Lab
from tracehound.tools.languages.query import Platform, Query
from tracehound.tools.vendors.estate import Estate, QueryRun, Reader

Body = dict[str, Any]


def said(text: str | None, **message: Any) -> Response:
    """A chat completion with a text, or with other fields of a message."""
    return completion({"role": "assistant", "content": text, **message})


def called(*calls: tuple[str, Any]) -> Response:
    """A chat completion with native tool calls; arguments that are a string are sent as they are."""
    tool_calls = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for number, (name, given) in enumerate(calls)
    ]
    return said(None, tool_calls=tool_calls)


def completion(message: Body, finish: str = "stop") -> Response:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "played",
        "choices": [choice],
        "usage": usage,
    }
    return Response(json.dumps(body), media_type="application/json")


def failed(status: int, message: str = "no") -> Response:
    """An error body; the client's own retries come at once."""
    return JSONResponse({"error": {"message": message}}, status, headers={"retry-after-ms": "1"})


@dataclass
class Player:
    """A model server. `answers` decides from the request; `requests` is what it saw."""

    url: str = ""
    answers: Callable[[Body], Response] = lambda _: said("")
    delay: float = 0.0
    requests: list[Body] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    """Paths that were asked for and belong to no model server."""

    def script(self, *answers: Response) -> None:
        """These answers in turn; the last one for ever."""
        self.answers = lambda _: answers[min(len(self.requests), len(answers)) - 1]

    @property
    def dialects(self) -> list[str]:
        """Which dialect each request was made in."""
        return [
            "native" if "tools" in body else "json_schema" if "response_format" in body else "fenced"
            for body in self.requests
        ]

    def settings(self, home: Path, **more: str) -> Settings:
        environment = {
            "TRACEHOUND_HOME": str(home),
            "TRACEHOUND_MODEL": "played",
            "OPENAI_BASE_URL": self.url,
            "OPENAI_API_KEY": "a-key",
            **more,
        }
        return Settings(environment=environment, folder=home, user_file=home / "none.toml")

    def model(self, home: Path) -> Any:
        return open_model("played", self.settings(home))


@pytest.fixture
def player() -> Iterator[Player]:
    played = Player()

    def answer(request: Request, body: Body) -> Response:
        played.requests.append(body)
        played.keys.append(request.headers.get("authorization", ""))
        return played.answers(body)

    async def chat(request: Request) -> Response:
        import anyio

        response = answer(request, await request.json())
        await anyio.sleep(played.delay)
        return response

    async def stranger(request: Request) -> Response:
        played.strangers.append(request.url.path)
        return JSONResponse({})

    routes = [Route("/v1/chat/completions", chat, methods=["POST"])]
    routes.append(Route("/{path:path}", stranger, methods=["GET", "POST", "PATCH", "PUT"]))
    app = Starlette(routes=routes)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    played.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    yield played
    server.force_exit = server.should_exit = True
    thread.join(5)
    listener.close()


@dataclass
class Watched:
    """A vendor's reader that remembers every query that reached it."""

    inner: Reader
    sent: list[Query]
    platforms: frozenset[Platform] = field(init=False)

    def __post_init__(self) -> None:
        self.platforms = self.inner.platforms

    async def run(self, query: Query) -> QueryRun:
        self.sent.append(query)
        return await self.inner.run(query)

    async def find_alert(self, alert_id: str) -> Any:
        return await self.inner.find_alert(alert_id)

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab.create(tmp_path_factory.mktemp("lab") / "kestrel")


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder for many questions, so that its index is built once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def watched(lab: Lab) -> tuple[Estate, list[Query]]:
    """The lab's estate, and the list of queries that reach its vendors."""
    estate = lab.estate()
    sent: list[Query] = []
    return replace(estate, readers=tuple(Watched(reader, sent) for reader in estate.readers)), sent


@pytest.fixture
def answers() -> dict[str, Callable[..., Response]]:
    """Makers of answers: `said`, `called`, `completion`, `failed`."""
    return {"said": said, "called": called, "completion": completion, "failed": failed}
