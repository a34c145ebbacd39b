"""The exit code of an answer (INTERFACES: exit codes)."""

from ..tools.evidence.claims import REFUSED
from ..tools.evidence.records import Answer

OK, INCOMPLETE, FAILED_CLAIM, DENIED, LIMIT, DECLINED = 0, 4, 5, 6, 7, 8


def exit_code(answer: Answer) -> int:
    """The code a shell gets; incomplete evidence only when nothing else applies."""
    if answer.declined is not None:
        return DENIED if answer.declined.refused else DECLINED
    if any(claim.predicate == REFUSED for claim in answer.claims):
        return DENIED
    if answer.verification.failed or answer.verification.uncited:
        return FAILED_CLAIM
    if any(gap.text.startswith("limit reached") for gap in answer.gaps):
        return LIMIT
    if any(query.status == "error" or (query.status == "ok" and not query.complete) for query in answer.queries):
        return INCOMPLETE
    return OK
