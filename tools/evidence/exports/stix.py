"""A STIX 2.1 bundle: rows as observed data with the objects they name, techniques as MITRE's own objects, a report.

Needs the extra `stix`. Ids are derived from the case, so that the same answer gives the same bytes; each row travels
whole as an artifact whose SHA-256 is the row's.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from ....knowledge import attack
from ....knowledge.errors import ConfigurationError
from ..canonical import kept_bytes
from ..entities import entity_values
from ..predicates import stamp
from ..records import Answer, Evidence, Note
from ..safe import safe, shorten
from ..values import readable
from .lines import sentence

if TYPE_CHECKING:
    import stix2

_NAMESPACE = UUID("6f2c4c50-7a3e-5d51-9d0b-6a4f3a1f9c11")
_HASHES = {32: "MD5", 40: "SHA-1", 64: "SHA-256"}
_TEXT = 4_000
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def to_stix(answer: Answer) -> str:
    """The bundle as JSON in ASCII.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    try:
        import stix2
    except ImportError as exc:
        raise ConfigurationError(
            "the format stix needs the package stix2; install it with: pip install 'tracehound[stix]'"
        ) from exc
    objects = list(_objects(answer, stix2))
    bundle = stix2.Bundle(objects=objects, id=_id("bundle", answer.case, answer.question, str(len(objects))))
    return str(bundle.serialize(sort_keys=True, ensure_ascii=True, indent=2))


def _objects(answer: Answer, stix: Any) -> Iterator[Any]:
    moment = _moment(answer)
    author = stix.Identity(
        id=_id("identity", "tracehound"), name="Tracehound", identity_class="system", created=moment, modified=moment
    )
    said = {"created": moment, "modified": moment, "created_by_ref": author.id}
    patterns = [_pattern(name, stix) for name in _techniques(answer)]
    parts: dict[str, Any] = {}
    observed: dict[str, str] = {}
    for item in _cited(answer):
        named = {part.id: part for part in _observables(item, stix)}
        parts |= named
        first = item.time or moment
        made = stix.ObservedData(
            id=_id("observed-data", answer.case, item.id),
            first_observed=first,
            last_observed=first,
            number_observed=1,
            object_refs=list(named),
            external_references=[
                {"source_name": "tracehound", "external_id": item.id, "description": _text(sentence(item))}
            ],
            **said,
        )
        observed[item.id] = made.id
        parts[made.id] = made
    report_id = _id("report", answer.case, answer.question)
    notes = [_note(note, observed, report_id, said, stix) for note in answer.notes]
    told = "\n".join(f"{stamp(entry.time)} {safe(entry.text)}" for entry in answer.timeline)
    report = stix.Report(
        id=report_id,
        name=_text(answer.question) or answer.case,
        description=_text("\n\n".join(filter(None, (answer.summary, told))), lines=True),
        report_types=["observed-data"],
        published=moment,
        object_refs=[author.id, *(item.id for item in patterns), *parts],
        external_references=[{"source_name": "tracehound", "external_id": answer.case}],
        **said,
    )
    yield from (author, *patterns, *parts.values(), *notes, report)


def _moment(answer: Answer) -> datetime:
    """When the answer was made, as far as its queries say; never this process's clock."""
    started = [query.started for query in answer.queries if query.started]
    return max(started, default=answer.window.end if answer.window else _NO_TIME)


def _cited(answer: Answer) -> list[Evidence]:
    used = {name for entry in answer.timeline for name in entry.evidence}
    used |= {name for claim in answer.claims for name in claim.evidence}
    used |= {name for note in answer.notes for name in note.evidence}
    return [item for item in answer.evidence if item.id in used]


def _techniques(answer: Answer) -> list[str]:
    found = (attack.current(name) for entry in answer.timeline for name in entry.techniques)
    return sorted({item.id for item in found if item is not None})


def _pattern(name: str, stix: Any) -> "stix2.AttackPattern":
    found = attack.techniques()[name]
    return stix.AttackPattern(
        id=f"attack-pattern--{found.stix}",
        name=found.name,
        created=_NO_TIME,
        modified=_NO_TIME,
        external_references=[{"source_name": "mitre-attack", "external_id": name, "url": found.url}],
    )


def _note(note: Note, observed: Mapping[str, str], report: str, said: dict[str, Any], stix: Any) -> "stix2.Note":
    about = [observed[name] for name in note.evidence if name in observed]
    return stix.Note(
        id=_id("note", note.id),
        abstract=f"{note.id} by {_text(note.author)}",
        content=_text(note.text, lines=True),
        authors=[_text(note.author) or "unknown"],
        object_refs=about or [report],
        **(said | {"created": note.written, "modified": note.written}),
    )


def _observables(item: Evidence, stix: Any) -> Iterator[Any]:
    """The row itself, and what it names."""
    yield stix.Artifact(
        mime_type="application/json",
        payload_bin=b64encode(kept_bytes(item.raw)).decode(),
        hashes={"SHA-256": item.sha256},
    )
    found = entity_values(item.fields)
    for value in sorted(found.get("ip", ())):
        version = _address_version(value)
        if version:
            yield (stix.IPv4Address if version == 4 else stix.IPv6Address)(value=value)
    for kind, made in (("domain", stix.DomainName), ("url", stix.URL)):
        for value in sorted(found.get(kind, ())):
            yield made(value=_text(value) or kind)
    for value in sorted(found.get("email", ())):
        yield stix.EmailAddress(value=_text(value))
    for value in sorted(found.get("user", ())):
        yield stix.UserAccount(account_login=_text(value))
    for value in sorted(found.get("file", ())):
        yield stix.File(name=_text(value))
    for value in sorted(found.get("hash", ())):
        if (kind_of_hash := _HASHES.get(len(value))) and value.isalnum() and value.isascii():
            yield stix.File(hashes={kind_of_hash: value})
    command = item.fields.get("process.cmd_line")
    if command:
        # A process has no properties that would give it an id by its content.
        yield stix.Process(id=_id("process", item.id), command_line=_text(str(command)))


def _address_version(value: str) -> int:
    try:
        return ip_address(value).version
    except ValueError:
        return 0


def _text(value: str, *, lines: bool = False) -> str:
    return shorten(safe(value, single_line=not lines), _TEXT)


def _id(kind: str, *parts: str) -> str:
    named = readable("\n".join((kind, *parts)))
    return f"{kind}--{uuid5(_NAMESPACE, named)}"
