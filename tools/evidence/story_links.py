"""Links between happenings: facts that code can check, each of one kind.

process   one is an act of the process that the other launched
same process   both are acts of one process whose launch was not seen
file      one wrote the file that the other runs or opens
remote    a connection or logon from one host, and what it set off on the other
service   a service, its registry key, and the process that it starts
session   what an account ran on a host after it logged on there from elsewhere
account   one account acting from one host at one time
failure   the same failed logons, seen by the host and by the domain controller
address   the same rare outside address
campaign  mails of one sender
mail      a mail, and a click on what it links to or a program that opens its attachment
click     a click on a suspicious mail's link, and what was wrong with the account soon after
place     one account acting in the cloud from one outside address
origin    a host that was already taken over, and a logon that came from it
finding   an alert and what it is about
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from ..languages.vocabulary import EventClass
from .story_facts import (
    CLOCK_SLACK,
    HUB_PROCESSES,
    REMOTE_HOSTS_OF_CODE,
    Directory,
    Happening,
    ProcessTable,
    base_name,
    is_public,
)
from .values import url_host

REMOTE_PORTS = frozenset({"135", "139", "445", "3389", "5985", "5986", "22"})
DYNAMIC_PORTS = range(49152, 65536)

REMOTE_EFFECT = timedelta(seconds=20)
"""Within this time of a connection its effect on the other host begins."""
SERVICE_START = timedelta(minutes=2)
SESSION_REACH = timedelta(hours=8)
ACCOUNT_REACH = timedelta(minutes=10)
ORIGIN_REACH = timedelta(hours=24)
ACCOUNT_ALERT = timedelta(hours=12)
CLOUD = (EventClass.AUTHENTICATION, EventClass.ACCOUNT, EventClass.API)
WORKPLACE_DAYS = 3
MIN_NAME = 8
"""Shorter names of files are too common to tie anything together."""
CENTRES = 5
"""Suspicious mails of one sender that its other mails are tied to; one is enough, and any may be the one asked about."""
CLICK_REACH = timedelta(days=14)
RARE_HOSTS = 3
"""An outside address contacted by more hosts than this links nothing."""

MEDIUM, STRONG = 2, 3


@dataclass(frozen=True, slots=True)
class Link:
    """A fact that ties two happenings; `left` and `right` are their indexes."""

    left: int
    right: int
    kind: str


def link(happenings: Sequence[Happening], directory: Directory, sessions: Sequence[Happening]) -> list[Link]:
    """Every link between the happenings.

    Args:
        happenings: What may be linked.
        directory: Whose addresses are whose.
        sessions: Every logon that is known, those that link nothing included.
    """
    table = ProcessTable(happenings)
    sources = (
        _process_links(happenings, table),
        _file_links(happenings),
        _remote_links(happenings, directory),
        _service_links(happenings),
        _session_links(happenings, directory, sessions),
        _account_links(happenings, directory),
        _failure_links(happenings),
        _address_links(happenings),
        _mail_links(happenings),
        _place_links(happenings),
        _finding_links(happenings, table),
    )
    return [found for source in sources for found in source]


def _process_links(happenings: Sequence[Happening], table: ProcessTable) -> Iterator[Link]:
    orphans: dict[tuple[str, str, str], list[Happening]] = defaultdict(list)
    for happening in happenings:
        if happening.event_class in (EventClass.DEVICE, EventClass.VULNERABILITY) or not happening.actor:
            continue
        if happening.actor in HUB_PROCESSES:
            continue
        launch = table.actor_of(happening)
        if launch is not None:
            yield Link(launch.index, happening.index, "process")
        else:
            orphans[happening.host, happening.actor, happening.text("actor.process.pid")].append(happening)
    # The launch itself was not seen (started before the window): its acts are still one process's.
    for acts in orphans.values():
        for left, right in pairwise(sorted(acts, key=lambda act: act.time)):
            yield Link(left.index, right.index, "same process")


def _file_links(happenings: Sequence[Happening]) -> Iterator[Link]:
    written: dict[tuple[str, str], list[Happening]] = defaultdict(list)
    for happening in happenings:
        if happening.event_class is EventClass.FILE and happening.activity in ("Create", "Update", "Rename"):
            for path in happening.values("file.path") | happening.values("file.name"):
                name = base_name(path)
                if len(name) >= 5:
                    written[happening.host, name].append(happening)
    for happening in happenings:
        if not happening.is_launch or happening.process in HUB_PROCESSES:
            continue
        command = happening.text("process.cmd_line").lower()
        mentioned = {happening.process} | {base_name(token.strip("\"',;")) for token in command.split() if "." in token}
        for name in mentioned:
            for write in _last_writes(written.get((happening.host, name), ()), happening.time):
                yield Link(write.index, happening.index, "file")


def _last_writes(writes: Sequence[Happening], moment: datetime) -> list[Happening]:
    """The writes that made a file what it was at a moment: an older one of the same name is another file."""
    before = [write for write in writes if write.time <= moment + CLOCK_SLACK and moment - write.time <= ORIGIN_REACH]
    last = max((write.time for write in before), default=moment)
    return [write for write in before if last - write.time <= timedelta(minutes=1)]


def _remote_links(happenings: Sequence[Happening], directory: Directory) -> Iterator[Link]:
    arrivals: dict[str, list[Happening]] = defaultdict(list)
    for happening in happenings:
        if happening.is_remote_logon or _is_remote_effect(happening):
            arrivals[happening.host].append(happening)
    for happening in happenings:
        if happening.event_class is not EventClass.NETWORK or not _is_remote_port(happening):
            continue
        for target in directory.targets(happening) or ({happening.host} if directory.sources(happening) else set()):
            origin = directory.sources(happening) or {happening.host}
            for arrival in arrivals.get(target, ()):
                if not _follows(arrival.time, happening.time, REMOTE_EFFECT):
                    continue
                known = directory.sources(arrival)
                if not known or known & origin:
                    yield Link(happening.index, arrival.index, "remote")
    for host_arrivals in arrivals.values():
        logons = [item for item in host_arrivals if item.is_remote_logon and not item.user.endswith("$")]
        effects = [item for item in host_arrivals if not item.is_remote_logon]
        for effect in effects:
            nearest = [logon for logon in logons if _follows(effect.time, logon.time, SERVICE_START)]
            for logon in _closest(nearest):
                yield Link(logon.index, effect.index, "remote")


def _closest(logons: Sequence[Happening]) -> list[Happening]:
    """The last logons before an effect: those within the clocks' slack of each other are one arrival."""
    last = max((logon.time for logon in logons), default=None)
    return [logon for logon in logons if last is not None and last - logon.time <= CLOCK_SLACK]


