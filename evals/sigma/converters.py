"""The two converters: pySigma with its backends as it writes, and ours by import, search and compiler.

pySigma's backends are development dependencies; nothing else of the project imports them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError

from ...tools.hunts import HuntSearch, bind
from ...tools.languages.query import Language, Platform, Query
from ...tools.languages.search import Search, Window
from ...tools.languages.translate import Inapplicable, translate
from ...tools.sigma import Imported, import_file

LIMIT = 10_000


class NotConvertedError(Exception):
    """The backend does not convert the rule."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One row of the table: a language of ours, and the backend that writes the same."""

    name: str
    platform: Platform
    language: Language
    backend: Callable[[], Any]
    repaired: Callable[[], Any] | None = None
    """The backend without its known faults in how it writes a comparison."""
    corrections: Sequence[tuple[str, str]] = ()
    """What it writes and what it should have written: known faults of its tables of values."""
    faults: Sequence[tuple[str, str]] = ()
    """What is repaired and corrected: a pattern that finds it in the query as written, and the sentence on it."""

    def convert(self, path: Path) -> list[str]:
        """The backend's queries for a rule file, as it writes them.

        Raises:
            NotConvertedError: the backend does not convert the rule.
        """
        return _queries(_backend(self.name, False), path)

    def corrected(self, path: Path) -> list[str]:
        """The same without the backend's known faults.

        Raises:
            NotConvertedError: the backend does not convert the rule.
        """
        queries = _queries(_backend(self.name, True), path)
        for wrong, right in self.corrections:
            queries = [query.replace(wrong, right) for query in queries]
        return queries

    def faults_in(self, queries: Sequence[str]) -> tuple[str, ...]:
        """The known faults that a query as written has."""
        return tuple(why for pattern, why in self.faults if any(re.search(pattern, query) for query in queries))


def _queries(backend: Any, path: Path) -> list[str]:
    from sigma.pipelines.kusto_common.errors import InvalidHashAlgorithmError

    try:
        found = backend.convert(SigmaCollection.from_yaml(path.read_text("utf-8")))
    except (SigmaError, NotImplementedError, InvalidHashAlgorithmError) as exc:
        raise NotConvertedError(str(exc)) from exc
    return [found] if isinstance(found, str) else [str(query) for query in found]


def _kusto(pipeline: str) -> Callable[[], Any]:
    def make() -> Any:
        from sigma.backends.kusto.kusto import KustoBackend
        from sigma.pipelines.azuremonitor.azuremonitor import azure_monitor_pipeline
        from sigma.pipelines.microsoftxdr.microsoftxdr import microsoft_xdr_pipeline

        return KustoBackend(microsoft_xdr_pipeline() if pipeline == "xdr" else azure_monitor_pipeline())

    return make


def _logscale() -> Any:
    from sigma.backends.crowdstrike.logscale import LogScaleBackend
    from sigma.pipelines.crowdstrike.crowdstrike import crowdstrike_falcon_pipeline

    return LogScaleBackend(crowdstrike_falcon_pipeline())


def _deep_visibility() -> Any:
    from sigma.backends.sentinelone.sentinelone import SentinelOneBackend

    return SentinelOneBackend()


def _deep_visibility_repaired() -> Any:
    from sigma.backends.sentinelone.sentinelone import SentinelOneBackend

    class Repaired(SentinelOneBackend):
        or_in_operator = "In AnyCase"
        field_null_expression = "{field} IS EMPTY"

    return Repaired()


def _powerquery() -> Any:
    from sigma.backends.sentinelone_pq.sentinelone_pq import SentinelOnePQBackend

    return SentinelOnePQBackend()


def _powerquery_repaired() -> Any:
    from sigma.backends.sentinelone_pq.sentinelone_pq import SentinelOnePQBackend
    from sigma.types import SpecialChars

    many = SpecialChars.WILDCARD_MULTI

    class Repaired(SentinelOnePQBackend):
        def convert_condition_field_eq_val_str(self, cond: Any, state: Any) -> Any:
            value = cond.value
            begins, ends = value.startswith(many), value.endswith(many)
            inner = value[1 if begins else 0 : -1 if ends else None]
            if begins is ends or inner.contains_special():
                return super().convert_condition_field_eq_val_str(cond, state)
            text = re.escape(str(inner.to_plain())).replace("\\", "\\\\").replace('"', '\\"')
            pattern = f"{text}$" if begins else f"^{text}"
            return f'{self.escape_and_quote_field(cond.field)} matches "{pattern}"'

    return Repaired()


def _splunk() -> Any:
    from sigma.backends.splunk.splunk import SplunkBackend
    from sigma.pipelines.splunk import splunk
    from sigma.pipelines.sysmon.sysmon import sysmon_pipeline

    windows: Any = splunk.splunk_windows_pipeline  # it has no annotations
    return SplunkBackend(sysmon_pipeline() + windows())


PAIRS: tuple[Pair, ...] = (
    Pair("kql (Defender)", Platform.DEFENDER, Language.KQL, _kusto("xdr")),
    Pair("kql (Sentinel)", Platform.SENTINEL, Language.KQL, _kusto("azure")),
    Pair("cql (Falcon)", Platform.FALCON, Language.CQL, _logscale),
    Pair(
        "s1ql (SentinelOne)",
        Platform.SENTINELONE,
        Language.S1QL,
        _deep_visibility,
        _deep_visibility_repaired,
        corrections=(
            ('EventType = "ModuleLoad"', 'EventType = "Module Load"'),
            ('ObjectType = "File"', 'ObjectType = "file"'),
            ('ObjectType = "Registry"', 'ObjectType = "registry"'),
            ('ObjectType = "DNS"', 'ObjectType = "dns"'),
            ('ObjectType In ("DNS","Url","IP")', 'ObjectType In ("dns","url","ip")'),
        ),
        faults=(
            ('EventType = "ModuleLoad"', "the event type `Module Load` is written `ModuleLoad`"),
            ('ObjectType (=|In) [("]*(File|Registry|DNS)"', "object types have a capital that SentinelOne's have not"),
            ("In Contains AnyCase", "equality with several values becomes `In Contains AnyCase`"),
            ("IS NOT EMPTY", "a field without a value becomes `IS NOT EMPTY`"),
        ),
    ),
    Pair(
        "powerquery (SentinelOne)",
        Platform.SENTINELONE,
        Language.POWERQUERY,
        _powerquery,
        _powerquery_repaired,
        faults=((" contains ", "`startswith` and `endswith` become `contains`"),),
    ),
    Pair("spl (Splunk)", Platform.SPLUNK, Language.SPL, _splunk),
)


@cache
def _backend(name: str, repaired: bool) -> Any:
    pair = next(pair for pair in PAIRS if pair.name == name)
    return pair.repaired() if repaired and pair.repaired is not None else pair.backend()


@cache
def imported(path: Path) -> tuple[HuntSearch | None, str]:
    """Our hunt's search for a rule file, or why there is none."""
    result = import_file(path)[0]
    if isinstance(result, Imported):
        return result.hunt.searches[0], ""
    return None, result.why


def ours(search: HuntSearch, pair: Pair, start: datetime, end: datetime) -> list[Query | Inapplicable]:
    """Our queries for one language over a window; a reason for each view that has none.

    Raises:
        QueryError: a query fails its own check.
    """
    question = Search(
        event_class=search.event_class,
        where=bind(search.where, {}),
        window=Window(start=start, end=end),
        limit=LIMIT,
    )
    return translate(question, [pair.platform], languages=frozenset({pair.language}))


__all__ = ["PAIRS", "NotConvertedError", "Pair", "imported", "ours"]
