"""What a command line, script or encoded blob does, in words. It is read, never run, and no vendor is asked."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Literal

from ..knowledge import attack
from ..knowledge.loading import parsed
from .codes import Code, codes_in
from .decode import MAX_TEXT, Layer, layers
from .languages.entities import find_entities

Kind = Literal["powershell", "command line", "script", "encoded text", "text"]
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One thing that the text does: `means` completes "It ..."."""

    means: str
    techniques: tuple[str, ...] = ()
    suspicious: bool = False
    found: str = ""
    """The words in the text that say so."""
    hides: bool = False
    """It hides what is done; where that was found out, what is done decides."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a text does. `layers` are the texts hidden in it, outermost first."""

    kind: Kind
    layers: tuple[Layer, ...]
    behaviours: tuple[Behaviour, ...]
    indicators: Mapping[str, tuple[str, ...]]
    """Addresses, names, files and the like, by kind, from all layers; as they are written, for machines."""
    techniques: tuple[str, ...]
    sentences: tuple[str, ...]
    """Plain sentences in reading order; addresses in them are defanged, and the last says that nothing was run."""
    codes: tuple[Code, ...] = ()
    """Event ids and status codes that the text names, when it is no command."""


def explain(text: str, *, asked: bool = True) -> Explanation:
    """Explain a text; what lies beyond 100,000 characters is not read.

    Args:
        text: A command line, script or blob.
        asked: The text may be a question that holds the artefact (`what does this do: ...`).
    """
    whole = text[:MAX_TEXT]
    text = _artefact(whole) if asked else whole
    inside = layers(text)
    texts = [text, *(layer.text for layer in inside)]
    behaviours = _weighed(_behaviours(texts), bool(inside))
    indicators = _indicators(texts)
    techniques = tuple(dict.fromkeys(name for item in behaviours for name in item.techniques))
    kind = _kind(text, inside)
    if kind == "text" and inside:
        kind = _kind(inside[0].text, inside)
    codes = tuple(codes_in(whole)) if kind in ("text", "command line") and not inside and len(behaviours) < 2 else ()
    return Explanation(
        kind=kind,
        layers=tuple(inside),
        behaviours=tuple(behaviours),
        indicators=indicators,
        techniques=techniques,
        sentences=tuple(_sentences(kind, inside, behaviours, indicators, codes)),
        codes=codes,
    )


@lru_cache(maxsize=1024)
def gravity(text: str) -> int:
    """How many things a command line does that are seldom right in daily work; what it hides them with is one of them."""
    return sum(item.suspicious for item in explain(text, asked=False).behaviours) if text else 0


def texts_of(question: str) -> tuple[str, ...]:
    """The artefact that a question gives to be explained, and every text hidden in it."""
    text = _artefact(question[:MAX_TEXT])
    return (text, *(layer.text for layer in layers(text)))


def _artefact(text: str) -> str:
    """The text without the question around it (`what does this do: ...`)."""
    asked = re.match(
        r"\s*(?:please\s+)?(?:explain|decode|deobfuscate|analy[sz]e|what\s+(?:does|is|do)|can\s+you)\b[^:`\n]{0,80}(?::\s+|`)(?P<rest>.+)",
        text,
        re.IGNORECASE | re.DOTALL,
    )
    plain = re.match(
        r"\s*(?:please\s+)?(?:explain|decode|deobfuscate)\s+(?:this\s+)?(?P<rest>\S.*)", text, re.IGNORECASE | re.DOTALL
    )
    found = asked or plain
    return (found["rest"] if found else text).strip().strip("`").strip()


def _kind(text: str, inside: Sequence[Layer]) -> Kind:
    first = re.match(r"[\"']?(?:[^\"'\s]*[\\/])?([\w.-]+)", text)
    program = first[1].lower().removesuffix(".exe") if first else ""
    if re.search(r"\bpowershell|\bpwsh", text, re.IGNORECASE) or re.search(
        r"\b(?:IEX|New-Object|\$env:|Get-\w+)\b", text
    ):
        return "powershell"
    if program in _table()["programs"]:
        return "command line"
    if re.search(r"\b(?:function|var|Dim|Sub|CreateObject|eval|def|import)\b", text) and len(text) > 40:
        return "script"
    if inside and inside[0].encoding.startswith(("base64", "hex", "character", "percent")):
        return "encoded text"
    return "text"


def _behaviours(texts: Iterable[str]) -> list[Behaviour]:
    found: dict[str, Behaviour] = {}
    for text in texts:
        for _, item in sorted((*_programs(text), *_phrases(text)), key=lambda told: told[0]):
            found.setdefault(item.means, item)
    return list(found.values())