def _is_remote_effect(happening: Happening) -> bool:
    if happening.event_class is EventClass.SERVICE:
        return happening.activity in ("Create", "Start", "")
    if happening.event_class is EventClass.JOB:
        return happening.activity in ("Create", "Update", "")
    if happening.is_launch:
        if happening.process in REMOTE_HOSTS_OF_CODE or happening.actor in REMOTE_HOSTS_OF_CODE:
            return True
        return happening.actor == "services.exe" and happening.signal >= MEDIUM
    return False


def _is_remote_port(happening: Happening) -> bool:
    ports = happening.values("dst_endpoint.port")
    return any(port in REMOTE_PORTS or (port.isdigit() and int(port) in DYNAMIC_PORTS) for port in ports)


def _service_links(happenings: Sequence[Happening]) -> Iterator[Link]:
    services: dict[str, list[Happening]] = defaultdict(list)
    for happening in happenings:
        if happening.event_class is EventClass.SERVICE and happening.text("service.name"):
            services[happening.host].append(happening)
    started = [item for item in happenings if item.is_launch and item.actor == "services.exe" and item.process]
    for happening in happenings:
        if happening.event_class is EventClass.REGISTRY and "\\services\\" in happening.text("reg.path").lower():
            for launch in started:
                if launch.host == happening.host and _names_image(happening, launch):
                    yield Link(happening.index, launch.index, "service")
        for service in services.get(happening.host, ()):
            if service.index != happening.index and _belongs_to_service(happening, service):
                yield Link(service.index, happening.index, "service")


