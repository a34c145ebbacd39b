"""What PowerShell writes of what it runs: script blocks, pipelines, engine starts."""

import re
from collections.abc import Callable

from ...tools.languages.vocabulary import EventClass
from .windows_reading import Happened, Program, Reader, Reading, account, basename, number, present

_APPLICATION = re.compile(r"Host ?Application ?= ?(.+)")
_USER_LINE = re.compile(r"User(?:Id)? ?= ?(\S+\\\S+)")
_COMMAND_LINE = re.compile(r"\bCommandLine=\s*(.*?)\s*(?:\r?\n\r?\n|\Z)", re.DOTALL)


def _script(content: Callable[[Reading], str]) -> Reader:
    def read(at: Reading) -> Happened | None:
        found = content(at)
        if not found:
            return None
        context = at.text("ContextInfo") or at.text("Message")
        application = _APPLICATION.search(context)
        command = application.group(1).strip() if application else ""
        pid = at.text("ExecutionProcessID")
        guid = at.programs.guid_of.get((at.host, pid), "")
        known = at.programs.by_guid.get(guid, Program())
        line = _USER_LINE.search(context)
        named = f"{at.text('Domain')}\\{at.text('AccountName')}" if at.text("AccountName") else ""
        name, domain = account((line.group(1) if line else "") or named or known.user)
        path = known.path or command.partition(".exe")[0].strip('"') + ".exe" if command else known.path
        return EventClass.SCRIPT, {
            "activity": "Execute",
            "script.content": found,
            **present(
                {
                    "script.path": at.text("Path"),
                    "script.name": basename(at.text("Path")),
                    "actor.process.name": basename(path),
                    "actor.process.path": path,
                    "actor.process.cmd_line": known.command or command,
                    "actor.process.pid": number(pid) or None,
                    "actor.process.uid": guid,
                    "actor.user.name": name,
                    "actor.user.domain": domain,
                }
            ),
        }

    return read


def _pipeline(at: Reading) -> str:
    found = _COMMAND_LINE.search(at.text("Message"))
    return found.group(1) if found else ""


def _engine(at: Reading) -> str:
    found = _APPLICATION.search(at.text("Message"))
    return found.group(1).strip() if found else ""


POWERSHELL: dict[tuple[str, int], Reader] = {
    ("powershell", 400): _script(_engine),
    ("powershell", 600): _script(_engine),
    ("powershell", 800): _script(_pipeline),
    ("powershell", 4103): _script(lambda at: at.text("Payload")),
    ("powershell", 4104): _script(lambda at: at.text("ScriptBlockText")),
}
