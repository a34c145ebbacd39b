"""Recorded Windows events out of files: JSON lines, archives of them, and .evtx, read as a stream."""

import gzip
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from ...knowledge.errors import RecordingError

Stream = IO[bytes] | io.BufferedReader | gzip.GzipFile
LINES = (".json", ".jsonl", ".ndjson", ".log", ".txt")
_TAR = (".tar", ".tar.gz", ".tgz")
_BROKEN = (
    OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, zipfile.BadZipFile, tarfile.TarError,
)  # fmt: skip
"""What the readers of archives and logs raise on damaged input."""


@dataclass(frozen=True, slots=True)
class Record:
    """One recorded event: its flat fields, and where it stands."""

    place: str
    number: int
    fields: Mapping[str, Any]


def read(paths: Sequence[Path]) -> Iterator[Record]:
    """Every event of the files, in their order.

    Raises:
        RecordingError: a file cannot be read to its end, or is no recording; names the file and the line.
    """
    for path in paths:
        name = path.name.lower()
        if name.endswith(".zip"):
            yield from _zip(path)
        elif name.endswith(_TAR):
            yield from _tar(path)
        elif name.endswith(".gz"):
            with _reading(str(path)), gzip.open(path) as stream:
                yield from _member(str(path), name.removesuffix(".gz"), stream)
        else:
            with _reading(str(path)), path.open("rb") as stream:
                yield from _member(str(path), name, stream)


class _reading:
    """Turns what a broken file raises into a sentence that names it."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _BROKEN):
            raise RecordingError(f"{self.place} cannot be read to its end ({error}); nothing was loaded") from error


def _zip(path: Path) -> Iterator[Record]:
    with _reading(str(path)), zipfile.ZipFile(path) as archive:
        members = [item for item in archive.infolist() if _is_recording(item.filename)]
        _some(path, members)
        for item in members:
            # A member's own readline works in 4 kB steps.
            with archive.open(item) as member, io.BufferedReader(cast(io.RawIOBase, member), 1 << 20) as stream:
                yield from _member(f"{path}:{item.filename}", item.filename, stream)


def _tar(path: Path) -> Iterator[Record]:
    with _reading(str(path)), tarfile.open(path, "r|*") as archive:
        found = []
        for item in archive:
            stream = archive.extractfile(item) if item.isfile() and _is_recording(item.name) else None
            if stream is not None:
                found.append(item.name)
                yield from _member(f"{path}:{item.name}", item.name, stream)
        _some(path, found)


def _is_recording(name: str) -> bool:
    base = PurePosixPath(name).name
    # macOS leaves `._name` twins in archives, which hold no events.
    return not base.startswith(".") and base.lower().endswith((*LINES, ".evtx"))


def _some(path: Path, members: Sequence[object]) -> None:
    if not members:
        raise RecordingError(f"{path} holds no recording; expected JSON lines or .evtx in it")


def _member(place: str, name: str, stream: Stream) -> Iterator[Record]:
    yield from (_evtx if name.lower().endswith(".evtx") else _json_lines)(place, stream)


def _json_lines(place: str, stream: Stream) -> Iterator[Record]:
    number = 0
    for number, line in enumerate(stream, 1):
        text = line.strip()
        if number == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
        if not text:
            continue
        try:
            fields = json.loads(text)
        except ValueError as exc:
            raise RecordingError(f"{place}, line {number}: not a JSON object ({exc}); nothing was loaded") from exc
        if not isinstance(fields, dict):
            raise RecordingError(f"{place}, line {number}: expected one JSON object a line; nothing was loaded")
        yield Record(place, number, flat(fields))
    if not number:
        raise RecordingError(f"{place} is empty; nothing was loaded")


def _evtx(place: str, stream: Stream) -> Iterator[Record]:
    from evtx import PyEvtxParser

    with _reading(place):
        seekable = stream if stream.seekable() else io.BytesIO(stream.read())
        for number, item in enumerate(PyEvtxParser(seekable).records_json(), 1):
            if item is not None:
                yield Record(place, number, flat(json.loads(item["data"])))


def flat(fields: dict[str, Any]) -> Mapping[str, Any]:
    """A record as flat event fields; shippers that nest them (evtx, Winlogbeat) are unpacked."""
    if isinstance(fields.get("Event"), dict):
        return _from_xml_shape(fields["Event"])
    if isinstance(fields.get("winlog"), dict):
        log = fields["winlog"]
        return {
            **(log.get("event_data") or {}),
            "EventID": log.get("event_id"), "Channel": log.get("channel"), "Hostname": log.get("computer_name"),
            "SourceName": log.get("provider_name"), "TimeCreated": fields.get("@timestamp"),
            "Message": fields.get("message"),
        }  # fmt: skip
    return fields


def _from_xml_shape(event: dict[str, Any]) -> Mapping[str, Any]:
    system = event.get("System") or {}
    data = event.get("EventData") or event.get("UserData") or {}
    if len(data) == 1 and isinstance(next(iter(data.values())), dict):
        data = next(iter(data.values()))
    parts = ("Provider", "TimeCreated", "Security", "Execution")
    attributes = {name: (system.get(name) or {}).get("#attributes") or {} for name in parts}
    number = system.get("EventID")
    return {
        **{key: value for key, value in data.items() if not key.startswith("#")},
        "EventID": number.get("#text") if isinstance(number, dict) else number, "Channel": system.get("Channel"),
        "Hostname": system.get("Computer"), "SourceName": attributes["Provider"].get("Name"),
        "TimeCreated": attributes["TimeCreated"].get("SystemTime"), "UserID": attributes["Security"].get("UserID"),
        "ExecutionProcessID": attributes["Execution"].get("ProcessID"), "RecordNumber": system.get("EventRecordID"),
    }  # fmt: skip
