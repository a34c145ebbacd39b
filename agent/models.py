"""Opening a chat model by name: the offline one, or any OpenAI-compatible server."""

from langchain_core.language_models import BaseChatModel

from ..knowledge.errors import ConfigurationError
from .settings import Settings

TIMEOUT_SECONDS = 300.0
RETRIES = 2
ANSWER_TOKENS = 4_096
"""Small models repeat themselves until somebody stops them."""


def open_model(name: str, settings: Settings | None = None) -> BaseChatModel:
    """The chat model of a name; `offline` needs nothing.

    Raises:
        ConfigurationError: neither a key nor a base URL is set for an online model.
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
    from pydantic import SecretStr

    return ChatOpenAI(
        model=name,
        api_key=SecretStr(key or "not-needed"),
        base_url=base_url or None,
        timeout=TIMEOUT_SECONDS,
        max_retries=RETRIES,
        temperature=0,
        max_completion_tokens=ANSWER_TOKENS,
        use_responses_api=False,
        stream_usage=True,
    )
