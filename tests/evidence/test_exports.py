import csv
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from tracehound.knowledge.errors import CaseError, UsageError
from tracehound.tools.evidence.case import Case
from tracehound.tools.evidence.claims import claim_for
from tracehound.tools.evidence.exports import export, to_json
from tracehound.tools.evidence.exports.checking import verify_file
from tracehound.tools.evidence.exports.markdown import inline, to_markdown
from tracehound.tools.evidence.merge import merge
from tracehound.tools.evidence.records import Answer, Factor, Gap, Proposal, RunbookHit, TimelineEntry, Triage
from tracehound.tools.evidence.safe import code_safe, csv_safe, markdown_safe, safe, shorten
from tracehound.tools.evidence.verify import verify

Make = Callable[..., Any]

VERDICTS: tuple[Literal["suspicious", "benign"], ...] = ("suspicious", "benign")
ATTACKS = [
    "[click](javascript:alert(1))", "![x](http://evil.example/?q=1)", "<img src=x onerror=alert(1)>", "<!-- hidden -->",
    "http://evil.example/x", "HTTPS://evil.example", "www.evil.example", "mallory@evil.example", "<http://evil.example>",
    "# heading", "> quote", "- item", "1. item", "***bold***", "~~gone~~", "| a | b |", "`code`", "```\nfence\n```",
    "[ref]: http://evil.example", "[^1]", "&lt;script&gt;", "\\[x](y)", "line\nbreak", "a  \nb", "\x1b]8;;http://evil\x07x",
    "\u202egpj.exe", "\u2028# heading", "a\u200bb", "\U000e0041", "$(calc)", "$$x$$", ":smile:", "@everyone", "+++", "===",
]  # fmt: skip


@pytest.fixture
def answer(home: Path, run: Make, process_row: Make) -> Callable[..., Answer]:
    """Makes an answer whose evidence, texts and names carry a value."""

    def make(value: str = "whoami /all") -> Answer:
        with Case.create(home) as case:
            record, rows = case.add_run(run([process_row(1, tgtProcCmdLine=value, tgtProcName=value), process_row(2)]))
            groups = merge(case.events())
            claims = [claim_for(group, claim_id=f"C{n}") for n, group in enumerate(groups, 1)]
            entries = [
                TimelineEntry(
                    time=group.first, until=group.first + timedelta(minutes=3), text=claim.text, evidence=claim.evidence,
                    techniques=("T1033",), hosts=("SRV-7",), platforms=("sentinelone",), claim=claim.id, verdict=verdict,
                )
                for group, claim, verdict in zip(groups, claims, VERDICTS, strict=True)
            ]  # fmt: skip
            made = Answer(
                case=case.id, question=value, model="offline", estate="lab", window=record.window, route="alert",
                summary=f"{claims[0].text} [E1]\n{value}", queries=(record,), evidence=tuple(rows),
                timeline=tuple(entries), claims=tuple(claims), gaps=(Gap(kind="capped", text=value, queries=("Q1",)),),
                runbooks=(RunbookHit(id="r", title=value, section=value, score=0.5, text=value),),
                proposals=(
                    Proposal(
                        id="A-1", action="isolate_host", platform="sentinelone", target={"host": value}, reason=value,
                        evidence=(rows[0].id,), undo="release_host", status="awaiting_approval",
                    ),
                ),
                triage=Triage(
                    alert=value, verdict="unclear", priority="High", score=0.5, next_steps=(value,),
                    because=(Factor(factor="x", value=value, evidence=(rows[0].id,)),),
                ),
            )  # fmt: skip
            # Its timeline is made up to try every field, so that only the claims can hold.
            checked, counts = verify(made.claims, made.evidence, made.queries)
            return made.model_copy(update={"claims": tuple(checked), "verification": counts})

    return make


def outside_code(markdown: str) -> str:
    """Markdown without its code spans, by CommonMark's rule: a run of backticks closes at a run of the same length."""
    out, at = [], 0
    for match in re.finditer(r"(?<![\\`])(`+)(?!`)(.+?)(?<!`)\1(?!`)", markdown, re.DOTALL):
        out.append(markdown[at : match.start()])
        at = match.end()
    return "".join([*out, markdown[at:]])


@pytest.mark.parametrize("attack", ATTACKS)
def test_evidence_text_is_only_text_in_markdown(attack: str, answer: Make) -> None:
    text = to_markdown(answer(attack))
    prose = outside_code(text)
    assert not re.search(r"(?<!\\)\]\(|(?<!\\)!\[|(?<!\\)<[a-zA-Z!/]|(?<!\\)\]:", prose), prose
    assert not re.search(r"\b(https?|javascript|ftp):|www\.|\w@\w", prose, re.IGNORECASE)
    assert not any(ord(char) < 32 and char != "\n" for char in text)
    assert not re.search("[\x7f-\x9f\u200b\u202e\u2028\U000e0041]", text)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in headings if not line.startswith(("# ", "## "))] == []
    titles = {"Notes by analysts", "Timeline", "Ruled out", "Next steps", "Proposals", "Gaps", "Runbooks"}
    titles |= {"Evidence", "Queries"}
    assert {line[3:] for line in headings if line.startswith("## ")} <= titles | {"Triage: unclear, High (score 0.50)"}
    assert len([line for line in headings if line.startswith("# ")]) == 1
    answer(attack).to_markdown().encode()


