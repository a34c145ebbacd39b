"""Recorded traffic of an eval: what vendors and the model answered, so that a run repeats without either.

A tape holds one sample: one line for the world, one for each query that a vendor answered, one for each answer of the
model. The lines are keyed by what was asked, so the order in which parallel queries come back does not matter.
"""

import gzip
import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, message_to_dict, messages_from_dict
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool

from ..knowledge import errors
from ..knowledge.errors import RecordingError, StorageError, VendorError
from ..tools.languages.query import Platform, Query
from ..tools.languages.search import Window
from ..tools.vendors.estate import Coverage, Estate, QueryRun, Reader

Line = dict[str, Any]
_RUN = ("status", "duration_ms", "vendor_request_id", "error", "attempt", "locked_out")
_COVERAGE = ("rows", "total", "complete", "because", "pages", "retries")
_FAILURE = ("platform", "operation", "status", "request_id")


@dataclass
class Tape:
    """What was answered, by what was asked. A tape is either being recorded or replayed."""

    world: Line = field(default_factory=dict)
    """Kind, name and clock of the estate, its platforms, and how the lab calls what a deck names."""
    lines: dict[str, deque[Line]] = field(default_factory=lambda: defaultdict(deque))

    def add(self, key: str, line: Line) -> None:
        """Keep an answer."""
        self.lines[key].append(line)

    def play(self, key: str, asked: str) -> Line:
        """The next answer to what was asked; the last one stays.

        Raises:
            RecordingError: this was not asked when the tape was recorded.
        """
        answers = self.lines.get(key)
        if not answers:
            raise RecordingError(f"the recording holds no answer to {asked}; record the suite anew with --record")
        return answers.popleft() if len(answers) > 1 else answers[0]

    def write(self, path: Path) -> None:
        """Write the tape as gzip'd JSON lines.

        Raises:
            StorageError: the file cannot be written.
        """
        lines = [{"world": self.world}, *({"key": key, **line} for key, found in self.lines.items() for line in found)]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # No name and no time in the header: the same traffic is the same file.
            with path.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
                for line in lines:
                    file.write(json.dumps(line, ensure_ascii=True).encode() + b"\n")
        except OSError as exc:
            raise StorageError(f"{path} cannot be written: {exc.strerror or exc}") from exc

    @classmethod
    def read(cls, path: Path) -> "Tape":
        """A tape from its file.

        Raises:
            RecordingError: there is none, or it cannot be read.
        """
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                first, *rest = map(json.loads, file)
            tape = cls(world=first["world"])
            for line in rest:
                tape.add(line.pop("key"), line)
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise RecordingError(f"{path} is no recording of an eval ({exc}); make one with --record") from exc
        return tape


# Vendors


def recorded_estate(estate: Estate, tape: Tape) -> Estate:
    """The same estate; what its vendors answer is kept on the tape."""
    tape.world |= {
        "kind": estate.kind,
        "name": estate.name,
        "now": estate.now().isoformat(),
        "retention_days": {platform.value: days for platform, days in estate.retention_days.items()},
        "tenants": {platform.value: tenant for platform, tenant in estate.tenants.items()},
        "readers": [sorted(platform.value for platform in reader.platforms) for reader in estate.readers],
    }
    return replace(estate, readers=tuple(_Recorder(reader, tape) for reader in estate.readers))


def replayed_estate(tape: Tape) -> Estate:
    """An estate that answers from the tape alone; nothing can be executed in it."""
    world = tape.world
    now = datetime.fromisoformat(world["now"])
    return Estate(
        kind=world["kind"],
        readers=tuple(_Player(frozenset(map(Platform, platforms)), tape) for platforms in world["readers"]),
        now=lambda: now,
        name=world["name"],
        retention_days={Platform(name): days for name, days in world["retention_days"].items()},
        tenants={Platform(name): tenant for name, tenant in world["tenants"].items()},
    )


