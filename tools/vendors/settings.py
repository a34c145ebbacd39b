"""Addresses and credentials of the vendors, read from a mapping of `TRACEHOUND_*` variables.

Reading and acting credentials are two sets: the names of the second end in `_ACTING`. What is no credential (base URL,
tenant, workspace, sites) may be given once for both.
"""

from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from ...knowledge.errors import ConfigurationError

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_OFF = frozenset({"", "none", "off"})


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class _Vendor(_Settings):
    prefix: str = ""
    """Of the variables, `TRACEHOUND_FALCON`."""
    suffix: str = ""
    """`_ACTING` for the executor's."""

    def named(self, key: str) -> str:
        """The variable that holds a value, for messages."""
        return f"{self.prefix or type(self).default_prefix()}_{key}{self.suffix}"

    @classmethod
    def default_prefix(cls) -> str:
        """`TRACEHOUND_<VENDOR>`."""
        return f"TRACEHOUND_{cls.__name__.removesuffix('Settings').upper()}"


def _address(value: str) -> str:
    """A base URL without a trailing slash. Credentials never travel unencrypted, but to this machine.

    Raises:
        ValueError: it is no such URL.
    """
    parts = urlsplit(value)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("must be an https:// address such as https://api.example.com")
    return value.rstrip("/")


class FalconSettings(_Vendor):
    """An API client of one CrowdStrike tenant."""

    base_url: str = "https://api.crowdstrike.com"
    client_id: str
    client_secret: SecretStr
    member_cid: str | None = None
    repository: str = "search-all"
    """NG-SIEM repository or view of the raw events."""

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return _address(value)


class SentinelOneSettings(_Vendor):
    """A service user's token of one SentinelOne console."""

    base_url: str
    api_token: SecretStr
    account_ids: tuple[str, ...] = ()
    site_ids: tuple[str, ...] = ()
    seconds_between_queries: float = Field(default=60.0, ge=0)
    """Between two starts of a Deep Visibility query: a token may start one a minute. 0: this console sets no such limits."""

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return _address(value).removesuffix("/web/api/v2.1")


