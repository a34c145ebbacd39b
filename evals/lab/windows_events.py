"""Windows events as observations: Sysmon, Security, System and PowerShell.

Each reader takes a record and gives the class and the attributes of what happened. What a record leaves out and another
one told (the account and the command line behind a process GUID) is filled in from `Programs`. The original values stay
in the Windows tables, which `importer` writes beside these.
"""

from .windows_powershell import POWERSHELL
from .windows_reading import Fields, Happened, Programs, Reader, Reading, channel, event_id
from .windows_security import AUDITED
from .windows_sysmon import SYSMON

_READERS: dict[tuple[str, int], Reader] = {**SYSMON, **AUDITED, **POWERSHELL}


def happened(host: str, fields: Fields, programs: Programs) -> Happened | None:
    """What a record tells; None where the lab has no word for it."""
    reader = _READERS.get((channel(fields), event_id(fields)))
    return reader(Reading(host, fields, programs)) if reader else None