def _names_image(written: Happening, launch: Happening) -> bool:
    """Whether a service's registry value names the program that starts at once."""
    value = written.text("reg.value_data").lower()
    return launch.process in value and _follows(launch.time, written.time, SERVICE_START)


def _belongs_to_service(happening: Happening, service: Happening) -> bool:
    name = service.text("service.name").lower()
    if happening.event_class is EventClass.SERVICE:
        same = happening.text("service.name").lower() == name
        return same and abs(happening.time - service.time) <= SERVICE_START
    if happening.event_class is EventClass.REGISTRY:
        near = abs(happening.time - service.time) <= SERVICE_START
        return near and f"\\services\\{name}" in (happening.text("reg.path").lower() + "\\")
    if happening.event_class is EventClass.FILE:
        binary = base_name(service.text("service.cmd_line").split(" ")[0].strip('"'))
        return (
            bool(binary)
            and base_name(happening.text("file.path")) == binary
            and (abs(happening.time - service.time) <= SERVICE_START)
        )
    if not happening.is_launch or not _follows(happening.time, service.time, SERVICE_START):
        return False
    command = service.text("service.cmd_line").lower()
    if happening.process and happening.process == base_name(command.split(" ")[0].strip('"')):
        return happening.actor in ("services.exe", "")
    shared = happening.text("process.cmd_line").lower()
    return happening.actor == "services.exe" and len(shared) > 8 and (shared in command or command in shared)


def _session_links(
    happenings: Sequence[Happening], directory: Directory, sessions: Sequence[Happening]
) -> Iterator[Link]:
    """What an account did belongs to its latest logon there, be that one of the story or a routine one."""
    live = {happening.index for happening in happenings}
    logons: dict[tuple[str, str], list[Happening]] = defaultdict(list)
    strong: dict[str, list[Happening]] = defaultdict(list)
    for happening in happenings:
        if happening.signal >= STRONG and happening.event_class is not EventClass.FINDING:
            strong[happening.host].append(happening)
    for logon in sessions:
        if logon.is_remote_logon and not logon.user.endswith("$"):
            logons[logon.host, logon.user].append(logon)
    for found in logons.values():
        found.sort(key=lambda logon: logon.time)
    for happening in happenings:
        if happening.signal < MEDIUM or not happening.user:
            continue
        if happening.event_class not in (EventClass.PROCESS, EventClass.FILE, EventClass.NETWORK, EventClass.SERVICE):
            continue
        session = _latest_before(logons.get((happening.host, happening.user), ()), happening.time)
        if session is not None and session.index in live and happening.time - session.time <= SESSION_REACH:
            yield Link(session.index, happening.index, "session")
    for found in logons.values():
        for logon in found:
            if logon.index not in live:
                continue
            for source in directory.sources(logon):
                for earlier in _behind(logon, strong.get(source, ())):
                    yield Link(earlier.index, logon.index, "origin")


def _behind(logon: Happening, strong: Sequence[Happening]) -> list[Happening]:
    """What was wrong on the host that a logon came from: acts of the account itself, or any when it did nothing there.

    An administrator's work of the same day on that host is not behind what a stolen account did from it.
    """
    before = [earlier for earlier in strong if _follows(logon.time, earlier.time, ORIGIN_REACH)]
    return [earlier for earlier in before if earlier.user == logon.user] or before


