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
        span = Window(
            start=alert.time - timedelta(hours=1), end=min(alert.until + timedelta(hours=2), scope.window.end)
        )
        host = Condition(field="device.hostname", values=(alert.host,))
        for event_class, activity in ((EventClass.PROCESS, "Launch"), (EventClass.AUTHENTICATION, "Logon")):
            where = conjunction(host, Condition(field="activity", values=(activity,)))
            search = Search(event_class=event_class, where=where, window=span)
            purpose = f"alerts.around-{event_class.split('_')[0]}"
            wanted.append(Wanted(search, purpose, frozenset({alert.host}), own_sensors=True))
    return wanted


def _kept(now: datetime) -> Window:
    return Window(start=now - REACH, end=now + timedelta(seconds=1), phrase="alerts kept")
