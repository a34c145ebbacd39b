"""Vendor values as vocabulary values: times, numbers, names and addresses. Pure; what cannot be read is None."""

import html
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from ..languages.views import Attribute
from .records import iso_z

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NONE = frozenset({"", "-", "--", "null", "none", "n/a"})
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_FILETIME_EPOCH = 11_644_473_600_000_000
"""Microseconds from 1601 to 1970."""
_TWELVE = re.compile(
    r"(?:(?P<y>\d{4})-(?P<m>\d\d?)-(?P<d>\d\d?)|(?P<m2>\d\d?)/(?P<d2>\d\d?)/(?P<y2>\d{4})),?[ T]"
    r"(?P<h>\d\d?):(?P<min>\d\d)(?::(?P<s>\d\d)(?:\.(?P<f>\d+))?)? ?(?P<half>[ap])\.?m\.?(?: ?(?:UTC|GMT|Z))?",
    re.IGNORECASE,
)
_ISO_TAIL = re.compile(r"\s*(UTC|GMT)$", re.IGNORECASE)


def parse_time(value: Any, kind: str = "datetime") -> datetime | None:
    """An aware UTC time from ISO text (any fraction, no zone means UTC), a 12-hour clock, or an epoch number.

    Args:
        value: Text or number.
        kind: `epoch_s` and `epoch_ms` say what a number counts; otherwise, and where a number lies outside the years
            that its unit allows, its size decides between seconds, milliseconds, microseconds, nanoseconds and Windows'
            FILETIME (100 ns since 1601).
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _from_epoch(value, kind)
    text = text_of(value).strip()
    if _NUMBER.fullmatch(text):
        return _from_epoch(float(text) if "." in text else int(text[:30]), kind)
    try:
        moment = datetime.fromisoformat(_ISO_TAIL.sub("Z", text))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return from_clock(text)


def _from_epoch(number: float, kind: str) -> datetime | None:
    size = abs(number)
    if kind == "epoch_s" and size < 1e11:
        micros = number * 1_000_000
    elif kind == "epoch_ms" and size < 1e14:
        micros = number * 1_000
    elif size < 1e11:
        micros = number * 1_000_000
    elif size < 1e14:
        micros = number * 1_000
    elif size < 1e17:
        micros = number
    elif size < 2.5e17:
        # As nanoseconds these would be the years 1973 to 1977; as FILETIME they are 1917 to 2393.
        micros = number // 10 - _FILETIME_EPOCH
    else:
        micros = number // 1_000
    try:
        return _EPOCH + timedelta(microseconds=int(micros))
    except (OverflowError, ValueError):
        return None


def from_clock(text: str) -> datetime | None:
    """A time with a 12-hour clock, as UTC: `11/20/2026 5:48:14 PM`, month first, or `2026-11-20 05:48 PM`."""
    found = _TWELVE.fullmatch(text)
    if found is None:
        return None
    year, month, day = (found["y"], found["m"], found["d"]) if found["y"] else (found["y2"], found["m2"], found["d2"])
    if int(found["h"]) not in range(1, 13):
        return None
    hour = int(found["h"]) % 12 + (12 if found["half"].lower() == "p" else 0)
    micros = int((found["f"] or "0")[:6].ljust(6, "0"))
    try:
        return datetime(int(year), int(month), int(day), hour, int(found["min"]), int(found["s"] or 0), micros, UTC)
    except ValueError:
        return None


def parse_int(value: Any) -> int | None:
    """An integer from decimal, hexadecimal or float text."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    text = text_of(value).strip()
    try:
        return int(text, 16) if text[:2].lower() == "0x" else int(float(text)) if "." in text else int(text)
    except (ValueError, OverflowError):
        return None


def parse_bool(value: Any) -> bool | None:
    """True or false from the words vendors use for them."""
    if isinstance(value, bool):
        return value
    word = text_of(value).strip().lower()
    return True if word in ("true", "1", "yes") else False if word in ("false", "0", "no") else None


def split_account(text: str) -> tuple[str, str]:
    r"""Account and domain from `DOMAIN\\name`, `name@domain` or a bare name (then the domain is empty)."""
    domain, slash, name = text.rpartition("\\")
    if slash and name:
        return name, domain.lstrip("\\")
    name, at, domain = text.rpartition("@")
    if at and name and domain and " " not in domain:
        return name, domain
    return text, ""


def account_name(text: str) -> str:
    r"""An account without its domain in lower case: what accounts are compared by, whatever part of them is there."""
    return text.rpartition("\\")[2].partition("@")[0].lower()


def url_host(url: str) -> str:
    """The host of a URL in lower case, with or without a scheme; empty when there is none."""
    try:
        return (urlsplit(url if "//" in url else f"//{url}").hostname or "").lower()
    except ValueError:
        return ""


