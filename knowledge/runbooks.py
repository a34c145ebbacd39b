"""Runbooks: Markdown with front matter, written for the analyst on shift.

    ---
    id: lateral-movement
    title: Lateral movement between hosts
    techniques: [T1021, T1569.002]
    tags: [psexec, winrm, remote service]
    applies_to: [endpoint]
    ---
    # Lateral movement between hosts

    ## Triage questions
    ...

The part before the first `##` is the section `Overview`. A file of the SOC's own may leave the front matter out: its id is
then made from the file name and its title is the first heading.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from . import attack
from .errors import ContentError
from .loading import parsed

_FENCE = "---"
_MAX_CHARACTERS = 100_000


class _FrontMatter(BaseModel):
    # Event ids among the tags are numbers to YAML.
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    id: str = Field(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$", max_length=80)
    title: str = Field(min_length=3, max_length=120)
    techniques: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    applies_to: tuple[Literal["endpoint", "identity", "email", "cloud", "any"], ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Section:
    """One `##` section of a runbook: its heading and the Markdown below it."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Runbook:
    """One runbook; `source` is the file that it came from, `own` whether the SOC added it."""

    id: str
    title: str
    techniques: tuple[str, ...]
    tags: tuple[str, ...]
    applies_to: tuple[str, ...]
    sections: tuple[Section, ...]
    text: str
    """The Markdown below the front matter."""
    source: str
    own: bool = False

    @property
    def markdown(self) -> str:
        """The runbook to read: what lies below the front matter."""
        return self.text

    def section(self, title: str) -> Section | None:
        """The section with this heading, case ignored."""
        return next((section for section in self.sections if section.title.casefold() == title.casefold()), None)


def read_runbook(text: str, source: str, *, own: bool = False) -> Runbook:
    """Read and check one runbook.

    Raises:
        ContentError: names file, line and what is wrong.
    """
    if len(text) > _MAX_CHARACTERS:
        raise ContentError(source, None, f"a runbook has at most {_MAX_CHARACTERS:,} characters; split it")
    lines = text.removeprefix("\ufeff").splitlines()
    if lines and lines[0].strip() == _FENCE:
        end = next((number for number, line in enumerate(lines[1:], 1) if line.strip() == _FENCE), None)
        if end is None:
            raise ContentError(source, 1, "the front matter is not closed by a line of `---`")
        matter = _front_matter(lines[1:end], source)
    elif own:
        end, matter = -1, _from_heading(lines, source)
    else:
        raise ContentError(source, 1, "a runbook starts with front matter between two lines of `---`")
    sections = _sections(lines[end + 1 :])
    if not any(section.text for section in sections):
        raise ContentError(source, end + 2, "the runbook has no text below its front matter")
    return Runbook(
        id=matter.id,
        title=matter.title,
        techniques=matter.techniques,
        tags=matter.tags,
        applies_to=matter.applies_to,
        sections=sections,
        text="\n".join(lines[end + 1 :]).strip() + "\n",
        source=source,
        own=own,
    )


def _front_matter(lines: Sequence[str], source: str) -> _FrontMatter:
    try:
        content = parsed("\n".join(lines))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + 2 if mark else 1
        raise ContentError(source, line, f"front matter is not YAML: {getattr(exc, 'problem', exc)}") from exc
    if not isinstance(content, dict):
        raise ContentError(source, 2, "front matter is a mapping with id, title and applies_to")
    try:
        matter = _FrontMatter.model_validate(content)
    except ValidationError as exc:
        first = exc.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        raise ContentError(source, _line_of(key, lines), f"{key}: {first['msg']}") from exc
    for technique_id in matter.techniques:
        if attack.technique(technique_id) is None:
            line = _line_of("techniques", lines)
            raise ContentError(source, line, f"techniques: ATT&CK {attack.version()} has no {technique_id}")
    return matter


def _from_heading(lines: Sequence[str], source: str) -> _FrontMatter:
    heading = next((line[2:].strip(" #") for line in lines if line.startswith("# ")), "")
    name = re.sub(r"[^a-z0-9]+", "-", Path(source).stem.lower()).strip("-")
    if len(heading) < 3 or not name:
        raise ContentError(source, 1, "a runbook has front matter, or a heading `# Title` that gives its title")
    return _FrontMatter(id=name[:80].strip("-"), title=heading[:120], applies_to=("any",))


def _line_of(key: str, lines: Sequence[str]) -> int:
    return next((number for number, line in enumerate(lines, 2) if line.startswith(f"{key}:")), 2)


def _sections(lines: Sequence[str]) -> tuple[Section, ...]:
    """Split at `##` headings; headings inside fenced code are text."""
    sections: list[tuple[str, list[str]]] = [("Overview", [])]
    fenced = False
    for line in lines:
        if line.lstrip().startswith("```"):
            fenced = not fenced
        heading = None if fenced else re.match(r"(#{1,2}) +(.+?) *#*$", line)
        if heading and len(heading[1]) == 2:
            sections.append((heading[2], []))
        elif not (heading and len(sections) == 1):
            sections[-1][1].append(line)
    found = (Section(title, "\n".join(body).strip()) for title, body in sections)
    return tuple(section for section in found if section.text)


@cache
def builtin_runbooks() -> tuple[Runbook, ...]:
    """The runbooks that come with the product, by file name."""
    folder = files("tracehound.knowledge").joinpath("runbooks")
    found = sorted((path for path in folder.iterdir() if path.name.endswith(".md")), key=lambda path: path.name)
    return tuple(read_runbook(path.read_text(encoding="utf-8"), f"runbooks/{path.name}") for path in found)


def load_runbooks(*folders: Path) -> tuple[Runbook, ...]:
    """The built-in runbooks and those of the given folders; an own runbook replaces the built-in one of its id.

    A folder that does not exist holds none.

    Raises:
        ContentError: a file breaks the schema, or two own files share an id.
    """
    shelf = {runbook.id: runbook for runbook in builtin_runbooks()}
    for folder in folders:
        for path in sorted(folder.glob("*.md")):
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError as exc:
                raise ContentError(str(path), None, "the file is not UTF-8 text") from exc
            runbook = read_runbook(text, str(path), own=True)
            earlier = shelf.get(runbook.id)
            if earlier is not None and earlier.own:
                raise ContentError(str(path), 2, f"id {runbook.id} is taken by {earlier.source}")
            shelf[runbook.id] = runbook
    return tuple(sorted(shelf.values(), key=lambda runbook: runbook.id))
