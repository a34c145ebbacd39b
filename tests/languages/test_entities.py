"""Entities of a question: tricky strings, known names, and agreement with an extraction library on plain ones."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.tools.languages.entities import find_entities, refang

HOSTS = ["WS-042", "FS-01", "DC-01.corp.example", "LX-WEB-02", "WORKSTATION5", "ADM-01", "MORDORDC"]
USERS = ["svc-backup", "j.okafor", "ci-deploy", r"CORP\pgustavo", "h.lind@corp.example"]

TABLE: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "entities.yaml").read_text(encoding="utf-8"))
KINDS = (
    "host user ip network domain url email hash cve file process path service app text technique event_id alert".split()  # noqa: SIM905
)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["says"][:45])
def test_entities_of_a_tricky_text(row: dict[str, Any]) -> None:
    found = find_entities(row["says"], HOSTS, USERS)
    expected = {kind: tuple(row.get(kind, ())) for kind in KINDS}
    assert {kind: found.values(kind) for kind in KINDS} == expected


def test_known_and_unknown_hosts_are_told_apart() -> None:
    found = find_entities("from WS-042 to WS-420", HOSTS)
    assert found.hosts == ("WS-042", "WS-420")
    assert found.unknown_hosts == ("WS-420",)


def test_named_views_agree_with_values() -> None:
    found = find_entities("svc-xy ran a.exe from 192.0.2.1, CVE-2024-1111, event 4688 on FS-01", HOSTS)
    assert (found.users, found.processes, found.ips, found.cves) == (
        ("svc-xy",),
        ("a.exe",),
        ("192.0.2.1",),
        ("CVE-2024-1111",),
    )
    assert found.event_ids == (4688,)
    assert not found.alert_ids
    assert bool(found)
    assert not find_entities("nothing here")


def test_each_place_belongs_to_one_entity() -> None:
    text = "http://203.0.113.5/a.exe?u=bob@x.example C:\\Users\\bob.smith\\a.exe"
    found = find_entities(text)
    assert [mention.kind for mention in found.mentions] == ["url", "path"]


def test_plain_indicators_agree_with_ioc_finder() -> None:
    from ioc_finder import find_iocs

    text = "198.51.100.23 and evil.com, hxxps://bad.net/x, d41d8cd98f00b204e9800998ecf8427e, CVE-2020-1472, a@b.com"
    ours = find_entities(text)
    theirs = find_iocs(text, parse_domain_from_url=False, parse_domain_from_email_address=False)
    assert list(ours.ips) == list(theirs["ipv4s"])
    assert set(ours.domains) <= set(theirs["domains"])
    assert list(ours.hashes) == list(theirs["md5s"])
    assert list(ours.cves) == list(theirs["cves"])
    assert list(ours.emails) == list(theirs["email_addresses"])


ADDRESSES = st.ip_addresses(v=4).map(str)


@given(ADDRESSES)
def test_a_defanged_address_is_read_as_the_address(address: str) -> None:
    assert find_entities(f"seen {address.replace('.', '[.]')} today").ips == (address,)


@settings(max_examples=300, deadline=2_000)
@given(st.text(max_size=400))
def test_any_text_can_be_read(text: str) -> None:
    found = find_entities(text, HOSTS, USERS)
    for mention in found.mentions:
        assert 0 <= mention.start < mention.end <= len(found.text)
        assert mention.value


@pytest.mark.parametrize(
    "text", ["a-" * 10_000, "C:\\a " * 4_000, "1:" * 9_000, "x." * 9_000, "\\\\a\\" * 5_000, "a@" * 9_000]
)
def test_long_text_is_read_in_time(text: str) -> None:
    started = time.monotonic()
    find_entities(text)
    assert time.monotonic() - started < 5


def test_refang_leaves_ordinary_text_alone() -> None:
    text = "call f(x) at [12:30], see (dot) com and a[0].b"
    assert refang("evil[.]com") == "evil.com"
    assert refang("a[0].b and [x]") == "a[0].b and [x]"
    assert "12:30" in refang(text)
