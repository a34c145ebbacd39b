"""The one way in which any vendor is called: paced, retried within bounds, attributed, failing in plain sentences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import anyio
import httpx

from ...knowledge.errors import (
    VendorAuthError,
    VendorError,
    VendorRateLimitError,
    VendorRefusedError,
    VendorResponseError,
    VendorUnavailableError,
)
from . import failures
from .attribution import user_agent
from .pacing import Clock, Rate, RetryBudget, backoff
from .redaction import Redactor
from .wire import (
    Answer,
    Body,
    Credentials,
    Dialect,
    Headers,
    Operation,
    Params,
    Reply,
    Request,
    Tally,
    asked_wait,
    read_object,
)

LONGEST_WAIT = 60.0
"""Seconds that one retry may wait: the default after a 429 without a header, and the most that is waited for."""
PATIENCE = 150.0
"""Seconds that all retries of one call may wait together."""
LARGEST_ANSWER = 200_000_000
"""Bytes after decompression; the largest documented answer is 124 MB."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """One attempt that failed, before it is decided whether there is another."""

    error: VendorError
    retry_in: float | None = None
    """Seconds; None: trying again cannot help."""
    header: str | None = None
    """The credential that was sent, when it is what the vendor refused."""


@dataclass
class Session:
    """Calls to one base URL of one vendor. It can only read; `ActingSession` can do more."""

    client: httpx.AsyncClient
    base_url: str
    dialect: Dialect
    clock: Clock = field(default_factory=Clock)
    credentials: Credentials | None = None
    redact: Redactor = field(default_factory=Redactor)
    rate: Rate = field(default_factory=lambda: Rate(50, 1, burst=50))
    concurrent: int = 10
    budget: RetryBudget = field(default_factory=RetryBudget)

    def __post_init__(self) -> None:
        self._slots = anyio.Semaphore(self.concurrent)
        self._cool_until = 0.0

    async def read(
        self,
        operation: Operation,
        *,
        place: Mapping[str, str] | None = None,
        params: Params = (),
        body: Body | None = None,
        form: Mapping[str, str] | None = None,
        headers: Headers | None = None,
        tally: Tally | None = None,
    ) -> Reply:
        """Call an endpoint that changes nothing, again where that may help.

        Raises:
            VendorError: no usable answer; the class says which kind.
        """
        if operation.changes:
            raise TypeError(f"{operation.name} changes the world: only an ActingSession may call it")
        request = Request(operation, _path(operation, place), params, body, form, headers)
        tally = tally or Tally()
        waited, attempt, renewed = 0.0, 1, False
        while True:
            outcome = await self._attempt(request, attempt, tally)
            if isinstance(outcome, Reply):
                self.budget.earn()
                return outcome
            if not renewed and self._renew(operation, outcome):
                renewed, tally.retries = True, tally.retries + 1
                continue
            wait = outcome.retry_in
            if wait is None or attempt >= operation.attempts or waited + wait > PATIENCE or not self.budget.spend():
                raise outcome.error
            waited, attempt, tally.retries = waited + wait, attempt + 1, tally.retries + 1
            if isinstance(outcome.error, VendorRateLimitError):
                self._cool_until = max(self._cool_until, self.clock.seconds() + wait)
            else:
                await self.clock.sleep(wait)

    def error(
        self,
        kind: type[VendorError],
        operation: Operation,
        what: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
    ) -> VendorError:
        """An error about this vendor: one sentence `<vendor> <what> (<operation>)`, without secrets."""
        return kind(
            f"{self.dialect.vendor} {self.redact(what)} ({operation.name})",
            platform=self.dialect.platform,
            operation=operation.name,
            status=status,
            request_id=request_id,
        )

    async def _attempt(self, request: Request, attempt: int, tally: Tally) -> Reply | _Failure:
        """One call, in the vendor's time and with a valid credential."""
        operation = request.operation
        header = await self.credentials.header(operation.audience) if self.credentials else None
        async with self._slots:
            await self._cool_down()
            await self.rate.turn(self.clock)
            answer = await self._send(request, header, attempt)
        if isinstance(answer, _Failure):
            return answer
        self._heed_remaining(answer.headers)
        body = read_object(answer.content) if answer.content or operation.method != "DELETE" else {}
        request_id = self.dialect.request_id(answer.headers, body if isinstance(body, dict) else {})
        tally.request_id = tally.request_id or request_id
        if not 200 <= answer.status < 300:
            return self._refusal(operation, answer, body if isinstance(body, dict) else {}, request_id, attempt, header)
        if isinstance(body, str):
            return _Failure(
                self.error(VendorResponseError, operation, body, status=answer.status, request_id=request_id)
            )
        return Reply(answer.status, answer.headers, body, request_id, len(answer.content))

    async def _send(self, request: Request, header: str | None, attempt: int) -> Answer | _Failure:
        """Bytes out, bytes in. Failures are values, so that no exception of httpx is chained to ours."""
        operation = request.operation
        headers = {"User-Agent": user_agent(), "Accept": "application/json", **(request.headers or {})}
        if header:
            headers["Authorization"] = header
        try:
            async with self.client.stream(
                operation.method,
                self.base_url.rstrip("/") + request.path,
                params=list(request.params) or None,
                json=request.body,
                data=request.form,
                headers=headers,
                timeout=httpx.Timeout(operation.timeout, connect=10.0),
                follow_redirects=False,
            ) as response:
                content = bytearray()
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > LARGEST_ANSWER:
                        what = "sent more than 200 MB; narrow the query"
                        return _Failure(self.error(VendorResponseError, operation, what))
                return Answer(response.status_code, response.headers, bytes(content))
        except failures.HTTPX_ERRORS as exc:
            kind, what = failures.of_exception(exc)
            reason = self.redact(f"{type(exc).__name__}: {exc}", longest=160).removesuffix(":")
            advice = failures.advice(exc) or f"check {self.dialect.address} and the network, or ask again later"
            error = self.error(kind, operation, f"{what} [{reason}]; {advice}")
            too_large = isinstance(exc, httpx.ReadTimeout) and not operation.repeat_timeouts
            again = isinstance(error, VendorUnavailableError) and not too_large
            return _Failure(error, backoff(attempt, self.clock) if again else None)

    def _refusal(
        self, operation: Operation, answer: Answer, body: Body, request_id: str | None, attempt: int, header: str | None
    ) -> _Failure:
        """An answer outside 2xx as an error with the vendor's words and what to do about it."""
        kind, what = failures.of_status(answer.status)
        said = self.redact(self.dialect.explain(body), longest=250)
        sentence = f"{what} with status {answer.status}" + (f": {said.rstrip('. ')}" if said else "")
        asked = asked_wait(answer.headers, self.clock.seconds())
        advice = self._advice(operation, answer, asked)
        error = self.error(
            kind,
            operation,
            f"{sentence}; {advice}" if advice else sentence,
            status=answer.status,
            request_id=request_id,
        )
        refused = header if self.dialect.token_refused(answer.status, body) else None
        return _Failure(error, self._retry_in(operation, error, asked, attempt), refused)

    def _advice(self, operation: Operation, answer: Answer, asked: float | None) -> str:
        match answer.status:
            case 401:
                return f"check {self.dialect.keys}"
            case 403:
                return f"the credentials need {operation.needs}" if operation.needs else f"check {self.dialect.keys}"
            case 429 if asked is not None:
                return f"it asks to wait {asked:.0f} s"
            case 504:
                return "narrow the window or the query"
            case status if 300 <= status < 400:
                return f"it points to {answer.headers.get('location', 'nowhere')}; correct {self.dialect.address}"
            case _:
                return ""

    def _retry_in(self, operation: Operation, error: VendorError, asked: float | None, attempt: int) -> float | None:
        if isinstance(error, VendorRateLimitError):
            error.retry_after = asked
            wait = LONGEST_WAIT if asked is None else asked
        elif isinstance(error, VendorUnavailableError):
            if error.status == 504 and not operation.repeat_timeouts:
                return None
            wait = backoff(attempt, self.clock) if asked is None else asked
        else:
            return None
        return wait if wait <= LONGEST_WAIT else None

    def _renew(self, operation: Operation, failure: _Failure) -> bool:
        """Whether a fresh token is worth one more attempt: a missing right would be missed again."""
        if failure.header is None or self.credentials is None:
            return False
        return self.credentials.refused(operation.audience, failure.header)

    async def _cool_down(self) -> None:
        """A vendor that asked one call for patience is left alone by all."""
        while (rest := self._cool_until - self.clock.seconds()) > 0:
            await self.clock.sleep(rest)

    def _heed_remaining(self, headers: Headers) -> None:
        """Slow down before a limit is hit, as CrowdStrike's own client does."""
        remaining = headers.get("x-ratelimit-remaining", "")
        if remaining.isdigit() and int(remaining) <= 10:
            pause = 0.2 if int(remaining) > 5 else 0.5
            self._cool_until = max(self._cool_until, self.clock.seconds() + pause)


class ActingSession(Session):
    """A session of the executor: it may change the world, once per call and never again by itself."""

    async def change(
        self,
        operation: Operation,
        *,
        place: Mapping[str, str] | None = None,
        params: Params = (),
        body: Body | None = None,
        tally: Tally | None = None,
    ) -> Reply:
        """Send a state-changing call exactly once.

        Raises:
            VendorUnavailableError: no answer; whether the call took effect is not known.
            VendorError: the vendor did not accept it.
        """
        if not operation.changes:
            raise TypeError(f"{operation.name} changes nothing: use read")
        outcome = await self._attempt(Request(operation, _path(operation, place), params, body), 1, tally or Tally())
        if isinstance(outcome, Reply):
            return outcome
        error = outcome.error
        if isinstance(error, VendorAuthError | VendorRefusedError | VendorRateLimitError):
            raise error
        unknown = f"{error}; whether it took effect is not known: read the state before trying again"
        raise type(error)(
            unknown,
            platform=error.platform,
            operation=error.operation,
            status=error.status,
            request_id=error.request_id,
        )


def _path(operation: Operation, place: Mapping[str, str] | None) -> str:
    return operation.path.format_map({name: quote(value, safe="") for name, value in (place or {}).items()})