def _weighed(found: list[Behaviour], decoded: bool) -> list[Behaviour]:
    """Hiding what proved harmless is no more than a habit; hiding what did not is one more reason."""
    if not decoded or any(item.suspicious and not item.hides for item in found):
        return found
    return [replace(item, suspicious=False) if item.hides else item for item in found]


def _programs(text: str) -> Iterable[tuple[int, Behaviour]]:
    """Where each program stands, and what it and its options do."""
    table = _table()["programs"]
    for match in re.finditer(r"(?<![\w.-])([a-z0-9][\w-]{1,30}?)(?:\.exe)?(?=[\s\"';|&),]|$)", text, re.IGNORECASE):
        entry = table.get(match[1].lower())
        if entry is None or not _in_command_position(text, match):
            continue
        rest = re.split(r"[|&;\n]", text[match.end() :], maxsplit=1)[0]
        yield match.start(), _behaviour(entry, match[0])
        for option in entry.get("options", ()):
            hit = re.search(option["has"], f" {rest}", re.IGNORECASE)
            if hit:
                yield match.end() + max(hit.start() - 1, 0), _behaviour(option, hit[0].strip())


def _in_command_position(text: str, match: re.Match[str]) -> bool:
    """A short word such as `net` or `sc` names a program only where a command may start."""
    if match[0].lower().endswith(".exe") or len(match[1]) > 5:
        return True
    before = text[: match.start()]
    return re.search(r"(?:^|[|&;(\n{]|/[cCkK]|[\\/]|-Command|-c|\bsudo)\s*[\"']?$", before) is not None


def _phrases(text: str) -> Iterable[tuple[int, Behaviour]]:
    for entry in _table()["phrases"]:
        hit = re.search(entry["has"], text, re.IGNORECASE)
        if hit:
            yield hit.start(), _behaviour(entry, hit[0])


def _behaviour(entry: Mapping[str, Any], found: str) -> Behaviour:
    return Behaviour(
        means=entry["means"],
        techniques=tuple(entry.get("techniques", ())),
        suspicious=bool(entry.get("suspicious", False)),
        found=found[:80],
        hides=bool(entry.get("hides", False)),
    )


def _indicators(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    kinds = ("url", "ip", "domain", "email", "hash", "path", "process", "cve")
    found: dict[str, dict[str, None]] = {kind: {} for kind in kinds}
    for text in texts:
        entities = find_entities(text)
        for kind in kinds:
            found[kind].update(dict.fromkeys(entities.values(kind)))
    return {kind: tuple(values) for kind, values in found.items() if values}


def _sentences(
    kind: Kind,
    inside: Sequence[Layer],
    behaviours: Sequence[Behaviour],
    indicators: Mapping[str, Sequence[str]],
    codes: Sequence[Code],
) -> Iterable[str]:
    name = {"powershell": "PowerShell", "encoded text": "encoded text", "text": "text"}.get(kind, f"a {kind}")
    yield f"This is {name}."
    for code in codes:
        yield f"The {code.kind} {code.number} says: {code.means}."
    for layer in inside:
        yield f"Inside ({layer.encoding}) it says: {_shown(layer.text)}"
    for item in behaviours:
        yield f"It {item.means}{_cited(item.techniques)}."
    if indicators:
        listed = "; ".join(f"{kind} {', '.join(map(defanged, values[:8]))}" for kind, values in indicators.items())
        yield f"It names: {listed}."
    suspicious = [item.means for item in behaviours if item.suspicious]
    if suspicious:
        yield f"Seldom right in daily work: {'; '.join(suspicious)}."
    elif behaviours and not codes:
        yield "None of this is unusual by itself; who ran it, from which parent and where decide."
    elif not codes:
        yield "No known behaviour was recognised in it, which does not make it harmless."
    yield "It was read, not run."


def defanged(value: str) -> str:
    """An address, a name or a URL that no program makes a link of."""
    value = re.sub(r"^h(?:tt|xx)p(s?)://", r"hxxp\1://", value, flags=re.IGNORECASE)
    host = re.match(r"((?:hxxps?://|[^@\s\\/]+@)?)([\w.-]+\.[\w-]+)(?![\w\\])", value)
    return value if host is None else host[1] + host[2].replace(".", "[.]") + value[host.end() :]


def _shown(text: str) -> str:
    line = " ".join(text.replace("\0", "").split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}… ({len(line):,} characters)"


def _cited(techniques: Sequence[str]) -> str:
    return f" ({', '.join(attack.title(name) for name in techniques)})" if techniques else ""


@cache
def _table() -> dict[str, Any]:
    text = files("tracehound.knowledge").joinpath("lolbins.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = parsed(text)
    return content
