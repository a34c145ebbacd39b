"""Prompts: every text loads, slots are filled in one pass, and recorded text cannot leave its marks."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracehound import prompts
from tracehound.knowledge.errors import ContentError
from tracehound.prompts.quoting import CLOSE, OPEN, QuotedRow, mask, quote, rows

FOLDER = Path(prompts.__file__).parent
SLOTS = {
    "investigate": {},
    "pivot": {},
    "action_choice": {"tools": "x"},
    "repair": {"problem": "x", "tools": "y"},
    "query_repair": {"diagnostics": "x"},
    "summary": {"sentences": "5"},
    "rows": {"rows": "x"},
    "rows_masked": {"rows": "x"},
}


def test_every_prompt_is_known_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == set(SLOTS)


@pytest.mark.parametrize("name", SLOTS)
def test_a_prompt_loads_with_its_slots(name: str) -> None:
    text = prompts.load(name, **SLOTS[name])
    assert "{{" not in text
    assert not text.startswith("---")
    assert prompts.version(name) >= 1


def test_a_value_is_never_read_as_a_slot() -> None:
    assert "{{tools}}" in prompts.load("repair", problem="{{tools}}", tools="a")


@pytest.mark.parametrize(
    ("name", "values"), [("nothing", {}), ("repair", {"problem": "x"}), ("investigate", {"x": "y"})]
)
def test_a_wrong_call_is_refused(name: str, values: dict[str, str]) -> None:
    with pytest.raises(ContentError):
        prompts.load(name, **values)


@given(st.text(max_size=500))
def test_quoted_text_stays_between_its_marks(text: str) -> None:
    said = quote(text)
    assert said.startswith(OPEN)
    assert said.endswith(CLOSE)
    assert OPEN not in said[1:-1]
    assert CLOSE not in said[1:-1]
    assert "\n" not in said
    assert " " not in said
    assert "```" not in said


def test_rows_show_facts_plainly_and_recorded_text_quoted_or_masked() -> None:
    row = QuotedRow(
        "E1", "2026-01-01T00:00:00Z", "HOST_1", "USER_2", "process_activity", {"pid": "7"}, {"cmd": "say hello"}
    )
    shown, masked = rows([row]), rows([row], masked=True)
    assert "E1 | 2026-01-01T00:00:00Z | HOST_1 | USER_2 | process_activity | pid=7, cmd=⟦say·hello⟧" in shown
    assert "hello" not in masked
    assert mask("say hello") in masked