def _latest_before(logons: Sequence[Happening], moment: datetime) -> Happening | None:
    before = [logon for logon in logons if logon.time <= moment + CLOCK_SLACK]
    return before[-1] if before else None


def _account_links(happenings: Sequence[Happening], directory: Directory) -> Iterator[Link]:
    launches: dict[tuple[str, str], list[Happening]] = defaultdict(list)
    for happening in happenings:
        if happening.is_launch and happening.user and happening.signal >= MEDIUM:
            launches[happening.host, happening.user].append(happening)
    for happening in happenings:
        if happening.event_class not in (EventClass.AUTHENTICATION, EventClass.SMB) or not happening.user:
            continue
        for source in directory.sources(happening):
            for launch in launches.get((source, happening.user), ()):
                if _follows(happening.time, launch.time, ACCOUNT_REACH):
                    yield Link(launch.index, happening.index, "account")


def _failure_links(happenings: Sequence[Happening]) -> Iterator[Link]:
    failures = [
        happening
        for happening in happenings
        if happening.event_class is EventClass.AUTHENTICATION and happening.text("status") == "Failure"
    ]
    failures.sort(key=lambda failure: failure.time)
    for at, left in enumerate(failures):
        names = {name.lower() for name in left.values("user.name")}
        for right in failures[at + 1 :]:
            if right.time > left.until + CLOCK_SLACK:
                break
            if names & {name.lower() for name in right.values("user.name")}:
                yield Link(left.index, right.index, "failure")


def _address_links(happenings: Sequence[Happening]) -> Iterator[Link]:
    contacts: dict[str, list[Happening]] = defaultdict(list)
    for happening in happenings:
        if happening.event_class is EventClass.NETWORK and happening.text("connection.direction") != "Inbound":
            for address in happening.destination_ips:
                contacts[address].append(happening)
    for address, found in contacts.items():
        hosts = {happening.host for happening in found}
        # One browser visit proves nothing; a program that is suspicious by itself makes the address so.
        tainted = any(happening.signal >= MEDIUM for happening in found)
        outside = is_public(address) or len(hosts) == 1
        if outside and tainted and len(hosts) <= RARE_HOSTS:
            for left, right in pairwise(sorted(found, key=lambda happening: happening.time)):
                yield Link(left.index, right.index, "address")


def _mail_links(happenings: Sequence[Happening]) -> Iterator[Link]:
    """Mails of one sender hang together when one of them is suspicious; a click belongs to the mail that held the link."""
    by_sender: dict[str, list[Happening]] = defaultdict(list)
    by_uid: dict[str, Happening] = {}
    for happening in happenings:
        if happening.event_class is EventClass.EMAIL:
            by_sender[happening.text("email.from").lower()].append(happening)
            by_uid.update(dict.fromkeys(happening.values("email.uid"), happening))
    bad = {sender for sender, found in by_sender.items() if sender and any(mail.signal >= MEDIUM for mail in found)}
    for sender in bad:
        suspicious = [mail for mail in by_sender[sender] if mail.signal >= MEDIUM]
        for left in suspicious[:CENTRES]:
            for right in by_sender[sender]:
                if right.index != left.index:
                    yield Link(left.index, right.index, "campaign")
    launches = [item for item in happenings if item.is_launch]
    for held in by_uid.values():
        for launch in _opened(launches, held):
            yield Link(held.index, launch.index, "mail")
    wrong: dict[str, list[Happening]] = defaultdict(list)
    for happening in happenings:
        if happening.event_class in CLOUD and happening.user and happening.signal >= MEDIUM:
            wrong[happening.user].append(happening)
    for click in happenings:
        if click.event_class is not EventClass.URL:
            continue
        for act in wrong.get(click.user, ()):
            if _follows(act.time, click.time, ORIGIN_REACH):
                yield Link(click.index, act.index, "click")
        named = [by_uid[uid] for uid in click.values("email.uid") if uid in by_uid]
        for mail in named or _mails_from(url_host(click.text("url.url_string")), by_sender, bad):
            if _follows(click.time, mail.time, CLICK_REACH):
                yield Link(mail.index, click.index, "mail")


