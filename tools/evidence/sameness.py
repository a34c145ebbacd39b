"""Whether two events report the same behaviour: same host, account, program, parent, and a command that says the same.

Numbers that stand alone (dates, build numbers, process ids) may differ from run to run; addresses, names, paths and
what an encoding hides may not.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from ..decode import layers
from ..languages.vocabulary import EventClass
from .event import Event
from .values import account_name, base_name

_LONGEST = 4_000
_ENCODED = re.compile(r"[A-Za-z0-9+/=]{24,}")
_NUMBER = re.compile(r"(?<![\w.:/\\@-])\d{1,14}(?![\w.:/\\@])")
_STAMP = re.compile(r"(?<!\d)20\d{2}[-_.]?[01]\d[-_.]?[0-3]\d(?:[t_-]?[0-2]\d[-_.:]?[0-5]\d(?:[-_.:]?[0-5]\d)?)?(?!\d)")


class Behaviour(NamedTuple):
    """What is compared of an event."""

    host: str
    account: str
    program: str
    parent: str
    command: str


class Pattern(NamedTuple):
    """What is compared of an alert."""

    title: str
    behaviour: Behaviour


@lru_cache(maxsize=4096)
def said(command: str) -> str:
    """A command line for comparing: what is encoded is decoded, numbers and dates that stand alone are `#`."""
    text = command[:_LONGEST]
    if _ENCODED.search(text):
        hidden = " ".join(layer.text for layer in layers(text))
        text = f"{_ENCODED.sub('<encoded>', text)} {hidden}" if hidden else text
    text = " ".join(text.replace('"', "").lower().split())
    return _NUMBER.sub("#", _STAMP.sub("#", text))


def behaviour(event: Event) -> Behaviour:
    """What an event reports, for comparing; what it does not tell is empty."""
    named = event.text("user.name") or event.text("actor.user.name") or event.user or ""
    return Behaviour(
        host=event.host or "",
        account=account_name(named),
        program=base_name(event.text("process.name") or event.text("process.path")).lower(),
        parent=base_name(event.text("actor.process.name") or event.text("actor.process.path")).lower(),
        command=said(event.text("process.cmd_line")),
    )


def pattern(event: Event) -> Pattern:
    """What an alert reports, for comparing."""
    return Pattern(event.text("finding.title").casefold(), behaviour(event))


def same_alert(event: Event, other: Event) -> bool:
    """Whether two alerts report the same: rule, host, account, program, parent and command.

    An alert that tells neither an account nor a command says too little to be called the same as any.
    """
    told = behaviour(event)
    return bool(told.account or told.command) and pattern(event) == pattern(other)


def same_run(event: Event, launch: Event) -> bool:
    """Whether a process launch is a run of what an alert, or another launch, reports."""
    here, there = behaviour(event), behaviour(launch)
    if launch.event_class is not EventClass.PROCESS or not here.command:
        return False
    if event.event_class is EventClass.FINDING and not here.parent:
        there = there._replace(parent="")
    return here == there
