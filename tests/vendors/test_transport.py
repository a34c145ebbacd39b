import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tracehound.knowledge.errors import (
    VendorAuthError,
    VendorError,
    VendorRateLimitError,
    VendorRefusedError,
    VendorResponseError,
    VendorUnavailableError,
)
from tracehound.tools.vendors import failures
from tracehound.tools.vendors.attribution import attributed, user_agent
from tracehound.tools.vendors.pacing import Rate, RetryBudget
from tracehound.tools.vendors.redaction import Redactor
from tracehound.tools.vendors.tokens import FixedToken, OAuthTokens, Token
from tracehound.tools.vendors.transport import ActingSession, Session
from tracehound.tools.vendors.wire import Dialect, Operation, Tally, asked_wait, parse_time

pytestmark = pytest.mark.anyio
GET = Operation("reading", "GET", "/things/{id}", "the right to read things")
SLOW = Operation("long query", "POST", "/query", repeat_timeouts=False)
CHANGE = Operation("changing", "POST", "/change", changes=True)
Answers = list[httpx.Response | Exception]
CANARY = "s3cret/with+odd=chars"


class Scripted:
    """A transport that gives prepared answers, the last one for ever."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.requests = list(answers), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


DIALECT = Dialect(
    "Acme",
    "falcon",
    explain=lambda body: str(body.get("said", "")),
    request_id=lambda headers, body: headers.get("x-id"),
    keys="ACME_KEY",
    address="ACME_URL",
)


@pytest.fixture
def session(time: Any) -> Callable[..., tuple[Any, Scripted]]:
    def make(
        *answers: httpx.Response | Exception, kind: type[Session] = Session, **more: Any
    ) -> tuple[Session, Scripted]:
        script = Scripted(*answers)
        client = httpx.AsyncClient(transport=httpx.MockTransport(script))
        more.setdefault("redact", Redactor(CANARY))
        return kind(client, "https://acme.test/", DIALECT, time.clock, **more), script

    return make


def ok(**body: Any) -> httpx.Response:
    return httpx.Response(200, json=body or {"fine": True}, headers={"x-id": "id-1"})


def every_httpx_exception() -> list[type[Exception]]:
    found: list[type[Exception]] = []

    def walk(kind: type[Exception]) -> None:
        found.append(kind)
        for below in kind.__subclasses__():
            if below.__module__.startswith("httpx"):  # other packages derive from httpx, and may be loaded
                walk(below)

    for top in (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict):
        walk(top)
    return found


def made(kind: type[Exception]) -> Exception:
    if kind is httpx.HTTPStatusError:
        request = httpx.Request("GET", "https://acme.test")
        return httpx.HTTPStatusError("no", request=request, response=httpx.Response(500, request=request))
    try:
        return kind("no")
    except TypeError:
        return kind()


def test_the_walk_knows_all_public_exceptions_of_httpx() -> None:
    public = {item for item in vars(httpx).values() if isinstance(item, type) and issubclass(item, Exception)}
    assert public <= set(every_httpx_exception())


@pytest.mark.parametrize("kind", every_httpx_exception(), ids=lambda kind: kind.__name__)
async def test_no_httpx_exception_leaves_the_session(kind: type[Exception], session: Any) -> None:
    acme, _ = session(made(kind))
    with pytest.raises(VendorError, match=r"^Acme .* \(reading\)$") as caught:
        await acme.read(GET, place={"id": "1"})
    assert type(caught.value) in {VendorUnavailableError, VendorResponseError}
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "httpx errors hold the request"


@pytest.mark.parametrize("kind", every_httpx_exception(), ids=lambda kind: kind.__name__)
def test_every_httpx_exception_has_words_of_its_own_or_of_its_base(kind: type[Exception]) -> None:
    assert isinstance(made(kind), failures.HTTPX_ERRORS)
    error, words = failures.of_exception(made(kind))
    assert issubclass(error, VendorError)
    assert words


@pytest.mark.parametrize("status", [code for code in range(300, 600) if code not in (401, 429)])
async def test_every_status_outside_2xx_is_an_error_of_the_tree(status: int, session: Any) -> None:
    acme, _ = session(httpx.Response(status, json={"said": "because"}, headers={"x-id": "id-9"}))
    with pytest.raises(VendorError, match="because") as caught:
        await acme.read(GET, place={"id": "1"})
    expected = (
        VendorAuthError
        if status == 403
        else VendorUnavailableError
        if status == 408 or status >= 500
        else VendorRefusedError
        if status >= 400
        else VendorResponseError
    )
    assert type(caught.value) is expected
    assert (caught.value.status, caught.value.request_id, caught.value.platform) == (status, "id-9", "falcon")


async def test_a_burst_of_failures_is_waited_out_and_counted(session: Any, time: Any) -> None:
    acme, script = session(httpx.Response(503), httpx.ConnectError("down"), httpx.Response(500), ok())
    tally = Tally()
    reply = await acme.read(GET, place={"id": "a b/c"}, tally=tally)
    assert reply.body == {"fine": True}
    assert (tally.retries, tally.request_id) == (3, "id-1")
    assert time.slept == [0.5, 1.0, 2.0]
    assert script.requests[0].url.raw_path == b"/things/a%20b%2Fc"


async def test_attempts_are_bounded(session: Any) -> None:
    acme, script = session(httpx.Response(503))
    with pytest.raises(VendorUnavailableError):
        await acme.read(GET, place={"id": "1"})
    assert len(script.requests) == 4


async def test_the_budget_bounds_the_retries_of_all_calls_together(session: Any) -> None:
    acme, script = session(httpx.Response(503), budget=RetryBudget(5))
    for _ in range(10):
        with pytest.raises(VendorUnavailableError):
            await acme.read(GET, place={"id": "1"})
    assert len(script.requests) == 10 + 5


async def test_retry_after_in_seconds_is_obeyed(session: Any, time: Any) -> None:
    acme, _ = session(httpx.Response(429, headers={"Retry-After": "7"}), ok())
    await acme.read(GET, place={"id": "1"})
    assert time.slept == [7.0]


async def test_an_epoch_in_the_rate_limit_header_is_obeyed(session: Any, time: Any) -> None:
    moment = str(int(time.now().timestamp()) + 12)
    acme, _ = session(httpx.Response(429, headers={"X-RateLimit-RetryAfter": moment}), ok())
    await acme.read(GET, place={"id": "1"})
    assert time.slept == [12.0]


async def test_without_a_header_the_wait_is_a_minute(session: Any, time: Any) -> None:
    acme, _ = session(httpx.Response(429), ok())
    await acme.read(GET, place={"id": "1"})
    assert time.slept == [60.0]


async def test_a_wait_beyond_a_minute_is_told_not_waited(session: Any, time: Any) -> None:
    acme, script = session(httpx.Response(429, headers={"Retry-After": "900"}))
    with pytest.raises(VendorRateLimitError, match="asks to wait 900 s") as caught:
        await acme.read(GET, place={"id": "1"})
    assert caught.value.retry_after == 900
    assert len(script.requests) == 1
    assert time.slept == []


async def test_all_calls_wait_when_one_was_asked_to(session: Any, time: Any) -> None:
    acme, _ = session(httpx.Response(429, headers={"Retry-After": "30"}), ok())
    await acme.read(GET, place={"id": "1"})
    before = time.now()
    acme._cool_until = before.timestamp() + 10
    await acme.read(GET, place={"id": "2"})
    assert (time.now() - before).total_seconds() == 10


async def test_calls_slow_down_before_the_limit(session: Any, time: Any) -> None:
    acme, _ = session(httpx.Response(200, json={}, headers={"X-RateLimit-Remaining": "4"}), ok())
    await acme.read(GET, place={"id": "1"})
    await acme.read(GET, place={"id": "1"})
    assert time.slept == [pytest.approx(0.5)]


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("slow"), httpx.Response(504)], ids=["timeout", "504"])
async def test_a_query_that_is_too_large_is_not_repeated(answer: Any, session: Any) -> None:
    acme, script = session(answer)
    with pytest.raises(VendorUnavailableError):
        await acme.read(SLOW)
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "web page"),
        (b'{"rows": [1, 2', "not whole JSON"),
        (b"", "not whole JSON"),
        (b"[1]", "JSON list"),
        (b"[" * 100_000, "not whole JSON"),
        (b"\xff\xfe\x00", "not whole JSON"),
    ],
)
async def test_a_2xx_that_cannot_be_read_is_an_error(content: bytes, words: str, session: Any) -> None:
    acme, _ = session(httpx.Response(200, content=content))
    with pytest.raises(VendorResponseError, match=words):
        await acme.read(GET, place={"id": "1"})


async def test_a_redirect_is_named_and_not_followed(session: Any) -> None:
    acme, script = session(httpx.Response(308, headers={"Location": "https://elsewhere.test/x"}))
    with pytest.raises(VendorResponseError, match=r"elsewhere.*ACME_URL"):
        await acme.read(GET, place={"id": "1"})
    assert len(script.requests) == 1


async def test_an_endless_answer_is_cut_off(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracehound.tools.vendors.transport.LARGEST_ANSWER", 1000)

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b" " * 600

    async def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Endless())

    acme = Session(httpx.AsyncClient(transport=httpx.MockTransport(handler)), "https://acme.test", DIALECT)
    with pytest.raises(VendorResponseError, match="narrow"):
        await acme.read(GET, place={"id": "1"})


# credentials


async def test_a_token_is_renewed_once_after_a_401(session: Any, time: Any) -> None:
    issued: list[str] = []

    async def fetch(audience: str) -> Token:
        issued.append(audience)
        return Token(f"token-{len(issued)}", 1800)

    acme, script = session(httpx.Response(401), ok())
    acme.credentials = OAuthTokens(fetch, time.clock, acme.redact)
    tally = Tally()
    await acme.read(GET, place={"id": "1"}, tally=tally)
    assert [request.headers["authorization"] for request in script.requests] == ["Bearer token-1", "Bearer token-2"]
    assert tally.retries == 1
    acme, script = session(httpx.Response(401))
    acme.credentials = OAuthTokens(fetch, time.clock, acme.redact)
    with pytest.raises(VendorAuthError, match="ACME_KEY"):
        await acme.read(GET, place={"id": "1"})
    assert len(script.requests) == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_a_fixed_token_is_not_tried_again(status: int, session: Any) -> None:
    acme, script = session(httpx.Response(status), credentials=FixedToken("ApiToken x"))
    with pytest.raises(VendorAuthError, match="ACME_KEY" if status == 401 else "the right to read things"):
        await acme.read(GET, place={"id": "1"})
    assert len(script.requests) == 1


async def test_many_callers_share_one_token_until_it_is_old(time: Any) -> None:
    import anyio

    fetched: list[str] = []

    async def fetch(audience: str) -> Token:
        await anyio.sleep(0.01)
        fetched.append(audience)
        return Token(f"{audience}-{len(fetched)}", 1000)

    tokens = OAuthTokens(fetch, time.clock, Redactor())
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(tokens.header, "a")
    assert fetched == ["a"]
    assert await tokens.header("b") == "Bearer b-2"
    await time.sleep(849)
    assert await tokens.header("a") == "Bearer a-1"
    await time.sleep(2)
    assert await tokens.header("a") == "Bearer a-3"
    tokens.refused("a", "Bearer a-1")
    assert await tokens.header("a") == "Bearer a-3", "a late 401 on an old token must not drop its successor"


# what may change the world


async def test_a_reading_session_refuses_and_lacks_a_change(session: Any) -> None:
    acme, script = session(ok())
    with pytest.raises(TypeError, match="ActingSession"):
        await acme.read(CHANGE)
    assert not hasattr(acme, "change")
    assert script.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(429),
        httpx.Response(503),
        httpx.Response(401),
        httpx.ReadTimeout("?"),
        httpx.Response(200, text="x"),
    ],
    ids=["429", "503", "401", "timeout", "unreadable"],
)
async def test_a_change_is_sent_once_whatever_happens(answer: Any, session: Any, time: Any) -> None:
    async def fetch(audience: str) -> Token:
        return Token("t", 1800)

    acme, script = session(answer, kind=ActingSession)
    acme.credentials = OAuthTokens(fetch, time.clock, acme.redact)
    with pytest.raises(VendorError) as caught:
        await acme.change(CHANGE, body={})
    assert len(script.requests) == 1
    unclear = not isinstance(caught.value, VendorAuthError | VendorRateLimitError)
    assert ("whether it took effect is not known" in str(caught.value)) == unclear


# words


async def test_no_secret_is_in_an_error(session: Any) -> None:
    echo = (
        f"key {CANARY} and s3cret%2Fwith%2Bodd%3Dchars, Authorization: Bearer abcdef123456, eyJhbGciOiJIUzI1NiJ9.e30.x"
    )
    echo += ' "client_secret": "other-value"'
    answers: Answers = [
        httpx.Response(400, json={"said": echo}),
        httpx.ConnectError(echo),
        httpx.Response(308, headers={"Location": f"https://x.test/?access_token={CANARY}"}),
    ]
    for answer in answers:
        acme, _ = session(answer)
        with pytest.raises(VendorError) as caught:
            await acme.read(GET, place={"id": "1"})
        text = str(caught.value) + repr(caught.value)
        assert "[redacted]" in text
        assert not re.search(r"s3cret|abcdef123456|eyJ|other-value", text)


def test_a_vendors_words_stay_on_one_line_of_bounded_length() -> None:
    assert Redactor()("a\r\n\x1b[31mb\u202ec") == "a [31mb c"
    assert len(Redactor()("x" * 5000)) == 400


def test_the_user_agent_says_for_what() -> None:
    assert re.fullmatch(r"tracehound/[\w.]+", user_agent())
    with attributed(case="c-1"), attributed(approval="A-2; evil\r\n"):
        assert re.fullmatch(r"tracehound/[\w.]+ \(case=c-1; approval=A-2__evil__\)", user_agent())
    assert "case" not in user_agent()


async def test_the_user_agent_is_sent(session: Any) -> None:
    acme, script = session(ok())
    with attributed(case="c-77"):
        await acme.read(GET, place={"id": "1"})
    assert "case=c-77" in script.requests[0].headers["user-agent"]


# time


async def test_a_rate_spaces_calls_and_lets_a_burst_through(time: Any) -> None:
    minute = Rate(1, 60)
    for _ in range(3):
        await minute.turn(time.clock)
    assert time.slept == [60, 60]
    time.slept.clear()
    burst = Rate(60, 60, burst=5)
    for _ in range(7):
        await burst.turn(time.clock)
    assert time.slept == [1, 1]


async def test_callers_of_a_rate_queue_in_order(time: Any) -> None:
    import anyio

    order: list[tuple[int, float]] = []
    rate, start = Rate(1, 60), time.now()
    waits: list[float] = []

    async def record(seconds: float) -> None:
        waits.append(seconds)

    clock = type(time.clock)(time.now, record)

    async def caller(number: int) -> None:
        await rate.turn(clock)
        order.append((number, (time.now() - start).total_seconds()))

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(caller, number)
    assert waits == [60, 120, 180]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "Thu, 01 Jan 1970 00:16:50 GMT"}, 10),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-retryafter": "1020"}, 20),
        ({"x-ratelimit-retryafter": "900"}, 1),
        ({"x-ratelimit-retryafter": "9999999"}, 60),
        ({"x-ratelimit-retryafter": "nan"}, None),
    ],
)
def test_what_a_vendor_asks_to_wait(headers: dict[str, str], wait: float | None) -> None:
    assert asked_wait(headers, 1000.0) == wait


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-02-22T14:16:04.973070837Z", "2024-02-22T14:16:04.973070+00:00"),
        ("2024-02-22T14:16:04Z", "2024-02-22T14:16:04+00:00"),
        ("2024-02-22 14:16:04.5", "2024-02-22T14:16:04.500000+00:00"),
        ("2024-02-22T14:16:04.1234567+02:00", "2024-02-22T12:16:04.123456+00:00"),
    ],
)
def test_times_of_vendors(text: str, iso: str) -> None:
    moment = parse_time(text)
    assert moment
    assert moment.isoformat() == iso


def test_what_is_no_time() -> None:
    assert parse_time("yesterday") is None
    assert parse_time(None) is None


async def test_a_query_that_never_arrived_is_repeated(session: Any) -> None:
    acme, script = session(httpx.ConnectError("down"), ok())
    await acme.read(SLOW)
    assert len(script.requests) == 2


async def test_a_certificate_that_is_not_trusted_is_said_once(session: Any) -> None:
    acme, script = session(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"))
    with pytest.raises(VendorResponseError, match="TRACEHOUND_CA_FILE"):
        await acme.read(GET, place={"id": "1"})
    assert len(script.requests) == 1
