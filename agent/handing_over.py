"""The hand-over of a case, with everything that it rests on: the check of the case, hypotheses, what waits."""

from pathlib import Path

from ..tools.evidence.case import Case, verify_case
from ..tools.evidence.handoff import to_handoff
from ..tools.evidence.hypotheses import weigh
from ..tools.library import HuntLibrary
from ..tools.response import Desk


def hand_over(home: Path, case_id: str, desk: Desk, library: HuntLibrary | None = None) -> tuple[str, list[str]]:
    """What the next shift must know, as Markdown, and what was changed in the case from outside.

    Args:
        home: Folder of the cases.
        case_id: The case.
        desk: Knows what waits for a decision.
        library: Hunts that hypotheses are weighed with; the built-in ones when None.

    Raises:
        CaseError: there is no such case.
    """
    problems = verify_case(home, case_id)
    with Case.open(home, case_id, write=False) as case:
        last = case.last_answer()
        weighed = weigh(last, library) if last is not None and last.timeline else None
        content = to_handoff(case, pending=desk.pending(case_id), hypotheses=weighed, problems=problems)
    return content, problems
