"""Indexes of earlier content go; one that another process is building stays."""

import os
import time
from pathlib import Path

from tracehound.knowledge.documents import Document
from tracehound.knowledge.vectors import YOUNG, open_vectors


def test_an_index_in_the_making_is_left_alone_and_an_old_one_goes(tmp_path: Path) -> None:
    building, old = tmp_path / "0123456789ab-01234567", tmp_path / "ba9876543210-76543210"
    for folder in (building, old):
        folder.mkdir()
    past = time.time() - YOUNG - 60
    os.utime(old, (past, past))
    document = Document("x.y", "hunt", "Logons by night", "", "who logs on at night")
    assert open_vectors([document], tmp_path).nearness("logons at night")
    assert building.is_dir()
    assert not old.exists()
