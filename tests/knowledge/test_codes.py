"""Numbers of logs in words."""

import pytest

from tracehound.tools.codes import codes_in
from tracehound.tools.explain import defanged, explain

KNOWN = [
    ("what does event 4769 with ticket encryption 0x17 mean", ["4769", "0x17"]),
    ("logon type 3", ["3"]),
    ("LogonType=10", ["10"]),
    ("4625 with sub status 0xC000006A", ["0xC000006A"]),
    ("event 4625, status 0xc000006a", ["4625", "0xc000006a"]),
    ("sysmon event id 10", ["10"]),
    ("Sysmon 22", ["22"]),
    ("entra error 50126", ["50126"]),
    ("AADSTS500121", ["500121"]),
    ("ResultType 50053", ["50053"]),
    ("windows event 7045", ["7045"]),
]


@pytest.mark.parametrize(("text", "numbers"), KNOWN, ids=[entry[0] for entry in KNOWN])
def test_a_code_is_known_beside_its_word(text: str, numbers: list[str]) -> None:
    found = codes_in(text)
    assert [code.number for code in found] == numbers
    assert all(code.means for code in found)


@pytest.mark.parametrize(
    "text", ["Start-Sleep 3", "ping 10.0.0.3", "copy 4769.txt C:\\x", "3 hosts", "v4.6.2.5", "port 4624/tcp"]
)
def test_a_number_by_itself_is_none(text: str) -> None:
    assert codes_in(text) == []


def test_a_number_is_read_by_the_word_before_it() -> None:
    kinds = {text: codes_in(text)[0].kind for text in ("logon type 10", "sysmon event 10")}
    assert kinds == {"logon type 10": "logon type", "sysmon event 10": "sysmon event"}


def test_an_explanation_says_what_a_code_means() -> None:
    sentences = explain("what does event 4625 with 0xC000006A mean").sentences
    assert any("0xC000006A" in sentence and "password is wrong" in sentence for sentence in sentences)
    assert sentences[-1] == "It was read, not run."


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://203.0.113.5/a.ps1", "hxxp://203[.]0[.]113[.]5/a.ps1"),
        ("https://a.b.example/x?y=1.2", "hxxps://a[.]b[.]example/x?y=1.2"),
        ("203.0.113.5", "203[.]0[.]113[.]5"),
        ("evil.example", "evil[.]example"),
        ("ann@evil.example", "ann@evil[.]example"),
        ("C:\\Users\\a.b\\x.exe", "C:\\Users\\a.b\\x.exe"),
        ("d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e"),
    ],
)
def test_indicators_are_shown_so_that_nobody_clicks_them(value: str, shown: str) -> None:
    assert defanged(value) == shown


def test_what_a_command_does_is_told_in_its_order() -> None:
    means = [item.means for item in explain("whoami && net user x y /add && vssadmin delete shadows /all").behaviours]
    order = [
        next(at for at, told in enumerate(means) if word in told)
        for word in ("current account", "creates an account", "deletes them")
    ]
    assert order == sorted(order)