class MicrosoftSettings(_Vendor):
    """An Entra application in one tenant. Without `workspace_id` there is no Sentinel, without `graph_url` no Defender."""

    tenant_id: str
    client_id: str
    client_secret: SecretStr
    workspace_id: str = ""
    login_url: str = "https://login.microsoftonline.com"
    loganalytics_url: str = "https://api.loganalytics.azure.com"
    graph_url: str = "https://graph.microsoft.com"
    mde_url: str = "https://api.security.microsoft.com"

    @field_validator("login_url", "loganalytics_url", "mde_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return _address(value).removesuffix("/v1")

    @field_validator("graph_url")
    @classmethod
    def _is_an_address_or_off(cls, value: str) -> str:
        return "" if value.lower() in _OFF else _address(value).removesuffix("/v1.0")


class _Connections(_Settings):
    falcon: FalconSettings | None = None
    sentinelone: SentinelOneSettings | None = None
    microsoft: MicrosoftSettings | None = None
    ca_file: str | None = None
    """PEM file of an authority to trust beside the system's."""
    proxy: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no vendor is configured."""
        return self.falcon is None and self.sentinelone is None and self.microsoft is None

    @classmethod
    def _read(cls, env: Mapping[str, str], suffix: str) -> Self:
        return cls(
            falcon=_falcon(_Variables(env, "TRACEHOUND_FALCON", suffix)),
            sentinelone=_sentinelone(_Variables(env, "TRACEHOUND_SENTINELONE", suffix)),
            microsoft=_microsoft(_Variables(env, "TRACEHOUND_MICROSOFT", suffix)),
            ca_file=env.get("TRACEHOUND_CA_FILE") or None,
            proxy=env.get("TRACEHOUND_PROXY") or env.get("HTTPS_PROXY") or env.get("https_proxy") or None,
        )


class EstateSettings(_Connections):
    """Everything that reading needs."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """From `TRACEHOUND_{FALCON,SENTINELONE,MICROSOFT}_*`, `TRACEHOUND_CA_FILE` and `TRACEHOUND_PROXY`.

        Raises:
            ConfigurationError: a vendor is configured in part, or a value is not valid; names the variable.
        """
        return cls._read(env, "")


class ActingSettings(_Connections):
    """Everything that the executor needs: credentials that may isolate, and no others."""

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """From the same variables with `_ACTING`; addresses and tenants fall back to those without.

        Raises:
            ConfigurationError: a vendor is configured in part, or a value is not valid; names the variable.
        """
        return cls._read(env, "_ACTING")


class _Variables:
    """The variables of one vendor."""

    def __init__(self, env: Mapping[str, str], prefix: str, suffix: str) -> None:
        self._env, self.prefix, self.suffix = env, prefix, suffix

    def own(self, key: str) -> str:
        """A value under its full name alone: credentials never fall back."""
        return self._env.get(f"{self.prefix}_{key}{self.suffix}", "").strip()

    def shared(self, key: str) -> str:
        """A value that reading and acting may share."""
        return self.own(key) or self._env.get(f"{self.prefix}_{key}", "").strip()

    def connected(self, secrets: tuple[str, ...], others: tuple[str, ...]) -> bool:
        """Whether the vendor is configured.

        Raises:
            ConfigurationError: some of its variables are set, and one that it needs is not.
        """
        present = [key for key in (*secrets, *others) if self.own(key)]
        missing = [key for key in secrets if not self.own(key)] + [key for key in others if not self.shared(key)]
        if not present:
            return False
        if missing:
            name = f"{self.prefix}_{missing[0]}{self.suffix}"
            raise ConfigurationError(
                f"{name} is not set, and {self.prefix}_{present[0]}{self.suffix} is: set both or none"
            )
        return True

    def build(self, kind: type[Any], values: Mapping[str, Any]) -> Any:
        """The model of the vendor.

        Raises:
            ConfigurationError: a value is not valid; the message repeats no value.
        """
        given = {key: value for key, value in values.items() if value not in ("", ())}
        try:
            return kind(prefix=self.prefix, suffix=self.suffix, **given)
        except ValidationError as exc:
            first = exc.errors(include_input=False, include_url=False)[0]
            key = str(first["loc"][0]).upper() if first["loc"] else "settings"
            key = _SPELLING.get(key, key)
            raise ConfigurationError(
                f"{self.prefix}_{key}{self.suffix}: {first['msg'].removeprefix('Value error, ')}"
            ) from None


_SPELLING = {"SECONDS_BETWEEN_QUERIES": "QUERY_INTERVAL"}


def _falcon(read: _Variables) -> FalconSettings | None:
    if not read.connected(("CLIENT_ID", "CLIENT_SECRET"), ()):
        if read.own("BASE_URL"):
            raise ConfigurationError(f"{read.prefix}_CLIENT_ID{read.suffix} is not set, and {read.prefix}_BASE_URL is")
        return None
    values = {key.lower(): read.shared(key) for key in ("BASE_URL", "MEMBER_CID", "REPOSITORY")}
    values |= {"client_id": read.own("CLIENT_ID"), "client_secret": read.own("CLIENT_SECRET")}
    settings: FalconSettings = read.build(FalconSettings, values)
    return settings


def _sentinelone(read: _Variables) -> SentinelOneSettings | None:
    if not read.connected(("API_TOKEN",), ("BASE_URL",)):
        return None
    values = {
        "base_url": read.shared("BASE_URL"),
        "api_token": read.own("API_TOKEN"),
        "account_ids": _listed(read.shared("ACCOUNT_IDS")),
        "site_ids": _listed(read.shared("SITE_IDS")),
        "seconds_between_queries": read.shared("QUERY_INTERVAL"),
    }
    settings: SentinelOneSettings = read.build(SentinelOneSettings, values)
    return settings


def _microsoft(read: _Variables) -> MicrosoftSettings | None:
    if not read.connected(("CLIENT_ID", "CLIENT_SECRET"), ("TENANT_ID",)):
        return None
    everywhere = read.shared("BASE_URL")
    values = {
        "tenant_id": read.shared("TENANT_ID"),
        "client_id": read.own("CLIENT_ID"),
        "client_secret": read.own("CLIENT_SECRET"),
        "workspace_id": read.shared("WORKSPACE_ID"),
        **{
            key: read.shared(key.upper()) or everywhere
            for key in ("login_url", "loganalytics_url", "graph_url", "mde_url")
        },
    }
    settings: MicrosoftSettings = read.build(MicrosoftSettings, values)
    return settings


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
