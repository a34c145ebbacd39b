"""Writing a file whole or not at all."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile

from ....knowledge.errors import StorageError


def write_whole(place: Path, content: bytes | Iterable[str]) -> None:
    """Put content at a place in one step: a reader finds what was there before, or all of it.

    Raises:
        StorageError: the place cannot be written; what was there before is there still.
    """

    def fill(draft: Path) -> None:
        with draft.open("wb") as out:
            if isinstance(content, bytes):
                out.write(content)
            else:
                out.writelines(part.encode() for part in content)
            out.flush()
            os.fsync(out.fileno())

    write_by(place, fill)


def write_by(place: Path, fill: Callable[[Path], None]) -> None:
    """Let something write a draft beside a place, and put it there in one step.

    Raises:
        StorageError: as `write_whole`.
    """
    draft: Path | None = None
    try:
        with NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}.", suffix=".new", delete=False) as made:
            draft = Path(made.name)
        fill(draft)
        os.replace(draft, place)
    except OSError as exc:
        raise StorageError(f"cannot write {place}: {exc.strerror or exc}; choose another file") from exc
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)
