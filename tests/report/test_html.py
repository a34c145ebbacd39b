"""The HTML report as text: one file, the same bytes each time, a policy that fits it, and everything that it must say."""

import hashlib
import json
import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tracehound.tools.evidence.exports import export
from tracehound.tools.evidence.records import Answer
from tracehound.tools.evidence.report.html import to_html
from tracehound.tools.evidence.report.tactics import NONE, ORDER, tactic_of
from tracehound.tools.evidence.report.words import labelled, raw_row, sentence

Make = Callable[..., Answer]
VOID = {"meta", "input", "br", "line", "rect", "circle", "path"}
OPTIONAL = {"li", "dt", "dd", "th", "td", "tr", "tbody", "thead", "p"}


class Reader(HTMLParser):
    """Elements, attributes and ids of a page, and tags that close what is not open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] != tag and self.open[-1] in OPTIONAL:
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]


def test_the_format_is_offered(made: Make) -> None:
    assert export(made(), "html") == to_html(made())


def test_every_section_is_there_and_says_what_was_found(made: Make) -> None:
    page = to_html(made())
    for words in (
        "Looked alike and ruled out", "What is not known", "Proposed actions", "Runbooks", "Analysts' notes", "Process tree",
        "Logons and movement", "Queries and coverage", "0 claims: 0 verified, 0 assessments, 0 gaps; 0 uncited, 0 failed.",
        "PowerShell", "2026-11-01 08:00:00Z", "incomplete: whoami.exe",
    ):  # fmt: skip
        assert words in page, words


def test_the_page_is_well_formed_and_its_links_lead_somewhere(made: Make) -> None:
    reader = Reader(to_html(made(40)))
    assert reader.faults == []
    assert reader.open in ([], ["html"])
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    wanted = set(reader.values("href")) | {f"#{i}" for v in reader.values("aria-labelledby") for i in v.split()}
    assert wanted <= {f"#{name}" for name in ids}


def test_nothing_is_fetched_and_nothing_is_inline_but_what_the_policy_names(made: Make) -> None:
    page = to_html(made())
    reader = Reader(page)
    assert not set(reader.values("src")) | set(reader.values("style")) | set(reader.values("srcset"))
    assert all(value.startswith("#") for value in reader.values("href"))
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    allowed = policy[1].replace("&#39;", "'")
    assert allowed.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        parts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert len(parts) == 1
        digest = b64encode(hashlib.sha256(parts[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in allowed
    assert "unsafe" not in allowed
    assert "url(" not in re.sub(r'marker-end="url\(#head-\w+\)"', "", page)


def test_no_text_of_evidence_stands_in_an_attribute(made: Make) -> None:
    reader = Reader(to_html(made(20, text="Zq7!attribute")))
    assert not [value for _, _, value in reader.attributes if "Zq7" in value]


def test_the_same_answer_gives_the_same_bytes_anywhere(made: Make, tmp_path: Path) -> None:
    answer = made(20, text=lambda n: f"host-{n}.example")
    file = tmp_path / "answer.json"
    file.write_text(answer.model_dump_json(by_alias=True), encoding="utf-8")
    code = (
        "import sys, hashlib; from tracehound.tools.evidence.records import Answer; "
        "from tracehound.tools.evidence.report.html import to_html; "
        "print(hashlib.sha256(to_html(Answer.model_validate_json(open(sys.argv[1], 'rb').read())).encode()).hexdigest())"
    )
    here = hashlib.sha256(to_html(answer).encode()).hexdigest()
    for zone, seed, language in (("Asia/Kolkata", "7", "C"), ("America/St_Johns", "0", "C.UTF-8")):
        changed = {**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": language}
        found = subprocess.run(
            [sys.executable, "-c", code, str(file)],
            capture_output=True,
            text=True,
            check=True,
            env=changed,
            cwd=tmp_path,
        )
        assert found.stdout.strip() == here


def test_answers_without_this_or_that(made: Make) -> None:
    full = made(3)
    bare = Answer(case=full.case, question="?", model="offline", estate="lab", window=None, route="search")
    assert "No gap is known" in to_html(bare)
    for field in ("timeline", "claims", "evidence", "queries", "gaps", "proposals", "runbooks"):
        page = to_html(full.model_copy(update={field: ()}))
        assert Reader(page).faults == [], field


def test_a_burst_of_thousands_holds_its_first_and_last_rows(made: Make) -> None:
    answer = made(3_000)
    names = tuple(row.id for row in answer.evidence[:3_000])
    burst = answer.timeline[0].model_copy(
        update={"evidence": names, "until": answer.timeline[0].time + timedelta(days=1)}
    )
    page = to_html(answer.model_copy(update={"timeline": (burst,), "claims": (), "triage": None}))
    assert page.count('class="record" id="r') < 40
    assert 'id="row-3000"' in page
    assert "further rows, by id" in page
    assert answer.evidence[1_500].sha256 in page


def test_a_tactic_is_the_one_that_its_techniques_are_about() -> None:
    assert tactic_of(["T1078", "T1021.002"]).style == "t-lateral-movement"
    assert tactic_of(["T1071.001", "T1105"]).name == "Command & control"
    assert tactic_of([], ["Credential Access"]).style == "t-credential-access"
    assert tactic_of(["T9999", "<script>"], ["onerror=", "Lateral  Movement"]).style == "t-lateral-movement"
    assert tactic_of(["nonsense"]) == NONE
    style = (Path(__file__).parents[2] / "tools/evidence/report/page.css").read_text(encoding="utf-8")
    assert all(f".t-{slug}" in style for slug in ORDER)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a `b<c>` d", "a <code>b&lt;c&gt;</code> d"),
        ("x ``a `b` c`` y", "x <code>a `b` c</code> y"),
        ("lone ` tick <b>", "lone ` tick &lt;b&gt;"),
        ("\u202egpj.exe\x00", "\\u202egpj.exe\\x00"),
    ],
)
def test_sentences(text: str, expected: str) -> None:
    assert sentence(text) == expected


def test_the_name_of_a_behaviour_is_set_apart_and_code_is_not_taken_for_one() -> None:
    assert labelled("Alert: x on y").startswith("<b>Alert</b> x")
    assert labelled("a.exe started b.exe: `c: d`").startswith("a.exe started b.exe: <code>")


def test_a_raw_row_is_json_in_ascii() -> None:
    row = {"a\u202e": ["\ud800", 2**70], "b": {"c": None}}
    assert raw_row(row).isascii()
    assert json.loads(raw_row(row)) == row
    assert raw_row({}) == "{}"
