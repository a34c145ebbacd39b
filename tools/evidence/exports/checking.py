"""Proof that an exported answer is as it was written."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ....knowledge.errors import CaseError
from ..canonical import digest, kept_bytes
from ..case import Case, case_ids
from ..custody import note_digest
from ..records import Answer, Evidence, Note
from ..seal import is_signed, public_key, signed
from ..verify import verify_answer


def sealed_json(answer: Answer, home: Path) -> str:
    """The public JSON object with the installation's signature over all of it, in ASCII.

    Raises:
        StorageError: the key of the installation cannot be used.
    """
    content = answer.to_json()
    return json.dumps(content | {"seal": signed(home, {"answer": _digest(content)})}, ensure_ascii=True, indent=2)


def verify_file(path: Path, home: Path | None = None, key: str | None = None) -> list[str]:
    """What is wrong with an exported answer (`json`), in sentences: signature, hashes, references, claims.

    Args:
        path: The file.
        home: TRACEHOUND_HOME, whose key has signed the file or whose case holds the answer. Without it only what the
            file can say of itself is checked.
        key: Public key of another installation that made the file, in hex, as that installation tells it.

    Raises:
        CaseError: the file is no exported answer.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        body = {name: value for name, value in content.items() if name != "seal"}
        answer = Answer.model_validate(body)
    except OSError as exc:
        raise CaseError(f"{path} cannot be read: {exc.strerror}") from exc
    except (ValueError, ValidationError, RecursionError, AttributeError) as exc:
        raise CaseError(
            f"{path} is no exported answer: write one with `tracehound case export ID --format json`"
        ) from exc
    origin = _origin(body, content.get("seal"), home, key) if home is not None else ()
    return [*origin, *_tampered(answer.evidence), *_changed_notes(answer.notes), *_failed_claims(answer)]


def _origin(body: dict[str, Any], seal: Any, home: Path, key: str | None) -> Iterable[str]:
    """Whether what the file holds is what the installation wrote, to the last value."""
    if seal is None:
        yield from _unlike_case(body, home)
        return
    named = seal.get("key") if isinstance(seal, dict) else None
    own = public_key(home)
    trusted = key if key is not None else own.hex() if own else ""
    if named != trusted:
        yield (
            f"the file is signed by another installation, {str(named)[:64]}; "
            "give the key that its owner tells you with --key"
        )
    elif not is_signed(seal, bytes.fromhex(trusted)) or seal.get("answer") != _digest(body):
        yield "the file was changed after it was signed"


def _unlike_case(body: dict[str, Any], home: Path) -> Iterable[str]:
    """A file without a signature is proven by the case that it came from, as long as that is here and whole."""
    if body["case"] not in case_ids(home):
        yield "the file bears no signature and its case is not here, so only its rows and claims could be checked"
        return
    with Case.open(home, body["case"], write=False) as case:
        yield from (f"its case {case.id} cannot vouch for it: {problem}" for problem in case.verify()[:1])
        kept = {_digest(answer.to_json() | {"notes": []}) for answer in case.answers()}
        remarks = [note.model_dump(mode="json") for note in case.remarks()]
    if _digest(body | {"notes": []}) not in kept:
        yield f"the file is not an answer of case {body['case']}: something in it was changed"
    if any(note not in remarks for note in body.get("notes", [])):
        yield f"the file holds a note that case {body['case']} does not"


def _digest(content: dict[str, Any]) -> str:
    return digest(json.dumps(content, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode())


def _changed_notes(notes: Iterable[Note]) -> Iterable[str]:
    for note in notes:
        if note_digest(note.model_dump(mode="json")) != note.sha256 or not f"N-{note.sha256}".startswith(note.id):
            yield f"the note {note.alias} ({note.id}) was changed"


def _tampered(evidence: Iterable[Evidence]) -> Iterable[str]:
    for item in evidence:
        if digest(kept_bytes(item.raw)) != item.sha256:
            yield f"the raw row of {item.alias} ({item.id}) was changed"
        if not f"E-{item.sha256}".startswith(item.id):
            yield f"the id of {item.alias} ({item.id}) does not belong to its hash"


def _failed_claims(answer: Answer) -> Iterable[str]:
    try:
        checked = verify_answer(answer)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        yield f"its rows cannot be read as events: {exc}"
        return
    for before, after in zip(answer.claims, checked.claims, strict=True):
        if before.verified and not after.verified:
            yield f"claim {after.id} does not hold: {after.why_not}"
    held = {item.id for item in answer.evidence}
    for entry in answer.timeline:
        for name in entry.evidence:
            if name not in held:
                yield f"the timeline cites {name}, which is not in the file"