def _opened(launches: Sequence[Happening], mail: Happening) -> Iterator[Happening]:
    """Programs that a recipient of a mail opened its attachment with."""
    attached = {name.lower() for name in mail.values("file.name") if len(name) >= MIN_NAME}
    for launch in launches:
        command = launch.text("process.cmd_line").lower()
        if any(name in command for name in attached) and _follows(launch.time, mail.time, CLICK_REACH):
            yield launch


def _mails_from(domain: str, by_sender: Mapping[str, list[Happening]], bad: set[str]) -> list[Happening]:
    """The mails of a suspicious sender whose domain a link leads to."""
    return [mail for sender in bad if domain and sender.endswith("@" + domain) for mail in by_sender[sender][:1]]


def _place_links(happenings: Sequence[Happening]) -> Iterator[Link]:
    """What an account did from an outside address at which something suspicious of it was seen."""
    acts: dict[tuple[str, str], list[Happening]] = defaultdict(list)
    for happening in happenings:
        if happening.event_class in CLOUD and happening.user:
            for address in happening.source_ips:
                if is_public(address):
                    acts[happening.user, address].append(happening)
    for found in acts.values():
        signed_in = {act.time.date() for act in found if act.event_class is EventClass.AUTHENTICATION}
        # Where an account signs in day after day is its workplace, and ties nothing together.
        if len(signed_in) < WORKPLACE_DAYS and any(act.signal >= MEDIUM for act in found):
            for left, right in pairwise(sorted(found, key=lambda act: act.time)):
                if right.time - left.until <= ORIGIN_REACH:
                    yield Link(left.index, right.index, "place")


def _finding_links(happenings: Sequence[Happening], table: ProcessTable) -> Iterator[Link]:
    for happening in happenings:
        if happening.event_class is not EventClass.FINDING:
            continue
        launch = table.object_of(happening) or table.actor_of(happening)
        if launch is not None and abs(launch.time - happening.time) <= timedelta(hours=1):
            yield Link(launch.index, happening.index, "finding")
            continue
        command = happening.text("process.cmd_line").lower()
        for other in happenings:
            near = other.host == happening.host and abs(other.time - happening.time) <= timedelta(minutes=10)
            same = other.is_launch and command and other.text("process.cmd_line").lower() == command
            if (near and (same or _is_act_of(happening, other))) or _is_act_of_account(happening, other):
                yield Link(other.index, happening.index, "finding")


def _is_act_of(alert: Happening, other: Happening) -> bool:
    """Whether the process that an alert names, which started before anything that is known, did something."""
    if other.event_class is EventClass.FINDING or not alert.host:
        return False
    named = base_name(alert.text("file.name")), base_name(alert.text("finding.title"))
    wrote = base_name(other.text("file.path") or other.text("file.name"))
    if other.event_class is EventClass.FILE and len(wrote) >= MIN_NAME and wrote in named:
        return True
    pids = alert.values("process.pid"), other.values("actor.process.pid")
    agree = not all(pids) or bool(pids[0] & pids[1])
    acting = other.is_launch or other.event_class is EventClass.FILE
    return acting and agree and other.actor == alert.process and other.actor not in HUB_PROCESSES


def _is_act_of_account(alert: Happening, other: Happening) -> bool:
    """Whether an alert that names an account and no process is about something suspicious that the account did."""
    if alert.process or other.event_class not in CLOUD or other.signal < MEDIUM:
        return False
    return bool(alert.user) and other.user == alert.user and abs(other.time - alert.time) <= ACCOUNT_ALERT


def _follows(later: datetime, earlier: datetime, within: timedelta) -> bool:
    return -CLOCK_SLACK <= later - earlier <= within
