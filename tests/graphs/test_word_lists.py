"""Word lists are data: a mistake in one is named with its file and line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracehound.graphs import references, routing
from tracehound.knowledge.errors import ContentError
from tracehound.knowledge.synonyms import plain, read_synonyms

ROOT = Path(__file__).resolve().parents[2]
LISTS: dict[str, Callable[[str, str], Any]] = {
    "graphs/references.yaml": references.read_rules,
    "graphs/routes.yaml": routing.read_rules,
    "knowledge/synonyms.yaml": read_synonyms,
}


@pytest.mark.parametrize("name", LISTS)
def test_the_lists_are_well_formed(name: str) -> None:
    assert LISTS[name]((ROOT / name).read_text(encoding="utf-8"), name)


@pytest.mark.parametrize(
    ("name", "was", "becomes", "says"),
    [
        ("graphs/references.yaml", "- kind: user", "- kind: person", "refer.0.kind"),
        ("graphs/references.yaml", "families:", "family:", "families"),
        ("graphs/references.yaml", "class: authentication", "class: logon", "class"),
        ("graphs/references.yaml", "attribute: user.name", "attribute: user.nick", "no attribute 'user.nick'"),
        ("graphs/references.yaml", r"'\b(?:that|this", r"'\b((?:that|this", "not a regular expression"),
        ("graphs/references.yaml", "what: service account", "what: [service", "not YAML"),
        ("graphs/routes.yaml", "route: explain", "route: tell", "routes.0.route"),
        ("graphs/routes.yaml", "estate_words:", "estate:", "estate_words"),
        ("graphs/routes.yaml", r"^\s*(?:please", r"^\s*((?:please", "not a regular expression"),
        ("graphs/routes.yaml", r"from {host} to (?:", r"from {host} to ((?:", "not a regular expression"),
        ("knowledge/synonyms.yaml", "host: [box,", "host: box, [", "expected a list of words"),
        ("knowledge/synonyms.yaml", "boxes, machine,", "Boxes, machine,", "lower case"),
        ("knowledge/synonyms.yaml", "boxes, machine,", "stick, machine,", "already stands for"),
    ],
)
def test_a_mistake_is_named_with_its_line(name: str, was: str, becomes: str, says: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert was in text
    with pytest.raises(ContentError) as caught:
        LISTS[name](text.replace(was, becomes, 1), name)
    assert says in str(caught.value)
    assert caught.value.path == name
    assert caught.value.line is None or 1 <= caught.value.line <= text.count("\n") + 1


def test_a_wrong_kind_is_named_on_its_own_line() -> None:
    text = (ROOT / "graphs/references.yaml").read_text(encoding="utf-8").replace("- kind: user", "- kind: person", 1)
    with pytest.raises(ContentError) as caught:
        references.read_rules(text, "own.yaml")
    assert caught.value.line == next(n for n, line in enumerate(text.splitlines(), 1) if "kind: person" in line)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("files on a stick", "files on a removable drive usb"),
        ("Which boxes were popped?", "which host were compromised?"),
        ("the team site of sales", "the sharepoint of sales"),
        ("logons on PC-7 and DC-01", "logons on pc-7 and dc-01"),
        ("box.exe in c:\\box", "box.exe in c:\\host"),
    ],
)
def test_aliases_are_read_as_what_they_mean(said: str, meant: str) -> None:
    assert plain(said) == meant
