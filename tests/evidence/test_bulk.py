"""All evidence of a case as JSON lines and as Parquet, and files that are written whole or not at all."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tracehound.knowledge.errors import StorageError
from tracehound.tools.evidence.case import Case
from tracehound.tools.evidence.exports.bulk import to_jsonl, write_parquet
from tracehound.tools.evidence.exports.writing import write_by, write_whole
from tracehound.tools.evidence.records import Evidence

Make = Callable[..., Any]


@pytest.fixture
def rows(home: Path, run: Make, process_row: Make) -> list[Evidence]:
    odd = process_row(3, tgtProcUser="CORP\\a\ud800\x00b", endpointName="srv\x00-7")
    with Case.create(home) as case:
        case.add_run(run([process_row(1), process_row(2), odd]))
        assert list(case.each_evidence()) == case.all_evidence()
        return case.all_evidence()


def test_json_lines_lose_nothing(rows: list[Evidence]) -> None:
    lines = list(to_jsonl(rows))
    assert all(line.isascii() for line in lines)
    assert [Evidence.model_validate(json.loads(line)) for line in lines] == rows


def test_parquet_loses_nothing(rows: list[Evidence], tmp_path: Path) -> None:
    place = tmp_path / "it's.parquet"
    write_by(place, lambda draft: write_parquet(rows, draft))
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        found = db.read_parquet(str(place)).fetchall()
    assert [(row[0], row[1], row[11], json.loads(row[9]), json.loads(row[10])) for row in found] == [
        (item.id, item.alias, item.sha256, item.fields, item.raw) for item in rows
    ]
    assert [str(row[5])[:19] for row in found] == [f"{item.time:%Y-%m-%d %H:%M:%S}" for item in rows]
    assert found[2][7].endswith("\\x00b")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "out.txt"
    write_whole(place, b"first")

    def broken() -> Iterator[str]:
        yield "half"
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        write_whole(place, broken())
    assert place.read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    write_whole(place, iter(["a", "b\n"]))
    assert place.read_bytes() == b"ab\n"
    with pytest.raises(StorageError, match="cannot write"):
        write_whole(tmp_path / "none" / "out.txt", b"")
