"""Prompt texts as Markdown files with a version in front matter. A change of wording is a change of version."""

import re
from functools import cache
from importlib.resources import files

from ..knowledge.errors import ContentError

_FRONT = re.compile(r"\A---\nname: (?P<name>[a-z_]+)\nversion: (?P<version>\d+)\n---\n(?P<text>.+)\Z", re.DOTALL)


def load(name: str, **values: str) -> str:
    """The text of a prompt, with `{{slots}}` filled.

    Raises:
        ContentError: there is no such prompt, its front matter is broken, or a slot is left open or unknown.
    """
    text = _read(name)[1]
    open_slots = set(re.findall(r"\{\{(\w+)\}\}", text))
    if open_slots != set(values):
        wrong = ", ".join(sorted(open_slots ^ set(values)))
        raise ContentError(f"prompts/{name}.md", None, f"slots do not match the values given: {wrong}")
    # One pass, so that a value that holds braces is never read as a slot.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], text)


def version(name: str) -> int:
    """The version of a prompt, kept with what a model answered to it."""
    return _read(name)[0]


@cache
def _read(name: str) -> tuple[int, str]:
    path = files("tracehound.prompts").joinpath(f"{name}.md")
    if not path.is_file():
        raise ContentError(f"prompts/{name}.md", None, "there is no such prompt")
    match = _FRONT.match(path.read_text(encoding="utf-8").replace("\r\n", "\n"))
    if match is None or match["name"] != name:
        raise ContentError(f"prompts/{name}.md", 1, "a prompt starts with front matter: name and version")
    return int(match["version"]), match["text"].strip() + "\n"
