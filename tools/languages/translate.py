"""One search, every platform that carries its event class: checked queries, and reasons where there is none."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from ...knowledge.errors import QueryError, UnsafeValueError, UsageError
from .compiling import NotCarriedError, carried
from .query import Check, Compiled, Language, Platform, Query
from .search import Search, Window
from .views import View, all_views, views_for


@dataclass(frozen=True, slots=True)
class Inapplicable:
    """A platform that cannot answer the search, and why in one plain sentence."""

    platform: Platform
    view: str | None
    """None when the platform has no view of the event class at all."""
    reason: str


class _Compiler(Protocol):
    def check(self, text: str, collection: str | None = None) -> Check: ...

    def compile_search(self, search: Search, view: View) -> Compiled: ...


@cache
def _language(language: Language) -> _Compiler:
    # Grammars and schemas are loaded when a language is first used.
    return cast(_Compiler, import_module(f".{language.value}", __package__))


ALSO: Mapping[Language, tuple[Language, ...]] = {Language.S1QL: (Language.POWERQUERY,)}
"""Languages that read the same events as a view's own, which is the one that is sent."""


def translate(
    search: Search,
    platforms: Iterable[Platform] | None = None,
    hunt: str | None = None,
    languages: Collection[Language] | None = None,
) -> list[Query | Inapplicable]:
    """Write a search in the language of each view of its event class.

    Args:
        search: The typed question.
        platforms: Only these; all when None.
        hunt: `hunt.id` or `hunt.id#search` that asked.
        languages: Only these, `ALSO` included; each view's own when None.

    Returns:
        One checked query for each view that applies, and a reason for each view or platform that does not.

    Raises:
        QueryError: a compiled query fails its own check, which is a fault of the compiler.
    """
    wanted = frozenset(Platform) if platforms is None else frozenset(platforms)
    views = views_for(search.event_class, wanted)
    found: list[Query | Inapplicable] = [
        _for_view(search, view, language, hunt)
        for view in views
        for language in ((view.language,) if languages is None else (view.language, *ALSO.get(view.language, ())))
        if languages is None or language in languages
    ]
    for platform in sorted(wanted - {view.platform for view in views} & {view.platform for view in all_views()}):
        found.append(Inapplicable(platform, None, f"{platform} carries no {search.event_class}"))
    return found


def _for_view(search: Search, view: View, language: Language, hunt: str | None) -> Query | Inapplicable:
    try:
        carried(search, view)
        compiled = _language(language).compile_search(search, view)
    except (NotCarriedError, UnsafeValueError) as error:
        return Inapplicable(view.platform, view.id, str(error))
    checked = check_query(language, compiled.text, view.collection)
    if not checked.sendable:
        problems = "; ".join(item.message for item in checked.diagnostics)
        raise QueryError(f"the {language} query written for {view.id} fails its own check: {problems}")
    return Query(
        platform=view.platform,
        language=language,
        collection=view.collection,
        text=compiled.text,
        window=search.window,
        limit=search.limit,
        check=checked,
        event_class=search.event_class,
        search=search,
        hunt=hunt,
        cannot_express=compiled.cannot_express,
    )


def check_query(language: Language, text: str, collection: str | None = None) -> Check:
    """Check a text in a language: grammar, schema, types, read-only, bounds."""
    return _language(language).check(text, collection)


_LANGUAGES = {
    Platform.FALCON: (Language.FQL, Language.CQL),
    Platform.SENTINELONE: (Language.S1QL, Language.REST),
    Platform.SENTINEL: (Language.KQL,),
    Platform.DEFENDER: (Language.KQL,),
    Platform.SPLUNK: (Language.SPL,),
}


def raw_query(platform: Platform, language: Language, collection: str, text: str, window: Window, limit: int) -> Query:
    """A query that an analyst or a model wrote. It is checked here; whether it may be sent is `query.check.sendable`.

    FQL carries its time inside the text: where an alert filter names no time of its own, the window is added.

    Raises:
        UsageError: the platform does not speak the language.
    """
    if language not in _LANGUAGES[platform]:
        spoken = " and ".join(item.upper() for item in _LANGUAGES[platform])
        raise UsageError(f"{platform} does not take {language.upper()}; it takes {spoken}.")
    if language is Language.FQL and collection == "alerts":
        from .fql import within

        text = within(text, window)
    return Query(platform, language, collection, text, window, limit, check_query(language, text, collection))
