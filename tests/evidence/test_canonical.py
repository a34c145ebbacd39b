import json
import math
import struct
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from tracehound.knowledge.errors import CaseError
from tracehound.tools.evidence.canonical import (
    RepeatedKeys,
    canonical,
    digest,
    evidence_id,
    kept_form,
    original,
    read_form,
    read_row,
    safe_form,
)
from tracehound.tools.evidence.case import Case
from tracehound.tools.evidence.exports import export
from tracehound.tools.evidence.exports.checking import verify_file
from tracehound.tools.evidence.records import Answer


def nested(depth: int, kind: str) -> Any:
    value: Any = "bottom"
    for _ in range(depth):
        value = [value] if kind == "list" else {"k": value}
    return value


HOSTILE: dict[str, Any] = {
    "lone high surrogate": "a\ud800b",
    "lone low surrogate": "a\udc00",
    "swapped surrogates": "\udc00\ud800",
    "surrogate in a key": {"\udfff": 1},
    "bytes that are no UTF-8": b"\xff\xfe\x00".decode("utf-8", "surrogateescape"),
    "bytes": b"\x00\xff",
    "NUL": "a\x00b",
    "NUL in a key": {"\x00": 1},
    "C0 controls": "".join(map(chr, range(32))),
    "C1 controls": "".join(map(chr, range(0x7F, 0xA0))),
    "escape sequence": "\x1b]0;owned\x07\x1b[2J",
    "bidi override": "\u202egpj.exe",
    "tag characters": "x\U000e0041\U000e007f",
    "zero width": "a\u200b\u200d\ufeffb",
    "line separators": "a\u2028b\u2029c\r\nd",
    "right-to-left host name": "\u05d0\u05d1\u05d2-01",
    "homoglyph": "\u0441md.exe",
    "emoji key order": {"\U0001f600": 1, "\uffff": 2, "a": 3},
    "combining": "e\u0301" * 50,
    "2^53": 2**53,
    "2^63": 2**63,
    "2^70": 2**70,
    "-2^70": -(2**70),
    "2^40000": 2**40_000,
    "NaN": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "smallest float": 5e-324,
    "largest float": 1.7976931348623157e308,
    "minus zero": -0.0,
    "lists 3,000 deep": nested(3_000, "list"),
    "objects 3,000 deep": nested(3_000, "dict"),
    "10 MB of text": "A" * 10_000_000,
    "lc 1": {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {}},
    "lc 2": {"lc": 2, "type": "not_implemented"},
    "__proto__": {"__proto__": {"admin": True}, "constructor": None},
    "repeated keys": RepeatedKeys([("a", 1), ("a", 2)]),
    "reserved key": {"$text": "not hex"},
    "reserved keys": {"$int": "1", "$pairs": [[1]], "other": {}},
    "markup and formulas": "=cmd|' /C calc'!A0 [x](javascript:alert(1)) <img src=x> [bold]",
}


def same(left: Any, right: Any) -> bool:
    """Equality that knows NaN, repeated keys, and nesting deeper than `==` goes."""
    todo = [(left, right)]
    while todo:
        one, other = todo.pop()
        if isinstance(one, RepeatedKeys) or isinstance(other, RepeatedKeys):
            if getattr(one, "pairs", None) != getattr(other, "pairs", None):
                return False
        elif isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            todo += [(one[key], other[key]) for key in one]
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            todo += list(zip(one, other, strict=True))
        elif isinstance(one, float) or isinstance(other, float):
            if (
                one != other
                and not (one != one and other != other)
                and struct.pack(">d", one) != struct.pack(">d", other)
            ):
                return False
        elif one != other:
            return False
    return True


