"""Stems of English words, kept between runs: the stemmer in Python takes half a second for a library of hunts."""

import json
import os
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

_stems: dict[str, str] = {}
_MOST = 100_000
"""Words that are remembered; more come from text that is searched, not from what is on the shelves."""


def stem(word: str) -> str:
    """The stem of a word in lower case; what is no word is its own."""
    if not word.isalpha():
        return word
    known = _stems.get(word)
    if known is None:
        known = str(_stemmer().stemWord(word))
        if len(_stems) < _MOST:
            _stems[word] = known
    return known


def recall(folder: Path) -> int:
    """Read the stems that a folder keeps; gives how many are known then. A file that is damaged keeps none."""
    try:
        content = json.loads((folder / _name()).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = {}
    if isinstance(content, dict):
        _stems.update((word, found) for word, found in content.items() if isinstance(found, str))
    return len(_stems)


def known() -> int:
    """How many stems are known."""
    return len(_stems)


def keep(folder: Path) -> None:
    """Keep the stems that are known for the next run; a folder that cannot be written keeps what it has."""
    draft = folder / f"{_name()}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(_stems), encoding="utf-8")
        os.replace(draft, folder / _name())
    except OSError:
        draft.unlink(missing_ok=True)


@cache
def _name() -> str:
    """The file's name, which carries the stemmer's version: another one may stem otherwise."""
    return f"stems-{version('snowballstemmer')}.json"


@cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")
