"""Faults that can be put on one operation of one vendor, as the real services are known to fail."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...knowledge.errors import UsageError
from .folder import STATE, LabFolder
from .state import LabState


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong; `uses` is the number of calls that it disturbs before it is gone (None: until switched off)."""

    meaning: str
    uses: int | None = None


ANYWHERE: Mapping[str, Fault] = {
    "429": Fault("too many requests, with the vendor's own retry header"),
    "429_once": Fault("too many requests once, with the vendor's own retry header", uses=1),
    "429_no_header": Fault("too many requests, and nothing that says when to come back"),
    "500": Fault("internal server error"),
    "503_burst": Fault("service unavailable for two calls", uses=2),
    "timeout": Fault("no answer"),
    "timeout_once": Fault("no answer to one call", uses=1),
    "401_once": Fault("the token is refused once", uses=1),
    "403": Fault("the credential lacks the right"),
    "html_200": Fault("a login page, with status 200"),
    "truncated": Fault("the answer breaks off in the middle of its JSON"),
}
"""Faults of every operation."""

_PARTIAL = {"partial": Fault("an incomplete result that says so in its own way, with a success status")}
_REORDER = {"reorder": Fault("records in reversed order")}
_ERRORS = {"errors_200": Fault("status 200 with a populated list of errors beside the records")}
_STUCK = {"stuck_pending": Fault("accepted, and never done")}
_NOTHING = {"affected_zero": Fault("status 200, and nothing was affected")}

SPECIAL: Mapping[str, Mapping[str, Mapping[str, Fault]]] = {
    "falcon": {
        "token": {"wrong_region": Fault("the token's header names another region")},
        "alerts": _REORDER | _ERRORS,
        "hosts": _REORDER | _ERRORS,
        "online": _ERRORS,
        "vulnerabilities": _ERRORS,
        "search": _PARTIAL | {"job_lost": Fault("the search job is gone at its next poll", uses=1)},
        "contain": _STUCK | {"409": Fault("conflict with another request for the host")},
        "lift": _STUCK | {"409": Fault("conflict with another request for the host")},
        "update_alerts": {},
    },
    "sentinelone": {
        "system": {},
        "threats": _REORDER,
        "agents": _REORDER,
        "deep_visibility": _PARTIAL | _REORDER | {"query_failed": Fault("the query ends in the state FAILED")},
        "disconnect": _STUCK | _NOTHING,
        "connect": _STUCK | _NOTHING,
        "notes": _NOTHING,
    },
    "microsoft": {
        "token": {},
        "sentinel": _PARTIAL,
        "metadata": {},
        "defender": {},
        "machines": {},
        "machine_actions": {},
        "isolate": _STUCK | {"action_failed": Fault("the machine action ends as Failed")},
        "unisolate": _STUCK | {"action_failed": Fault("the machine action ends as Failed")},
    },
}
"""Operations of each vendor, with the faults that only they can have."""


def set_fault(lab: LabFolder, vendor: str, operation: str, fault: str) -> None:
    """Put a fault on an operation of a lab, for every process that serves it; see `put`.

    Raises:
        UsageError: one of the names does not exist; the message lists those that do.
    """
    state = LabState(lab.directory / STATE)
    try:
        put(state, vendor, operation, fault)
    finally:
        state.close()


def put(state: LabState, vendor: str, operation: str, fault: str) -> None:
    """Put a fault on an operation (`all`: on every operation of the vendor); `off` takes it away.

    Raises:
        UsageError: one of the names does not exist; the message lists those that do.
    """
    if vendor not in SPECIAL:
        raise UsageError(f"the lab has no vendor {vendor!r}: choose one of {', '.join(SPECIAL)}")
    operations = SPECIAL[vendor]
    if operation not in (*operations, "all"):
        raise UsageError(f"{vendor} has no operation {operation!r}: choose one of {', '.join(operations)}, all")
    known = {**ANYWHERE, **operations.get(operation, {})}
    if fault == "off":
        state.set_fault(vendor, operation, None)
    elif fault in known:
        state.set_fault(vendor, operation, fault, known[fault].uses)
    else:
        raise UsageError(f"{vendor} {operation} has no fault {fault!r}: choose one of {', '.join(known)}, or off")
