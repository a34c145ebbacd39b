"""Every hunt of the library is valid in every language that can express it, and says which cannot and why."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tracehound.tools.hunt_languages import languages_json, sample, sentence, spoken
from tracehound.tools.hunts import HuntSearch
from tracehound.tools.languages.query import Language, Platform, Query
from tracehound.tools.languages.search import Condition, Operator
from tracehound.tools.languages.translate import ALSO, check_query, translate
from tracehound.tools.languages.views import narrow, views_for
from tracehound.tools.languages.vocabulary import EventClass
from tracehound.tools.library import HuntLibrary, check

SEARCHES: Mapping[str, HuntSearch] = {
    f"{hunt.id}#{search.id}": search for hunt in HuntLibrary.load().all() for search in hunt.searches
}


def expressible(search: HuntSearch) -> set[Language]:
    """The languages of the views that can hold a matching row."""
    found: set[Language] = set()
    for view in views_for(search.event_class):
        if narrow(sample(search), view)[0] is not False:
            found |= {view.language, *ALSO.get(view.language, ())}
    return found


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_a_search_is_valid_wherever_it_can_be_expressed(search: HuntSearch) -> None:
    verdicts = {item.language: item for item in spoken(search)}
    can = expressible(search)
    assert can
    for language, item in verdicts.items():
        if not item.valid:
            assert item.why
            # What a view could hold and a compiler still declines has a reason of the language.
            assert language not in can or "ORs" in item.why or "never holds" in item.why
        else:
            assert language in can
    queries = [item for item in translate(sample(search), languages=frozenset(Language)) if isinstance(item, Query)]
    assert {query.language for query in queries} == {name for name, item in verdicts.items() if item.valid}
    assert all(check_query(query.language, query.text, query.collection).sendable for query in queries)


def test_the_library_speaks_every_language() -> None:
    spoken_by: dict[Language, int] = {}
    for search in SEARCHES.values():
        for item in spoken(search):
            spoken_by[item.language] = spoken_by.get(item.language, 0) + item.valid
    assert set(spoken_by) == set(Language)
    assert all(spoken_by.values())


def test_a_language_that_cannot_says_why() -> None:
    where = Condition(field="share.name", op=Operator.EQ, values=("ADMIN$",))
    search = HuntSearch(id="share", event_class=EventClass.SMB, where=where)
    told = sentence(search)
    assert "valid in kql" in told
    assert "fql" in told.partition("not in")[2]
    assert "(nothing there records smb_activity)" in told


def test_the_json_names_platforms_and_reasons() -> None:
    hunt = HuntLibrary.load().get("lateral-movement.remote-service")
    found = languages_json(hunt)
    assert set(found) == {search.id for search in hunt.searches}
    for verdicts in found.values():
        assert {item["language"] for item in verdicts} == {language.value for language in Language}
        for item in verdicts:
            assert item["valid"] is bool(item["platforms"])
            assert item["valid"] is (item["why"] is None)
            assert set(item["platforms"]) <= {platform.value for platform in Platform}


def test_the_check_of_a_file_says_it_too(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(
        "id: lab.odd\ntitle: Odd\ndomain: endpoint\nquestions: [odd things]\nsearches:\n"
        "  - {id: odd, class: dns_activity, where: {field: query.hostname, endswith: .odd.example}}\n",
        encoding="utf-8",
    )
    notes = [problem.text for problem in check([path])]
    assert any(text.startswith("lab.odd#odd: valid in") and "spl" in text for text in notes)
