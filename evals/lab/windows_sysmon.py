"""What Sysmon records, event by event."""

import re

from ...tools.languages.vocabulary import EventClass
from .windows_reading import Happened, Program, Reader, Reading, address, basename, guid_in, hashes, number, present

_INTEGRITY = {"S-1-16-4096": "Low", "S-1-16-8192": "Medium", "S-1-16-12288": "High", "S-1-16-16384": "System"}
_HOST_URL = re.compile(r"HostUrl=(\S+)")


def _launched(at: Reading) -> Happened:
    parent = at.actor("ParentProcessGuid", "ParentProcessId", "ParentImage", "ParentUser")
    parent.update(present({"actor.process.cmd_line": at.text("ParentCommandLine")}))
    known = at.programs.by_guid.get(guid_in(at.fields, "ProcessGuid"), Program())
    return EventClass.PROCESS, {
        "activity": "Launch",
        **parent,
        **at.user("actor.user", "User"),
        **present(
            {
                "actor.session.uid": at.text("LogonId"),
                "process.name": basename(at.text("Image")),
                "process.path": at.text("Image"),
                "process.cmd_line": at.text("CommandLine"),
                "process.pid": number(at.text("ProcessId") or known.pid),
                "process.uid": guid_in(at.fields, "ProcessGuid"),
                "process.original_name": at.text("OriginalFileName"),
                "process.integrity": _INTEGRITY.get(at.text("IntegrityLevel").upper(), at.text("IntegrityLevel")),
                "process.signer": at.text("Company"),
                "process.description": at.text("Description"),
                "process.product": at.text("Product"),
            }
        ),
        **at.hashed("process"),
    }


def _ended(at: Reading) -> Happened:
    as_actor = at.actor()
    parent = at.programs.by_guid.get(guid_in(at.fields, "ProcessGuid"), Program()).parent
    moved = {name.removeprefix("actor."): value for name, value in as_actor.items() if "parent" not in name}
    named = {name: value for name, value in moved.items() if name.startswith("process.")}
    user = {name: value for name, value in as_actor.items() if name.startswith("actor.user")}
    actor = present({"actor.process.name": basename(parent), "actor.process.path": parent})
    return EventClass.PROCESS, {"activity": "Terminate", **named, **user, **actor}


def _accessed(activity: str) -> Reader:
    def read(at: Reading) -> Happened:
        return EventClass.PROCESS, {
            "activity": activity,
            **at.actor("SourceProcessGUID", "SourceProcessId", "SourceImage", "SourceUser"),
            **present(
                {
                    "process.name": basename(at.text("TargetImage")),
                    "process.path": at.text("TargetImage"),
                    "process.pid": number(at.text("TargetProcessId")),
                    "process.uid": guid_in(at.fields, "TargetProcessGUID"),
                    "process.access_mask": at.text("GrantedAccess"),
                }
            ),
        }

    return read


def _loaded(at: Reading) -> Happened:
    return EventClass.MODULE, {
        "activity": "Load",
        **at.actor(),
        **present(
            {
                "module.name": basename(at.text("ImageLoaded")),
                "module.path": at.text("ImageLoaded"),
                "module.hash.sha256": hashes(at.text("Hashes")).get("sha256", ""),
                "module.signer": at.text("Signature"),
                "module.signed": at.text("Signed").lower(),
            }
        ),
    }


def _file(activity: str) -> Reader:
    def read(at: Reading) -> Happened:
        origin = _HOST_URL.search(at.text("Contents"))
        return EventClass.FILE, {
            "activity": activity,
            **at.actor(),
            **present(
                {
                    "file.name": basename(at.text("TargetFilename")),
                    "file.path": at.text("TargetFilename"),
                    "file.origin_url": origin.group(1) if origin else "",
                }
            ),
            **at.hashed("file"),
        }

    return read


def _key(at: Reading) -> Happened:
    kind = at.text("EventType")
    activity = "Delete" if kind.startswith("Delete") else "Create"
    return EventClass.REGISTRY, {"activity": activity, **at.actor(), "reg.path": at.text("TargetObject")}


def _value(at: Reading) -> Happened:
    key, _, value = at.text("TargetObject").rpartition("\\")
    return EventClass.REGISTRY, {
        "activity": "Set",
        **at.actor(),
        "reg.path": key,
        "reg.value_name": value,
        **present({"reg.value_data": at.text("Details")}),
    }


def _renamed_key(at: Reading) -> Happened:
    path = at.text("NewName") or at.text("TargetObject")
    return EventClass.REGISTRY, {"activity": "Rename", **at.actor(), "reg.path": path}


def _connected(at: Reading) -> Happened:
    outbound = at.text("Initiated").lower() != "false"
    far = "DestinationHostname" if outbound else "SourceHostname"
    return EventClass.NETWORK, {
        "activity": "Open",
        "connection.direction": "Outbound" if outbound else "Inbound",
        **at.actor(),
        **at.endpoints("SourceIp", "SourcePort", "DestinationIp", "DestinationPort"),
        **present(
            {
                "connection.protocol": at.text("Protocol").lower(),
                f"{'dst' if outbound else 'src'}_endpoint.hostname": at.text(far),
            }
        ),
    }


def _resolved(at: Reading) -> Happened:
    answers = [address(part) for part in at.text("QueryResults").split(";") if part and part != "-"]
    found = present({"query.hostname": at.text("QueryName"), "rcode": at.text("QueryStatus")})
    if answers:
        found["answers"] = ";".join(answers)
    return EventClass.DNS, {"activity": "Query", **at.actor(), **found}


SYSMON: dict[tuple[str, int], Reader] = {
    ("sysmon", 1): _launched,
    ("sysmon", 2): _file("Update"),
    ("sysmon", 3): _connected,
    ("sysmon", 5): _ended,
    ("sysmon", 6): _loaded,
    ("sysmon", 7): _loaded,
    ("sysmon", 8): _accessed("Inject"),
    ("sysmon", 10): _accessed("Open"),
    ("sysmon", 11): _file("Create"),
    ("sysmon", 12): _key,
    ("sysmon", 13): _value,
    ("sysmon", 14): _renamed_key,
    ("sysmon", 15): _file("Create"),
    ("sysmon", 22): _resolved,
    ("sysmon", 23): _file("Delete"),
    ("sysmon", 26): _file("Delete"),
    ("sysmon", 29): _file("Create"),
}