class _Recorder:
    def __init__(self, inner: Reader, tape: Tape) -> None:
        self.inner, self.tape, self.platforms = inner, tape, inner.platforms

    async def run(self, query: Query) -> QueryRun:
        try:
            run = await self.inner.run(query)
        except VendorError as exc:
            self.tape.add(
                _query_key(query), {"raised": type(exc).__name__, "message": str(exc), **_parts(exc, _FAILURE)}
            )
            raise
        self.tape.add(_query_key(query), _line(run))
        return run

    async def find_alert(self, alert_id: str) -> tuple[Platform, str, dict[str, Any]] | None:
        found = await self.inner.find_alert(alert_id)
        self.tape.add(_alert_key(self.platforms, alert_id), {"alert": found})
        return found

    async def aclose(self) -> None:
        await self.inner.aclose()


class _Player:
    def __init__(self, platforms: frozenset[Platform], tape: Tape) -> None:
        self.platforms, self.tape = platforms, tape

    async def run(self, query: Query) -> QueryRun:
        line = self.tape.play(_query_key(query), f"this query of {query.platform}: {query.text[:200]}")
        if "raised" in line:
            raised: type[VendorError] = getattr(errors, line["raised"])
            raise raised(line["message"], **_parts(line, _FAILURE))
        return _run(query, line)

    async def find_alert(self, alert_id: str) -> tuple[Platform, str, dict[str, Any]] | None:
        found = self.tape.play(_alert_key(self.platforms, alert_id), f"alert {alert_id}")["alert"]
        return (Platform(found[0]), found[1], found[2]) if found else None

    async def aclose(self) -> None:
        pass


def _query_key(query: Query) -> str:
    window = f"{query.window.start.isoformat()}/{query.window.end.isoformat()}"
    return f"query {query.platform} {query.language} {query.collection} {window} {query.limit} {query.text}"


def _alert_key(platforms: frozenset[Platform], alert_id: str) -> str:
    return f"alert {'+'.join(sorted(platforms))} {alert_id}"


def _parts(given: object, names: Sequence[str]) -> Line:
    return {name: given[name] if isinstance(given, Mapping) else getattr(given, name) for name in names}


def _line(run: QueryRun) -> Line:
    window = run.coverage.window
    return {
        "rows": list(run.rows),
        "started": run.started.isoformat() if run.started else None,
        "coverage": _parts(run.coverage, _COVERAGE) | {"window": window.model_dump(mode="json") if window else None},
        **_parts(run, _RUN),
    }


def _run(query: Query, line: Line) -> QueryRun:
    window = line["coverage"]["window"]
    return QueryRun(
        query=query,
        rows=line["rows"],
        started=datetime.fromisoformat(line["started"]) if line["started"] else None,
        coverage=Coverage(
            **_parts(line["coverage"], _COVERAGE), window=Window.model_validate(window) if window else None
        ),
        **_parts(line, _RUN),
    )


# The model


class TapedModel(BaseChatModel):
    """A chat model whose answers are kept on a tape, or come from one when there is no `inner` model."""

    inner: BaseChatModel | None = None
    tape: Any
    model_name: str

    @property
    def _llm_type(self) -> str:
        return "taped"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Remember the tools, in OpenAI's format."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("a taped model is asked asynchronously")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        key = _model_key(messages, kwargs)
        if self.inner is None:
            reply = messages_from_dict([self.tape.play(key, "this prompt of the model")["reply"]])[0]
        else:
            reply = await self.inner.ainvoke(messages, **kwargs)
            self.tape.add(key, {"reply": message_to_dict(reply)})
        return ChatResult(generations=[ChatGeneration(message=reply)])


def _model_key(messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> str:
    asked = [[message.type, message.content, getattr(message, "tool_calls", None)] for message in messages]
    text = json.dumps([asked, options], sort_keys=True, default=str)
    return "model " + hashlib.sha256(text.encode()).hexdigest()
