"""A condition on two fields that a backslash would join means what it means on the joined text."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracehound.tools.evidence.normalise import standard
from tracehound.tools.languages.joined import parted
from tracehound.tools.languages.query import Language, Platform, Query
from tracehound.tools.languages.search import Condition, Not, Operator, Search, Window, matches
from tracehound.tools.languages.translate import translate
from tracehound.tools.languages.vocabulary import EventClass

WINDOW = Window(start=datetime(2026, 11, 23, 9, tzinfo=UTC), end=datetime(2026, 11, 24, 9, tzinfo=UTC))
KEYS = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=3).map("\\".join)
VALUES = st.sampled_from(["", "a", "b", "ab", "ba"])
WANTED = st.text("ab\\", min_size=1, max_size=5)
OPERATORS = st.sampled_from(
    [Operator.CONTAINS, Operator.STARTSWITH, Operator.ENDSWITH, Operator.EQ, Operator.NE, Operator.EXISTS]
)


@given(key=KEYS, value=VALUES, op=OPERATORS, wanted=st.lists(WANTED, min_size=1, max_size=3))
def test_the_parts_say_what_the_whole_says(key: str, value: str, op: Operator, wanted: list[str]) -> None:
    values = () if op is Operator.EXISTS else tuple(wanted)
    condition = Condition(field="reg.target", op=op, values=values)
    whole = f"{key}\\{value}" if value else key
    event = {"reg.path": key, "reg.value_name": value or None, "reg.target": whole}
    expected = matches(condition, event)
    # A text that ends in a backslash is never the whole of a key.
    if not (op in (Operator.EQ, Operator.ENDSWITH, Operator.NE) and any(text.endswith("\\") for text in wanted)):
        assert matches(parted(condition, "reg.path", "reg.value_name"), event) is expected


@pytest.mark.parametrize("negated", [False, True])
def test_a_registry_value_is_asked_for_where_the_platform_keeps_two_fields_and_where_it_keeps_one(
    negated: bool,
) -> None:
    condition = Condition(field="reg.target", op=Operator.ENDSWITH, values=(r"\CurrentVersion\Run\Updater",))
    search = Search(event_class=EventClass.REGISTRY, where=Not(of=condition) if negated else condition, window=WINDOW)
    texts = {
        item.platform: item.text
        for item in translate(search, [Platform.FALCON, Platform.DEFENDER, Platform.SENTINELONE])
        if isinstance(item, Query)
    }
    assert "RegistryKeyPath" in texts[Platform.SENTINELONE]
    for platform, key, value in (
        (Platform.FALCON, "RegObjectName", "RegValueName"),
        (Platform.DEFENDER, "RegistryKey", "RegistryValueName"),
    ):
        assert key in texts[platform]
        assert value in texts[platform]


def test_a_platform_without_the_parts_says_what_it_lacks() -> None:
    condition = Condition(field="reg.target", op=Operator.CONTAINS, values=("Run",))
    search = Search(event_class=EventClass.REGISTRY, where=condition, window=WINDOW)
    (answer,) = translate(search, [Platform.SENTINEL], languages=[Language.KQL])
    assert not isinstance(answer, Query)
    assert "registry_activity" in answer.reason


def test_rows_of_two_fields_are_read_with_the_whole() -> None:
    condition = Condition(field="reg.target", op=Operator.ENDSWITH, values=("\\Run\\Updater",))
    search = Search(event_class=EventClass.REGISTRY, where=condition, window=WINDOW)
    (query,) = (item for item in translate(search, [Platform.FALCON]) if isinstance(item, Query))
    row = {
        "@timestamp": int(WINDOW.start.timestamp() * 1000),
        "#event_simpleName": "AsepValueUpdate",
        "ComputerName": "WS-7",
        "RegObjectName": "\\REGISTRY\\MACHINE\\SOFTWARE\\Run",
        "RegValueName": "Updater",
    }
    fields = standard().event(query, row, "E-0").fields
    assert fields["reg.target"] == "\\REGISTRY\\MACHINE\\SOFTWARE\\Run\\Updater"
    assert matches(condition, fields)
