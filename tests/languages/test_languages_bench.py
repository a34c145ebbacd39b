"""The speed table names what it measured, and what it could not."""

from dataclasses import replace

import pytest

from tracehound.evals.bench import languages
from tracehound.evals.bench.languages_kusto import SETTING, missing
from tracehound.tools.languages import Language, kql


def few() -> languages.Queries:
    whole = languages.library()
    assert all(len(texts) > 5 for texts in whole.texts.values())
    return replace(whole, texts={language: texts[:5] for language, texts in whole.texts.items()})


def test_a_missing_competitor_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    report = languages.measure(few(), every=2)
    assert report["kql"]["ours"]["queries"] == 5
    assert report["kql"]["duckdb-kql validate (syntax only)"]["queries"] == 3
    assert [reason for reason in report["missing"] if "Microsoft" in reason and SETTING in reason]
    assert all(
        report["checks_a_second"][language.value] > 0 for language in (Language.KQL, Language.FQL, Language.S1QL)
    )
    text = languages.shown(report)
    assert "not measured: Microsoft's analyser in Node" in text
    assert "checks a second on one core" in text


def test_a_wrong_folder_is_said_to_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "/nowhere/at/all")
    assert "does not hold bridge.min.js" in str(missing())


def test_agreement_counts_both_verdicts() -> None:
    texts = ["print 1", "print nothing()", "print ("]
    verdicts = [kql.check(text) for text in texts]
    assert languages.agreement(verdicts, [(True, True), (True, False), (False, False)]) == {
        "syntax": 1.0,
        "schema": 1.0,
    }
    assert languages.agreement(verdicts, [(True, False), (True, False), (True, True)])["schema"] == pytest.approx(1 / 3)