def test_markdown_is_what_a_ticket_needs(answer: Make) -> None:
    text = to_markdown(answer())
    for part in (
        "# whoami /all", "## Timeline", "## Ruled out", "## Gaps", "## Proposals", "## Evidence", "## Queries", "[E1]",
        "T1033", "release\\_host", "Q1", "2 claims: 2 verified, 0 assessments, 0 gaps; 0 uncited, 0 failed.",
        "window 2026-11-01 00:00:00Z to 2026-11-02 00:00:00Z (1 November)", "2026-11-01 10:00:01Z",
    ):  # fmt: skip
        assert part in text.replace("`release_host`", "release\\_host"), part
    assert to_markdown(answer()).split("Case")[0] == text.split("Case")[0]


def test_sentences_keep_their_code(answer: Make) -> None:
    assert inline("x ran `a *b*`") == "x ran `a *b*`"
    assert inline("x ran ``a `b` c``") == "x ran ``a `b` c``"
    assert inline("*x* ran `a` and `") == "\\*x\\* ran `a` and \\`"


def test_json_is_the_public_object(answer: Make, tmp_path: Path) -> None:
    made = answer("\x1b[2J\u202e\ud800".encode("utf-8", "backslashreplace").decode())
    text = to_json(made)
    assert text.isascii()
    content = json.loads(text)
    assert content["schema"] == "tracehound.answer/1"
    assert content["evidence"][0]["class"] == "process_activity"
    assert Answer.model_validate(content) == made
    file = tmp_path / "a.json"
    file.write_text(text, encoding="utf-8")
    assert verify_file(file) == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("evidence", 0, "raw", "tgtProcUser"), "CORP\\eve", "raw row of E1"),
        (("evidence", 0, "sha256"), "0" * 64, "id of E1"),
        (("claims", 0, "text"), "x.exe was started on SRV-8", "claim C1 does not hold"),
        (("claims", 0, "evidence"), ["E-000000000000"], "claim C1 does not hold"),
        (("timeline", 0, "evidence"), ["E-000000000000"], "the timeline cites"),
    ],
)
def test_changed_export_is_found(
    path: tuple[Any, ...], value: Any, expected: str, answer: Make, tmp_path: Path
) -> None:
    content = json.loads(to_json(answer()))
    at = content
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    file = tmp_path / "a.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    assert any(expected in problem for problem in verify_file(file)), verify_file(file)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"schema": "tracehound.answer/1"}', b"[" * 100_000])
def test_a_file_that_is_no_export_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(CaseError, match="is no exported answer"):
        verify_file(file)
    with pytest.raises(CaseError, match="cannot be read"):
        verify_file(tmp_path / "none.json")


def test_formats(answer: Make) -> None:
    made = answer()
    assert export(made, "md") == to_markdown(made)
    assert export(made, "json") == to_json(made)
    with pytest.raises(UsageError, match="the formats are md, json"):
        export(made, "docx")


def test_safe_shows_what_hides() -> None:
    assert safe("a\x1b[2J\x9b\u202e\u200b\u2028\U000e0041\ud800\x00\ufeff") == (
        "a\\x1b[2J\\x9b\\u202e\\u200b\\u2028\\U000e0041\\ud800\\x00\\ufeff"
    )
    assert safe("a\tb\nc\r") == "a\\tb\\nc\\r"
    assert safe("a\tb\nc\r", single_line=False) == "a\tb\nc\\r"
    assert safe("плохо 日本 é 😀") == "плохо 日本 é 😀"
    assert safe(7) == "7"


def test_every_unsafe_code_point_is_escaped() -> None:
    ranges = [
        range(0x00, 0x20), range(0x7F, 0xA0), range(0x200B, 0x2010), range(0x2028, 0x202F), range(0x2060, 0x206A),
        range(0xD800, 0xE000), range(0xE0000, 0xE0080), [0xFEFF],
    ]  # fmt: skip
    for points in ranges:
        for point in points:
            assert chr(point) not in safe(chr(point)), hex(point)


def test_shortened_text_shows_the_cut() -> None:
    assert shorten("abc", 3) == "abc"
    cut = shorten("a" * 500 + "z" * 500, 90)
    assert len(cut) <= 90
    assert cut.startswith("aaa")
    assert cut.endswith("zzz")
    left_out = int(cut.split("[+")[1].split("]")[0])
    assert left_out + len(cut) - len(f"[+{left_out}]") == 1_000


def test_csv_fields_are_no_formulas() -> None:
    for text in ("=1+1", "+1", "-1", "@x", "\t=1", " =1"):
        assert csv_safe(text)[0] == "'"
    assert csv_safe("\r=1") == "\\r=1"
    assert csv_safe("plain") == "plain"
    out = io.StringIO()
    csv.writer(out).writerow([csv_safe('a,"b"\nc')])
    assert next(csv.reader(io.StringIO(out.getvalue()))) == ['a,"b"\nc']


def test_code_spans_hold_any_text() -> None:
    for text in ("a", "`", "``", "a`b", "` `", " a ", "```x", ""):
        span = code_safe(text)
        fence = re.match("`+", span)[0] if text and not text.startswith("`") else "`"  # type: ignore[index]
        assert span.startswith(fence)
        assert outside_code(f"{span}") == "" or not text


def test_markdown_leaves_ordinary_words_alone() -> None:
    assert markdown_safe("SRV-7 as bob, 10.1.2.3 port 443 (Network)") == "SRV-7 as bob, 10.1.2.3 port 443 (Network)"
