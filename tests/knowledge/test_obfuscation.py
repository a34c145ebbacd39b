"""What is hidden comes out, whichever way it was hidden; daily work is accused of nothing; no text takes for ever."""

import time

import pytest

from tracehound.evals.makers.obfuscation import HARMLESS, KINDS, samples
from tracehound.tools.decode import MAX_TEXT, layers
from tracehound.tools.explain import explain
from tracehound.tools.literals import MAX_PASSES, literals, resolved


def plain(text: str) -> str:
    return "".join(text.replace("''", "'").replace('"', "").lower().split())


@pytest.mark.parametrize("kind", list(KINDS))
def test_nearly_every_sample_of_a_kind_comes_out(kind: str) -> None:
    found = [
        any(plain(sample.hidden) in plain(layer.text) for layer in layers(sample.text))
        for seed in (1, 2, 3)
        for sample in samples(seed)
        if sample.kind == kind
    ]
    assert len(found) == 15
    assert sum(found) >= 12, kind


def test_there_are_enough_samples() -> None:
    assert len(list(samples())) >= 80
    assert len(HARMLESS) >= 30


@pytest.mark.parametrize("text", HARMLESS)
def test_daily_work_is_accused_of_nothing(text: str) -> None:
    assert not any(sentence.startswith("Seldom right") for sentence in explain(text).sentences)


def test_what_is_hidden_is_accused() -> None:
    accused = [any(item.suspicious for item in explain(sample.text).behaviours) for sample in samples(4)]
    assert sum(accused) >= 0.9 * len(accused)


BOMBS = {
    "quotes": "'" * 99_999,
    "mixed quotes": "'\"" * 50_000,
    "joined": "'a'+" * 25_000,
    "slices": "%COMSPEC:~0,1%" * 7_000,
    "variables that grow": "set a=" + "x" * 2_000 + "&&" + "%a%" * 30_000,
    "shell variables that grow": "$a='" + "x" * 5_000 + "';" + "$a" * 40_000,
    "markers that grow": "'" + "a" * 50_000 + "'.Replace('a','" + "b" * 40_000 + "')",
    "base64": "QUJD" * 25_000,
    "slots": '"{0}' * 20_000 + "\" -f 'a'",
    "keys": "-bxor 3 " * 5_000 + "1," * 20_000,
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_bomb_is_bounded(name: str) -> None:
    started = time.monotonic()
    found = layers(BOMBS[name])
    assert time.monotonic() - started < 30
    assert all(len(layer.text) <= 2 * MAX_TEXT for layer in found)


def test_strings_are_read_with_doubled_quotes_and_without_ends() -> None:
    text = "'it''s' + \"a\"\"b\" + 'open"
    assert [literal.says for literal in literals(text)] == ["it's", 'a"b']


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("'Down'+'load'", "'Download'"),
        ("'{1}{0}' -f 'b','a'", "'ab'"),
        ("('whXoami').Replace('X','')", "('whoami'"),
        ("'whXoami' -replace 'X'", "'whoami'"),
        ("'w!h!o'.Split('!') -join ''", "'who'"),
        ("'imaohw'[-1..-6] -join ''", "'whoami'"),
    ],
)
def test_a_trick_is_undone(text: str, says: str) -> None:
    assert resolved(text, MAX_TEXT)[0] == says


def test_a_result_that_grows_too_long_is_not_made() -> None:
    text = "'" + "a" * 900 + "'.Replace('a','" + "b" * 900 + "')"
    assert resolved(text, 10_000) == (text, [])
    assert MAX_PASSES <= 100
