"""The raw sensor events of Falcon and their fields.

CrowdStrike publishes no list, so the table is written from VENDOR_APIS 1.12 and from public queries. `UNSURE` names
what was not seen in either: a query on those passes, and a view that uses one is marked in the tests.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

EVENT = "#event_simpleName"
COLLECTIONS = (
    "events",
    "search-all",
    "investigate_view",
    "xdr",
    "third-party",
    "falcon_for_it_view",
    "forensics_view",
    "base_sensor",
)
"""Repositories; `events` is whichever one the client is set to search."""

UNSURE = frozenset(
    {
        "LocalIP",
        "ContextImageFileName",
        "OriginalFilename",
        "ClientComputerName",
        "AuthenticationPackage",
        "ServiceName",
        "ServiceStartType",
        "SourceFileName",
        "SmbServerShareOpenedEtw",
        "SmbClientShareOpenedEtw",
        "SmbClientShareClosedEtw",
        "ServiceStopped",
        "DeleteService",
        "KerberosAnomaly",
        "ActiveDirectoryAuthentication",
        "ActiveDirectoryAuthenticationFailure",
        "ActiveDirectoryServiceAccessRequest",
        "RespondingDnsServer",
        "TarFileWritten",
        "CabFileWritten",
        "ScriptControlBlocked",
        "ShareName",
        "SharePath",
        "ServerName",
        "SmbServerName",
    }
)
"""Fields and events that are plausible and not confirmed."""

DEVICE_PATHS = frozenset({"ImageFileName", "TargetFileName", "SourceFileName", "ContextImageFileName", "FilePath"})
r"""Fields in which Windows paths begin with `\Device\HarddiskVolumeN` instead of a drive letter."""


@cache
def common() -> frozenset[str]:
    """Fields that every event may have."""
    return frozenset(_content()["common"])


@cache
def events() -> Mapping[str, frozenset[str]]:
    """The fields of each event beside the common ones."""
    return {name: frozenset(fields) for name, fields in _content()["events"].items()}


@cache
def all_fields() -> frozenset[str]:
    """Every known field."""
    return common().union(*events().values())


@cache
def _content() -> Mapping[str, dict[str, list[str]]]:
    content: Mapping[str, dict[str, list[str]]] = json.loads(
        files("tracehound.tools.languages.cql").joinpath("fields.json").read_text(encoding="utf-8")
    )
    return content
