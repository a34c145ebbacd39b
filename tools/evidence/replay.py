"""A case's views, built again from what it keeps: offline, and the same bytes on every machine.

The first replay (or export) of a view puts its digest into the case; every later one is compared with it. A view
depends on the answer, on the notes that it shows, and on the version that writes it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ...knowledge.errors import CaseBusyError, StorageError
from .canonical import digest
from .case import Case
from .exports import VIEWS, document


@dataclass(frozen=True, slots=True)
class View:
    """One view of one answer."""

    answer: int
    """Number of the answer in the case, from 1."""
    notes: int
    """How many of the case's notes it shows."""
    format: str
    sha256: str
    state: Literal["first", "same", "differs"]
    """Beside the digest that the case keeps of it; `first` where it keeps none."""


def replay(home: Path, case_id: str, formats: Sequence[str] = VIEWS, *, keep: bool = True) -> list[View]:
    """Build every view of every answer again.

    Args:
        home: TRACEHOUND_HOME.
        case_id: The case; whether it is whole is `verify_case`'s to say.
        formats: Formats to build.
        keep: Put digests that the case has not yet into it, where it can be written.

    Raises:
        CaseError: there is no such case, or it cannot be read.
    """
    with Case.open(home, case_id, write=False) as case:
        known = {_place(body): body["sha256"] for body in case.views()}
        remarks = case.remarks()
        views = []
        for number, answer in enumerate(case.answers(), 1):
            shown = answer.model_copy(update={"notes": remarks})
            for name in formats:
                sha256 = digest(document(shown, name))
                before = known.get((number, len(remarks), name))
                state: Literal["first", "same", "differs"] = (
                    "first" if before is None else "same" if before == sha256 else "differs"
                )
                views.append(View(number, len(remarks), name, sha256, state))
    fresh = [view for view in views if view.state == "first"]
    if keep and fresh:
        keep_views(home, case_id, fresh)
    return views


def keep_views(home: Path, case_id: str, views: Sequence[View]) -> None:
    """Put digests of views into a case; where it cannot be written now, they are simply not kept."""
    with suppress(CaseBusyError, StorageError), Case.open(home, case_id) as case:
        for view in views:
            case.add_view({name: value for name, value in asdict(view).items() if name != "state"})


def _place(body: dict[str, Any]) -> tuple[int, int, str]:
    return body["answer"], body["notes"], body["format"]
