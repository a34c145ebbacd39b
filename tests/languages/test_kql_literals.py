"""A value written into KQL stays one literal and reads back as itself."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracehound.knowledge.errors import UnsafeValueError
from tracehound.tools.languages.kql import literals, parse
from tracehound.tools.languages.kql.lexer import string_value, tokens

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | st.text(
    "\"'\\`~@;|/*\r\n\t\0\x1b\x85\u2028\u2029hH{}[]().$", max_size=40
)
FRAMES = (
    "T | where a == {} | take 1",
    "T | where a in~ ({}, 'x')",
    "let v = {}; T | where a has v",
    "T | where a matches regex {}",
    "T | project [{}]",
)


@settings(max_examples=1_000, deadline=None)
@given(TEXT)
@example('"; .drop table T //')
@example("\\")
@example("a\r\nb")
@example("x\u2028| evaluate http_request('y')")
def test_a_text_never_changes_the_structure(value: str) -> None:
    literal = literals.string(value)
    for frame in FRAMES:
        found = [token.kind for token in tokens(frame.format(literal))]
        assert found == [token.kind for token in tokens(frame.format('"a"'))]
    assert string_value(tokens(literal)[0]) == value
    assert literal.isprintable() or all(ord(char) > 0x9F for char in literal if not char.isprintable())


@given(TEXT)
def test_a_name_never_changes_the_structure(value: str) -> None:
    text = f"T | project {literals.name(value)}, other"
    plain = [token.kind for token in tokens("T | project x, other")]
    bracketed = [token.kind for token in tokens("T | project ['x'], other")]
    assert [token.kind for token in tokens(text)] in (plain, bracketed)


def test_half_of_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UnsafeValueError, match="surrogate"):
        literals.string("a\ud800b")


@pytest.mark.parametrize("value", [0, 7, -7, 2**63 - 1, 1.5, -0.25, 1e300])
def test_numbers_read_back(value: float) -> None:
    parse(f"T | where a > {literals.number(value)}")
    assert type(value)(literals.number(value)) == value


@pytest.mark.parametrize("value", [2**63, -(2**70), float("nan"), float("inf")])
def test_numbers_without_a_literal_are_refused(value: float) -> None:
    with pytest.raises(UnsafeValueError):
        literals.number(value)


def test_moments_and_truth() -> None:
    assert literals.moment(datetime(2026, 11, 24, 9, tzinfo=UTC)) == "datetime(2026-11-24T09:00:00Z)"
    assert literals.moment(datetime(2026, 11, 24, 9, 0, 0, 250_000, tzinfo=UTC)) == "datetime(2026-11-24T09:00:00.25Z)"
    assert (literals.boolean(True), literals.boolean(False)) == ("true", "false")
