"""Settings: flags, then environment, then `tracehound.toml` of the project, then the user's file, then defaults.

Secrets come from the environment, or as a reference that any layer may hold: `file:PATH` or `keyring:SERVICE/NAME`.
A secret written into a settings file is refused.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_config_path, user_data_path

from ..knowledge.errors import ConfigurationError, UsageError

DEFAULTS: Mapping[str, str] = {"model": "offline", "window": "7", "dialect": "auto", "base_url": "", "lab": ""}

_VENDOR_KEYS = {
    "falcon": ("base_url", "client_id", "client_secret", "member_cid", "repository"),
    "sentinelone": ("base_url", "api_token", "site_ids", "account_ids", "query_interval"),
    "microsoft": (
        "base_url", "tenant_id", "client_id", "client_secret", "workspace_id", "login_url", "loganalytics_url",
        "graph_url", "mde_url",
    ),
}  # fmt: skip

VENDOR_SETTINGS = frozenset(
    f"{vendor}_{key}{suffix}" for vendor, keys in _VENDOR_KEYS.items() for key in keys for suffix in ("", "_acting")
)
GENERAL_SETTINGS = frozenset(
    {"home", "lab", "model", "base_url", "dialect", "window", "user", "content", "ca_file", "proxy", "answer_limit"}
)
_ELSEWHERE = {"base_url": "OPENAI_BASE_URL", "api_key": "OPENAI_API_KEY"}
"""Settings whose environment variable is not TRACEHOUND_<NAME>."""


def is_secret(name: str) -> bool:
    """Whether a setting's value must never be shown or written to a settings file."""
    return name == "api_key" or "secret" in name or "token" in name


@dataclass(frozen=True)
class Setting:
    """One resolved value and where it came from."""

    name: str
    value: str
    origin: str

    @property
    def shown(self) -> str:
        """The value for a person: secrets are masked."""
        return ("set" if self.value else "not set") if is_secret(self.name) else self.value


@dataclass(frozen=True)
class Settings:
    """Resolved settings. `Settings()` reads the process's environment and the files; tests pass their own.

    Raises:
        ConfigurationError: an unreadable file, an unknown key in one, a secret written into one.
    """

    flags: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: Path = field(default_factory=Path.cwd)
    user_file: Path = field(default_factory=lambda: user_config_path("tracehound") / "tracehound.toml")
    _resolved: dict[str, Setting] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        layers = (
            ("flag", dict(self.flags)),
            ("environment", self._from_environment()),
            (str(self.folder / "tracehound.toml"), _from_file(self.folder / "tracehound.toml")),
            (str(self.user_file), _from_file(self.user_file)),
            ("default", dict(DEFAULTS)),
        )
        for name in sorted(GENERAL_SETTINGS | VENDOR_SETTINGS | {"api_key"}):
            for origin, values in layers:
                if values.get(name):
                    self._resolved[name] = Setting(name, values[name], origin)
                    break

    def _from_environment(self) -> dict[str, str]:
        found = {
            name: self.environment.get(_ELSEWHERE.get(name, f"TRACEHOUND_{name.upper()}"), "")
            for name in GENERAL_SETTINGS | VENDOR_SETTINGS | {"api_key"}
        }
        return {name: value for name, value in found.items() if value}

    def get(self, name: str, default: str = "") -> str:
        """A value, with `file:` and `keyring:` references followed."""
        setting = self._resolved.get(name)
        return _follow(name, setting.value) if setting else default

    def all(self) -> list[Setting]:
        """Every setting that has a value, by name."""
        return [self._resolved[name] for name in sorted(self._resolved)]

    @property
    def home(self) -> Path:
        """Folder of cases, labs, approvals, audit and approvers' keys."""
        return Path(self.get("home")).expanduser() if self.get("home") else user_data_path("tracehound")

    @property
    def user(self) -> str:
        """Who is at the keyboard."""
        return self.get("user") or self.environment.get("USER") or self.environment.get("USERNAME") or "analyst"

    @property
    def window_days(self) -> int:
        """Days that a question without a window looks back."""
        text = self.get("window").removesuffix("d")
        if not text.isdigit() or not 1 <= int(text) <= 30:
            raise ConfigurationError(f"TRACEHOUND_WINDOW is {text!r}; give a number of days from 1 to 30")
        return int(text)

    def vendor_environment(self, *, acting: bool = False) -> dict[str, str]:
        """Vendor settings as TRACEHOUND_* variables: those for reading, or those for the executor."""
        names = {
            name for name in self._resolved if name in VENDOR_SETTINGS and (acting or not name.endswith("_acting"))
        }
        names |= {"ca_file", "proxy"} & self._resolved.keys()
        proxies = {name: self.environment[name] for name in ("HTTPS_PROXY", "https_proxy") if name in self.environment}
        return {**proxies, **{f"TRACEHOUND_{name.upper()}": self.get(name) for name in names}}

    @property
    def has_vendors(self) -> bool:
        """Whether any vendor is configured for reading."""
        return any(name in VENDOR_SETTINGS and not name.endswith("_acting") for name in self._resolved)


def _from_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from exc
    values: dict[str, str] = {}
    for key, value in content.items():
        inner = value.items() if isinstance(value, dict) else ((None, value),)
        for sub, item in inner:
            name = f"{key}_{sub}" if sub else key
            if name not in GENERAL_SETTINGS | VENDOR_SETTINGS | {"api_key"}:
                raise ConfigurationError(f"{path}: there is no setting {name!r}; `tracehound config show` lists them")
            if is_secret(name) and not str(item).startswith(("file:", "keyring:")):
                raise ConfigurationError(
                    f"{path}: {name} is a secret; put it into the environment, or write file:PATH or keyring:SERVICE/NAME"
                )
            values[name] = str(item)
    return values


def _follow(name: str, value: str) -> str:
    if value.startswith("file:"):
        try:
            return Path(value.removeprefix("file:")).expanduser().read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise ConfigurationError(f"{name} points to {value}, which cannot be read: {exc.strerror}") from exc
    if value.startswith("keyring:"):
        return _from_keyring(name, value)
    return value


def _from_keyring(name: str, value: str) -> str:
    try:
        import keyring  # pyright: ignore[reportMissingImports]  # not a dependency: its owner installs it
    except ImportError as exc:
        raise ConfigurationError(f"{name} points to {value}; install it with: pip install keyring") from exc
    service, _, entry = value.removeprefix("keyring:").partition("/")
    found = keyring.get_password(service, entry)
    if found is None:
        raise ConfigurationError(f"{name} points to {value}, and the keyring has no such entry")
    return str(found)


def check_folder(home: Path) -> Path:
    """Make the home folder and prove that it can be written.

    Raises:
        ConfigurationError: it cannot; names the folder and the reason.
    """
    probe = home / ".write-probe"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as exc:
        raise ConfigurationError(
            f"{home} cannot be written ({exc.strerror or exc}); free space there or set TRACEHOUND_HOME to another folder"
        ) from exc
    return home


def require_question(text: str) -> str:
    """The question without surrounding blanks.

    Raises:
        UsageError: nothing is left.
    """
    if not text.strip():
        raise UsageError(
            'the question is empty; ask something like: tracehound ask "show me lateral movement from HOST"'
        )
    return text.strip()