def test_there_are_forty_families() -> None:
    assert len(HOSTILE) == 40


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_value_has_canonical_bytes_that_give_it_back(name: str) -> None:
    row = {"value": HOSTILE[name], "plain": "x"}
    data = canonical(row)
    assert same(original(read_form(data)), row)
    assert canonical(original(read_form(data))) == data
    assert data.decode("utf-8") == data.decode("utf-8", "strict")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_value_survives_the_case(
    name: str, home: Any, run: Callable[..., Any], process_row: Callable[..., Any]
) -> None:
    row = process_row(cmd=HOSTILE[name], tgtProcCmdLine=HOSTILE[name], endpointName=HOSTILE[name])
    with Case.create(home, "what happened?") as case:
        _, (kept,) = case.add_run(run([row]))
        case_id = case.id
    with Case.open(home, case_id, write=False) as case:
        read = case.evidence(kept.id)
        assert read is not None
        assert read == kept
        assert same(original(read.raw), row)
        assert case.verify() == []
        json.dumps(read.model_dump(mode="json")).encode()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_value_survives_an_answer_and_its_exports(
    name: str, home: Any, tmp_path: Any, run: Callable[..., Any], process_row: Callable[..., Any]
) -> None:
    hostile = HOSTILE[name]
    text = hostile if isinstance(hostile, str) else "a question"
    with Case.create(home, text[:5_000]) as case:
        record, kept = case.add_run(run([process_row(tgtProcCmdLine=hostile)]))
        answer = Answer(
            case=case.id, question=text[:5_000], model="offline", estate="lab", window=record.window, route="search",
            queries=(record,), evidence=tuple(kept),
        )  # fmt: skip
        case.save_answer(answer)
        assert case.last_answer() == answer
        assert case.questions()[0].body["text"] == text[:5_000]
        assert case.verify() == []
    file = tmp_path / "answer.json"
    file.write_text(export(answer, "json"), encoding="utf-8")
    assert file.read_bytes().isascii()
    assert verify_file(file) == []
    shown = export(answer, "md")
    assert not any(ord(char) < 32 and char != "\n" for char in shown)
    assert not any(char in shown for char in "\x7f\x9b\u202e\u200b\u2028\U000e0041")


KEYS = st.text().filter(lambda key: key[:1] != "$")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(KEYS, JSON, max_size=6))
def test_ordinary_rows_are_rfc_8785(row: dict[str, Any]) -> None:
    assert canonical(row) == rfc8785.dumps(row)
    assert safe_form(row) == row


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=20)
    | st.text(st.characters(categories=("L", "Cs", "Cc", "Cf", "N"))),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=5) | st.sampled_from(["$text", "$int", "$flat", "$pairs"]), inner, max_size=3),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(st.text(max_size=8), ANYTHING, max_size=5))
def test_every_row_comes_back(row: dict[str, Any]) -> None:
    form, data = kept_form(row)
    assert same(original(read_form(data)), row)
    assert same(original(form), row)


def test_order_of_keys_does_not_matter() -> None:
    left = {"b": 1, "a": {"y": "\ud800", "x": 2**80}, "\ud800": 0}
    right = {"\ud800": 0, "a": {"x": 2**80, "y": "\ud800"}, "b": 1}
    assert canonical(left) == canonical(right)


def test_different_values_have_different_bytes() -> None:
    rows: list[dict[str, Any]] = [
        {"v": 2**70}, {"v": str(2**70)}, {"v": {"$int": str(2**70)}}, {"v": math.nan}, {"v": "nan"},
        {"v": b"\xff"}, {"v": "\udcff"}, {"v": {"$bytes": "ff"}}, {"v": RepeatedKeys([("a", 1), ("a", 2)])}, {"v": {"a": 2}},
    ]  # fmt: skip
    assert len({canonical(row) for row in rows}) == len(rows)


def test_repeated_keys_and_raw_bytes_are_read_without_loss() -> None:
    row = read_row(b'{"a": 1, "a": {"b": 2, "b": 3}, "c": "\xff", "n": 123456789012345678901234567890}')
    assert row["a"] == {"b": 3}
    assert row.pairs[0] == ("a", 1)
    assert row["n"] == 123456789012345678901234567890
    assert row["c"].encode("utf-8", "surrogateescape") == b"\xff"
    assert same(original(read_form(canonical(row))), row)


@pytest.mark.parametrize("raw", [b"{", b"", b"[" * 200_000, b"\xff\xfe"])
def test_what_is_no_json_is_refused_with_a_reason(raw: bytes) -> None:
    with pytest.raises(CaseError, match="a row cannot be kept"):
        read_row(raw)


@pytest.mark.parametrize("row", [{"v": object()}, {"v": {1: 2}}, {"v": {3, 4}}, {1: 1}])
def test_what_is_no_json_value_is_refused_with_a_reason(row: Any) -> None:
    with pytest.raises(CaseError, match="a row cannot be kept"):
        canonical(row)


def test_a_cycle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracehound.tools.evidence.canonical.MAX_NODES", 20_000)
    row: dict[str, Any] = {}
    row["self"] = row
    with pytest.raises(CaseError, match="more than"):
        canonical(row)


def test_id_is_the_head_of_the_hash() -> None:
    sha256 = digest(canonical({"a": 1}))
    assert sha256 == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    assert evidence_id(sha256) == "E-015abd7f5cc5"
