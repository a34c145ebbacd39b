"""Opening a chat model by name: the offline one, or any OpenAI-compatible server."""

from langchain_core.language_models import BaseChatModel

from ..graphs.calling import PATIENCE
from ..knowledge.errors import ConfigurationError
from .settings import Settings

RETRIES = 2
ANSWER_TOKENS, ANSWER_TOKENS_LOCAL = 4_096, 1_024
"""How long an answer may be. Reasoning counts; small models on a server of one's own repeat themselves until stopped."""


def open_model(name: str, settings: Settings | None = None) -> BaseChatModel:
    """The chat model of a name; `offline` needs nothing. `close_model` ends its connections.

    Raises:
        ConfigurationError: neither a key nor a base URL is set for an online model, or the limit of an answer is none.
    """
    if name == "offline":
        from .offline import OfflineChatModel

        return OfflineChatModel()
    settings = settings or Settings()
    key, base_url = settings.get("api_key"), settings.get("base_url")
    if not key and not base_url:
        raise ConfigurationError(
            f"model {name!r} needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own; "
            "TRACEHOUND_MODEL=offline needs neither"
        )
    from langchain_openai import ChatOpenAI
    from openai import DefaultAsyncHttpxClient
    from pydantic import SecretStr

    return ChatOpenAI(
        model=name,
        api_key=SecretStr(key or "not-needed"),
        base_url=base_url or None,
        timeout=PATIENCE,
        max_retries=RETRIES,
        temperature=0,
        max_completion_tokens=_answer_limit(settings, local=bool(base_url)),
        use_responses_api=False,
        stream_usage=True,
        # The library's own default is one client for all event loops of a process; a second loop finds it broken.
        http_async_client=DefaultAsyncHttpxClient(timeout=PATIENCE),
    )


async def close_model(model: BaseChatModel) -> None:
    """Close the connections of a model that `open_model` opened."""
    client = getattr(model, "root_async_client", None)
    if client is not None:
        await client.close()


def _answer_limit(settings: Settings, *, local: bool) -> int:
    text = settings.get("answer_limit") or str(ANSWER_TOKENS_LOCAL if local else ANSWER_TOKENS)
    if not text.isdigit() or int(text) < 1:
        raise ConfigurationError(f"TRACEHOUND_ANSWER_LIMIT is {text!r}; give the number of tokens of an answer")
    return int(text)
