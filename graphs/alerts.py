"""What one alert obliges: finding it, its history, and what stands around it. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ..tools.evidence.story_facts import Happening
from ..tools.languages.search import Condition, Search, Window, conjunction
from ..tools.languages.vocabulary import EventClass
from .plan import Wanted, findings_about
from .state import Scope

REACH = timedelta(days=45)
"""How far back alerts are kept and compared."""
AROUND = timedelta(hours=12)
BASELINE = timedelta(days=14)
"""How far back it is looked for what is usual."""
NO_ID = "no alert id was found in the request; copy it as the platform shows it"


def lookup(alert_id: str, now: datetime) -> Wanted:
    """The alert with this id, on any platform."""
    where = Condition(field="finding.uid", values=(alert_id,))
    return Wanted(Search(event_class=EventClass.FINDING, where=where, window=_kept(now), limit=50), "alerts.by-id")


def find(alert_id: str, happenings: Iterable[Happening]) -> Happening | None:
    """The alert among what is known."""
    for item in happenings:
        if item.event_class is EventClass.FINDING and alert_id in item.values("finding.uid"):
            return item
    return None


def window_around(alert: Happening, now: datetime) -> Window:
    """What stands around an alert: half a day each way, never in the future."""
    end = min(alert.until + AROUND, now + timedelta(seconds=1))
    return Window(start=alert.time - AROUND, end=end, phrase="12 hours around the alert")


def around(alert: Happening, scope: Scope, now: datetime) -> list[Wanted]:
    """The searches that an alert obliges: its history, and what happened around it on its host."""
    past = _kept(now)
    wanted = []
    title = alert.text("finding.title")
    if title:
        same = Condition(field="finding.title", values=(title,))
        search = Search(event_class=EventClass.FINDING, where=same, window=past, limit=200)
        wanted.append(Wanted(search, "alerts.history"))
    about = findings_about(scope.hosts, (), past)
    if about is not None:
        wanted.append(Wanted(about.search, "alerts.history"))
    if alert.host:
        wanted += _on_host(alert, scope)
    elif alert.user:
        wanted += _of_account(alert, scope)
    return wanted


def _on_host(alert: Happening, scope: Scope) -> list[Wanted]:
    """What ran and who logged on around the alert, and what its account ran there in the fortnight before."""
    end = min(alert.until + timedelta(hours=2), scope.window.end)
    near = Window(start=alert.time - timedelta(hours=1), end=end)
    before = Window(start=alert.time - BASELINE, end=near.start, phrase="the fortnight before the alert")
    host, launch = Condition(field="device.hostname", values=(alert.host,)), _activity("Launch")
    wanted = [
        (EventClass.PROCESS, conjunction(host, launch), near, "alerts.around-process"),
        (EventClass.AUTHENTICATION, conjunction(host, _activity("Logon")), near, "alerts.around-authentication"),
    ]
    # What it ran there before is told by program: half of what a server runs is the same few services of one account.
    programs = tuple(name for name in (alert.process, alert.actor) if name)
    if programs and before.start < before.end:
        usual = conjunction(host, launch, Condition(field="process.name", values=programs))
        wanted.append((EventClass.PROCESS, usual, before, "alerts.baseline"))
    return [
        Wanted(Search(event_class=kind, where=where, window=span), purpose, frozenset({alert.host}), own_sensors=True)
        for kind, where, span, purpose in wanted
    ]


def _of_account(alert: Happening, scope: Scope) -> list[Wanted]:
    """Where the account of an alert without a host came from in the fortnight before, and what it changed around it."""
    account = Condition(field="user.name", values=(alert.user,))
    before = Window(start=alert.time - BASELINE, end=scope.window.end, phrase="the alert and the fortnight before")
    spans = (
        (EventClass.AUTHENTICATION, before),
        (EventClass.ACCOUNT, scope.window),
        (EventClass.API, scope.window),
    )
    return [
        Wanted(Search(event_class=kind, where=account, window=span), f"alerts.account-{kind.split('_')[0]}")
        for kind, span in spans
    ]


def _activity(name: str) -> Condition:
    return Condition(field="activity", values=(name,))


def _kept(now: datetime) -> Window:
    return Window(start=now - REACH, end=now + timedelta(seconds=1), phrase="alerts kept")