def base_name(path: str) -> str:
    """Last part of a Windows or POSIX path."""
    return path.rstrip("\\/").replace("\\", "/").rpartition("/")[2] or path


def clean_address(text: str) -> str | None:
    """An address without the IPv6 wrapping of IPv4, brackets or port; other text unchanged, `-` is None."""
    bare = text.strip()
    if bare.lower() in _NONE:
        return None
    for candidate in (bare, bare.strip("[]"), bare.rpartition(":")[0].strip("[]")):
        try:
            address = ip_address(candidate)
        except ValueError:
            continue
        mapped = getattr(address, "ipv4_mapped", None)
        return str(mapped or address)
    return bare


def short_host(name: str) -> str | None:
    """A host name without its domain, in upper case; an address stays whole. An account (`ann@corp.example`) is none."""
    bare = name.strip().lstrip("\\")
    if bare.lower() in _NONE or "@" in bare:
        return None
    try:
        return str(ip_address(bare))
    except ValueError:
        return bare.partition(".")[0].upper() or None


def readable(text: str) -> str:
    """Text as UTF-8 can carry it: a lone surrogate becomes a visible escape. The raw row keeps the original."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def text_of(value: Any) -> str:
    """Any value as text that UTF-8 can carry; structure as JSON, cut where it nests deep."""
    if type(value) is str:
        return readable(value)
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def parse_json(value: Any) -> Any:
    """The value of a JSON text; a value that is no text, or no JSON, as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def unquoted(value: Any) -> Any:
    """A text that is a JSON string (as Entra ID writes changed properties) without its quotes."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def event_data(xml: Any, name: str) -> str | None:
    """The `<Data Name="...">` of a Windows event's XML. Read as text: hostile XML has no parser to harm here."""
    if not isinstance(xml, str):
        return None
    found = re.search(rf"<Data Name=[\"']{re.escape(name)}[\"']\s*>(.*?)</Data>", xml, re.DOTALL)
    return html.unescape(found[1]) if found else None


def converter(attribute: Attribute) -> Callable[[Any], Any]:
    """The function that turns a vendor value into the attribute's value; None when there is nothing to read."""
    if attribute.kind == "list":
        one = _scalar_converter(attribute)
        return lambda value: _as_list(value, one)
    if attribute.kind == "json":
        return lambda value: _plain(parse_json(value))
    one = _scalar_converter(attribute)

    def first(value: Any) -> Any:
        if type(value) is list:
            return next((found for found in map(one, value) if found is not None), None)
        return one(value)

    return first


def _as_list(value: Any, one: Callable[[Any], Any]) -> list[Any] | None:
    parsed = parse_json(value)
    if isinstance(parsed, str):
        parsed = [part.strip() for part in parsed.replace(";", ",").split(",")] if ";" in parsed else [parsed]
    items = parsed if isinstance(parsed, list) else [parsed]
    found = [item for item in map(one, items) if item is not None]
    return found or None


def _scalar_converter(attribute: Attribute) -> Callable[[Any], Any]:
    words = _words(attribute.values)
    match attribute:
        case Attribute(type="datetime" | "epoch_ms" | "epoch_s" as kind):
            read: Callable[[Any], Any] = lambda value: iso_z(parse_time(value, kind))  # noqa: E731
        case Attribute(type="int"):
            read = _or_text(parse_int)
        case Attribute(type="float"):
            read = _or_text(_float)
        case Attribute(type="bool"):
            read = _or_text(parse_bool)
        case Attribute(kind="ip"):
            read = lambda value: clean_address(text_of(value))  # noqa: E731
        case Attribute(kind="host" | "user"):
            read = _name
        case Attribute(transform="basename"):
            read = lambda value: base_name(text_of(value))  # noqa: E731
        case _:
            read = _plain
    if not words:
        return lambda value: None if value is None or value == "" else read(value)

    def mapped(value: Any) -> Any:
        if value is None or value == "":
            return None
        word = words.get(text_of(value).lower() if type(value) is not float else f"{value:g}")
        return word if word is not None else read(value)

    return mapped


def _words(values: Mapping[str, str]) -> dict[str, str]:
    return {key.lower(): word for key, word in values.items()}


def _or_text(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        found = parse(value)
        return _plain(value) if found is None else found

    return read


def _float(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if abs(found) < float("inf") else None


def _name(value: Any) -> str | None:
    text = text_of(value).strip()
    return None if text.lower() in _NONE else text


def _plain(value: Any, depth: int = 0) -> Any:
    """A value that JSON can carry; deeper structure becomes its text."""
    if type(value) is str:
        return readable(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else hex(value)
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if depth >= 8:
        return f"[{type(value).__name__}]"
    if isinstance(value, dict):
        return {readable(str(key)): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return f"[{type(value).__name__}]" if not isinstance(value, bytes) else value.hex()
