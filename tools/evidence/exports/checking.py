"""Proof that an exported answer is as it was written."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ....knowledge.errors import CaseError
from ..canonical import digest, kept_form, original
from ..records import Answer, Evidence
from ..verify import verify_answer


def verify_file(path: Path) -> list[str]:
    """What is wrong with an exported answer (`json`), in sentences: hashes, references, claims.

    Raises:
        CaseError: the file is no exported answer.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        answer = Answer.model_validate(content)
    except OSError as exc:
        raise CaseError(f"{path} cannot be read: {exc.strerror}") from exc
    except (ValueError, ValidationError, RecursionError) as exc:
        raise CaseError(
            f"{path} is no exported answer: write one with `tracehound case export ID --format json`"
        ) from exc
    return [*_tampered(answer.evidence), *_failed_claims(answer)]


def _tampered(evidence: Iterable[Evidence]) -> Iterable[str]:
    for item in evidence:
        if _hash(item.raw) != item.sha256:
            yield f"the raw row of {item.alias} ({item.id}) was changed"
        if not f"E-{item.sha256}".startswith(item.id):
            yield f"the id of {item.alias} ({item.id}) does not belong to its hash"


def _hash(raw: dict[str, Any]) -> str:
    try:
        return digest(kept_form(original(raw))[1])
    except (CaseError, ValueError, TypeError):
        return ""


def _failed_claims(answer: Answer) -> Iterable[str]:
    checked = verify_answer(answer)
    for before, after in zip(answer.claims, checked.claims, strict=True):
        if before.verified and not after.verified:
            yield f"claim {after.id} does not hold: {after.why_not}"
    held = {item.id for item in answer.evidence}
    for entry in answer.timeline:
        for name in entry.evidence:
            if name not in held:
                yield f"the timeline cites {name}, which is not in the file"
