"""Windows event logs in Splunk and their fields, as the add-ons for Windows and for Sysmon name them with XML rendering.

Splunk has no schema: a field is there when an event has it. The table says which field an event of these logs has; of
other sources nothing is known.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

CODE = "EventCode"
PREFIXES = ("XmlWinEventLog:", "WinEventLog:")
"""How a log is called as a source: with XML rendering, and without it or by older forwarders."""
SOURCETYPES = frozenset({"XmlWinEventLog", "WinEventLog"}) | {
    f"{prefix}{name}" for prefix in PREFIXES for name in ("Security", "System", "Microsoft-Windows-Sysmon/Operational")
}


@dataclass(frozen=True)
class Log:
    """One collection: the logs that make it, the fields of all its events and those of each."""

    channels: tuple[str, ...]
    common: frozenset[str]
    events: Mapping[str, frozenset[str]]

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Every value of `source` that stands for it."""
        return tuple(prefix + channel for prefix in PREFIXES for channel in self.channels)

    @cached_property
    def fields(self) -> frozenset[str]:
        """Every field that one of its events may have."""
        return self.common.union(*self.events.values())


@cache
def common() -> frozenset[str]:
    """Fields that every event of a Windows log may have."""
    return frozenset(_content()["common"])


@cache
def logs() -> Mapping[str, Log]:
    """Collection to its log."""
    return {
        name: Log(
            tuple(facts["channels"]),
            frozenset(facts["common"]),
            {code: frozenset(fields) for code, fields in facts["events"].items()},
        )
        for name, facts in _content()["collections"].items()
    }


@cache
def all_fields() -> frozenset[str]:
    """Every known field."""
    return common().union(*(log.fields for log in logs().values()))


@cache
def fields_of(names: frozenset[str]) -> frozenset[str]:
    """Fields that an event of one of these logs may have; of any known log when none is named."""
    return common().union(*(logs()[name].fields for name in names or logs()))


@cache
def sources() -> Mapping[str, str]:
    """Every known value of `source`, in lower case, with its collection."""
    return {source.lower(): name for name, log in logs().items() for source in log.sources}


@cache
def _content() -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads(
        files("tracehound.tools.languages.spl").joinpath("fields.json").read_text(encoding="utf-8")
    )
    return content
