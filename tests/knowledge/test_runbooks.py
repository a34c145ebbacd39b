"""Runbooks: what comes with the product is whole, and a SOC's own are checked and kept."""

import re
from pathlib import Path

import pytest

from tracehound.knowledge import attack
from tracehound.knowledge.errors import ContentError, StorageError, UsageError
from tracehound.knowledge.runbooks import Runbook, builtin_runbooks, load_runbooks, read_runbook
from tracehound.tools.library import HuntLibrary
from tracehound.tools.runbooks import RunbookShelf

OWN = """\
---
id: coffee-machine
title: Coffee machine beacons
techniques: [T1071.001]
tags: [iot, 4769]
applies_to: [endpoint]
---
# Coffee machine beacons
It calls home.

## Triage questions
1. Is there coffee?

```
## not a heading
```

## Contain
Unplug it.
"""


@pytest.mark.parametrize("book", builtin_runbooks(), ids=lambda book: book.id)
def test_a_built_in_runbook_is_whole(book: Runbook) -> None:
    titles = [section.title for section in book.sections]
    assert titles == ["Overview", "Triage questions", "Check", "Decide", "Contain", "Record"]
    assert book.source == f"runbooks/{book.id}.md"
    assert book.tags


def test_runbooks_name_hunts_that_exist() -> None:
    domains = {hunt.id.split(".")[0] for hunt in HuntLibrary.load().all()}
    for book in builtin_runbooks():
        for name in re.findall(r"`([a-z-]+\.[a-z0-9-]+)`", book.text):
            if name.split(".")[0] in domains:
                assert HuntLibrary.load().get(name), book.id


def test_every_runbook_is_reached_from_a_hunt() -> None:
    named = {runbook for hunt in HuntLibrary.load().all() for runbook in hunt.runbooks}
    assert {book.id for book in builtin_runbooks()} == named


def test_sections_are_split_outside_of_code() -> None:
    book = read_runbook(OWN, "coffee.md")
    assert [section.title for section in book.sections] == ["Overview", "Triage questions", "Contain"]
    assert book.sections[0].text == "It calls home."
    assert "## not a heading" in book.sections[1].text
    assert book.tags == ("iot", "4769")
    found = book.section("CONTAIN")
    assert found is not None
    assert found.text == "Unplug it."


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("no front matter", 1, "heading"),
        ("---\nid: x\n", 1, "not closed"),
        (OWN.replace("id: coffee-machine", "id: Coffee Machine"), 2, "id"),
        (OWN.replace("title: Coffee machine beacons\n", ""), 2, "title"),
        (OWN.replace("T1071.001", "T9999"), 4, "has no T9999"),
        (OWN.replace("[endpoint]", "[kitchen]"), 6, "applies_to"),
        (OWN.replace("tags:", "labels:"), 5, "labels"),
        (OWN.replace("[iot, 4769]", "[iot"), 6, "not YAML"),
        (OWN.split("# Coffee")[0], 8, "no text"),
        ("x" * 100_001, None, "at most"),
    ],
)
def test_a_broken_runbook_is_refused_with_its_line(text: str, line: int | None, says: str) -> None:
    with pytest.raises(ContentError, match=says) as caught:
        read_runbook(text, "own.md", own=True)
    assert caught.value.line == line or (line and caught.value.line and abs(caught.value.line - line) <= 1)


def test_plain_markdown_of_the_soc_is_taken_by_its_heading() -> None:
    book = read_runbook("# Our VPN runbook\n\nCall Kim.\n", "/x/Our VPN (2).md", own=True)
    assert (book.id, book.title, book.applies_to) == ("our-vpn-2", "Our VPN runbook", ("any",))


def test_own_runbooks_are_added_shown_replaced_and_removed(tmp_path: Path) -> None:
    source = tmp_path / "coffee.md"
    source.write_text(OWN, encoding="utf-8")
    shelf = RunbookShelf(tmp_path / "home" / "content" / "runbooks")
    before = len(shelf.list())
    assert shelf.add(source).id == "coffee-machine"
    assert len(shelf.list()) == before + 1
    assert shelf.show("coffee-machine").own
    assert "Unplug" in shelf.show("coffee-machine").markdown
    source.write_text(OWN.replace("Unplug it.", "Descale it."), encoding="utf-8")
    shelf.add(source)
    assert "Descale" in shelf.show("coffee-machine").markdown
    assert any(document.id == "coffee-machine" for document in shelf.passages())
    shelf.remove("coffee-machine")
    assert len(shelf.list()) == before
    with pytest.raises(UsageError, match="there is no runbook"):
        shelf.show("coffee-machine")


def test_an_own_runbook_replaces_the_built_in_one(tmp_path: Path) -> None:
    source = tmp_path / "phishing.md"
    source.write_text(OWN.replace("id: coffee-machine", "id: phishing"), encoding="utf-8")
    shelf = RunbookShelf(tmp_path / "own")
    shelf.add(source)
    assert shelf.show("phishing").title == "Coffee machine beacons"
    shelf.remove("phishing")
    assert shelf.show("phishing").title == "Phishing mail"


def test_what_cannot_be_removed_says_why(tmp_path: Path) -> None:
    extra = tmp_path / "content" / "runbooks"
    extra.mkdir(parents=True)
    (extra / "coffee.md").write_text(OWN, encoding="utf-8")
    shelf = RunbookShelf(tmp_path / "own", extra=tmp_path / "content")
    assert shelf.show("coffee-machine").own
    with pytest.raises(UsageError, match="remove it there"):
        shelf.remove("coffee-machine")
    with pytest.raises(UsageError, match="built in"):
        shelf.remove("phishing")


def test_files_that_cannot_be_read_or_kept_are_named(tmp_path: Path) -> None:
    shelf = RunbookShelf(tmp_path / "own")
    with pytest.raises(UsageError, match=r"nothing\.md cannot be read"):
        shelf.add(tmp_path / "nothing.md")
    (tmp_path / "latin.md").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ContentError, match="not UTF-8"):
        shelf.add(tmp_path / "latin.md")
    (tmp_path / "coffee.md").write_text(OWN, encoding="utf-8")
    (tmp_path / "blocked").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be written"):
        RunbookShelf(tmp_path / "blocked").add(tmp_path / "coffee.md")


def test_two_own_runbooks_of_one_id_are_refused(tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text(OWN, encoding="utf-8")
    with pytest.raises(ContentError, match="is taken by"):
        load_runbooks(tmp_path)


def test_attack_names() -> None:
    assert attack.version() == "18.1"
    assert attack.title("t1021.002") == "T1021.002 Remote Services: SMB/Windows Admin Shares"
    assert attack.title("T0000") == "T0000"
    found = attack.technique("T1003.001")
    assert found is not None
    assert (found.tactics, found.url) == (("credential-access",), "https://attack.mitre.org/techniques/T1003/001")
    withdrawn = attack.technique("T1086")
    assert withdrawn is not None
    assert withdrawn.withdrawn
    assert len(attack.techniques()) > 800


def test_superseded_ids_lead_to_what_took_their_place() -> None:
    """`revoked-by` of ATT&CK 18.1; T1150 was replaced twice, and T1064 by nothing."""
    for old, new in {"T1086": "T1059.001", "t1035": "T1569.002", "T1150": "T1647", "T1059.001": "T1059.001"}.items():
        found = attack.current(old)
        assert found is not None, old
        assert found.id == new
    assert attack.current("T1064") is None
    assert attack.current("T0000") is None
    for item in attack.techniques().values():
        assert len(item.stix) == 36, item.id
        assert item.withdrawn or not item.replaced_by
