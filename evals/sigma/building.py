r"""Events for a rule, made from its tests: matches, one for each way to match, and near misses that break one condition.

Every event is judged by the rule's reader before it is used: a match that does not hold, or a near miss that does, is
thrown away. Nothing here knows a converter or a query language.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from ipaddress import ip_network
from typing import Any

from .reading import MANY, ONE, All, Never, Node, SigmaRule, Some, Test, holds

# Python describes its own patterns in these two modules alone.
sre: Any = import_module("re._constants")
patterns: Any = import_module("re._parser")

MOST = 48
"""Events of each kind for one rule: rules list up to several hundred values."""
_PATHS = 256
_DRAWS = 6

Literal = tuple[Test, bool]
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """The events of a rule."""

    matches: tuple[Fields, ...]
    misses: tuple[Fields, ...]
    conditions: int
    """Conditions of the rule that a near miss can break."""
    broken: int
    """Those for which there is a near miss."""


def build(rule: SigmaRule, defaults: Mapping[str, Any]) -> Made:
    """Make the events of a rule.

    Args:
        rule: As its reader reads it.
        defaults: What an event of this log source has when the rule says nothing of it; harmless values.
    """
    matches = [
        event for path in _spread(_paths(rule.condition, True), MOST) for event in _drawn(path, defaults, rule, True)
    ]
    wanted = _near(rule.condition)
    misses: list[Fields] = []
    broken = 0
    for path in _spread(wanted, MOST):
        found = list(_drawn(path, defaults, rule, False))
        broken += bool(found)
        misses += found
    return Made(_distinct(matches), _distinct(misses), min(len(wanted), MOST), broken)


def _spread(items: Sequence[Any], most: int) -> Sequence[Any]:
    """At most so many of them, evenly from all; the first is always there."""
    if len(items) <= most:
        return items
    return [items[at * len(items) // most] for at in range(most)]


def _distinct(events: Sequence[Fields]) -> tuple[Fields, ...]:
    return tuple({repr(sorted(event.items())): event for event in events}.values())


def _paths(node: Node, want: bool) -> list[list[Literal]]:
    """Ways to make a tree true or false: the plainest first, then one for each alternative."""
    match node:
        case Test():
            return [[(node, want)]]
        case Never(part=part):
            return _paths(part, not want)
        case All(parts=parts) | Some(parts=parts):
            each = [_paths(part, want) for part in parts]
            if isinstance(node, All) is want:
                first = [paths[0] for paths in each]
                whole = [[literal for path in first for literal in path]]
                for at, paths in enumerate(each):
                    for path in paths[1:]:
                        others = [*first[:at], path, *first[at + 1 :]]
                        whole.append([literal for one in others for literal in one])
                return _within(whole)
            return _within([path for paths in each for path in paths])


def _within(paths: list[list[Literal]]) -> list[list[Literal]]:
    return list(_spread(paths, _PATHS))


def _near(node: Node) -> list[list[Literal]]:
    """Ways to be false by one condition alone."""
    match node:
        case Test():
            return [[(node, False)]]
        case Never(part=part):
            return _paths(part, True)
        case All(parts=parts):
            first = [_paths(part, True)[0] for part in parts]
            return [
                [literal for other, path in enumerate(first) if other != at for literal in path] + miss
                for at, part in enumerate(parts)
                for miss in _near(part)
            ]
        case Some(parts=parts):
            none = [_paths(part, False)[0] for part in parts]
            return [
                [literal for other, path in enumerate(none) if other != at for literal in path] + miss
                for at, part in enumerate(parts)
                for miss in _near(part)
            ]


def _drawn(path: Sequence[Literal], defaults: Mapping[str, Any], rule: SigmaRule, want: bool) -> Iterator[Fields]:
    """The first event of a path that the judge confirms."""
    for draw in range(_DRAWS):
        event = _event(path, defaults, draw)
        if event is not None and holds(rule.condition, event) is want:
            yield event
            return


def _event(path: Sequence[Literal], defaults: Mapping[str, Any], draw: int) -> Fields | None:
    wanted: dict[str, list[Test]] = {}
    unwanted: dict[str, list[Test]] = {}
    for test, want in path:
        (wanted if want else unwanted).setdefault(test.field, []).append(test)
    event: Fields = dict(defaults)
    for name, tests in wanted.items():
        value = _satisfying(name, tests, unwanted.get(name, []), str(defaults.get(name) or ""), draw)
        if value is None:
            event.pop(name, None)
        else:
            event[name] = value
    for name, tests in unwanted.items():
        if name not in wanted:
            value = _missing(name, tests, defaults.get(name), draw)
            if value is not None:
                event[name] = value
    return event


def _satisfying(name: str, tests: Sequence[Test], others: Sequence[Test], usual: str, draw: int) -> str | None:
    """A value that meets every test and nearly one of the others, as far as text can be put together.

    None stands for a field that must not be there.
    """
    if any(test.kind == "absent" for test in tests):
        return None
    for test in tests:
        match test.kind:
            case "network":
                network = ip_network(test.value, strict=False)
                return str(network[min(7 + draw, network.num_addresses - 1)])
            case "number":
                return _number(test.value)
            case "present":
                return usual or "lab"
            case _:
                pass
    texts = [test.value for test in tests if test.kind == "text"]
    texts += [_sample(test.value, draw) for test in tests if test.kind == "pattern"]
    if others and draw < _DRAWS - 2:
        texts += _nearly(others[-1 if draw % 2 == 0 else 0])
    return _put_together([_concrete(text, draw) for text in texts], name, usual, draw)


def _nearly(test: Test) -> list[str]:
    """A piece of text that nearly meets a test, to stand beside others; none where it would have to be the whole."""
    text = test.value.strip(MANY)
    if test.kind != "text" or not test.value.startswith(MANY) or len(text) < 2:
        return []
    return [MANY + text[:-1] + MANY] if test.value.endswith(MANY) else [MANY + text + "x"]


def _number(bound: str) -> str:
    found = re.fullmatch(r"([<>]=?)(.+)", bound)
    assert found is not None
    edge = float(found[2])
    value = edge if "=" in found[1] else edge + (1 if found[1] == ">" else -1)
    return str(int(value)) if value == int(value) else str(value)


def _concrete(text: str, draw: int) -> str:
    """A text with its inner wildcards filled; those at its ends stay."""
    filler = ("lab", "x7", "q q", "", "9z", "lab lab")[draw % _DRAWS]
    head = MANY if text.startswith(MANY) else ""
    tail = MANY if text.endswith(MANY) and len(text) > 1 else ""
    inner = text[len(head) : len(text) - len(tail)]
    return head + inner.replace(MANY, filler).replace(ONE, "k") + tail


def _put_together(texts: Sequence[str], name: str, usual: str, draw: int) -> str:
    """One text that begins, ends and holds what it should; the draws differ in order and in what stands between."""
    whole = [text for text in texts if MANY not in text]
    if whole:
        return max(whole, key=len)
    begins = max((text[:-1] for text in texts if not text.startswith(MANY)), key=len, default="")
    ends = max((text[1:] for text in texts if not text.endswith(MANY)), key=len, default="")
    inner = [text.strip(MANY) for text in texts if text.startswith(MANY) and text.endswith(MANY)]
    kept: list[str] = []
    for text in sorted(dict.fromkeys(inner), key=len, reverse=True):
        if not any(text.lower() in other.lower() for other in (*kept, begins, ends)):
            kept.append(text)
    kept.sort(key=inner.index)
    if draw % 2:
        kept.reverse()
    between = _joint(name, draw)
    before = begins or (_prefix(name, usual) if not _rooted(kept, ends) else "")
    middle = between.join(kept)
    pieces = [piece for piece in (before, middle, ends) if piece]
    value = between.join(pieces) if draw >= 2 else _close(pieces, between)
    return value if ends or not kept else value + _suffix(name, value)


def _rooted(kept: Sequence[str], ends: str) -> bool:
    first = kept[0] if kept else ends
    return bool(re.match(r"([A-Za-z]:\\|/)", first))


def _close(pieces: Sequence[str], between: str) -> str:
    """Pieces side by side where one begins or ends with a separator, else apart."""
    out = pieces[0]
    for piece in pieces[1:]:
        touches = piece[0] in "\\/ ." or out[-1] in "\\/ "
        out += piece if touches else between + piece
    return out


def _is_path(name: str) -> bool:
    return bool(re.search(r"(image|filename|loaded|path|directory|targetobject|processname)$", name, re.IGNORECASE))


def _joint(name: str, draw: int) -> str:
    if _is_path(name):
        return "lab" if draw < 4 else "\\lab\\"
    return " " if draw < 4 else " lab "


def _prefix(name: str, usual: str) -> str:
    if name == "TargetObject":
        return "HKLM\\SOFTWARE\\Lab"
    if _is_path(name):
        return "/opt/lab" if usual.startswith("/") else "C:\\lab7"
    return "lab"


def _suffix(name: str, value: str) -> str:
    if not _is_path(name):
        return " lab" if not value.endswith(" ") else "lab"
    return "lab" if name == "TargetObject" or value[-1:] not in "\\/" else "lab.exe"


def _missing(name: str, tests: Sequence[Test], usual: Any, draw: int) -> str | None:
    """A value that nearly meets the first test of several that must all fail; None keeps the usual value."""
    test = tests[draw % len(tests)] if draw < _DRAWS - 1 else tests[0]
    if test.kind == "absent":
        return str(usual or "lab")
    if test.kind != "text" or draw >= _DRAWS - 2:
        return None
    bare = _concrete(test.value, 0)
    begins, ends = bare.startswith(MANY), bare.endswith(MANY)
    text = bare.strip(MANY)
    if text in ("true", "false"):
        return "false" if text == "true" else "true"
    if begins and ends:
        shorter = text[:-1] if draw % 2 == 0 else text[1:]
        return _put_together([MANY + shorter + MANY], name, str(usual or ""), 0) if len(text) > 1 else None
    if begins:
        return _put_together([MANY + text + ("x" if draw % 2 == 0 else ".lab")], name, str(usual or ""), 0)
    if ends:
        return ("x" if draw % 2 == 0 else "lab\\") + text + "lab"
    return text + "x" if not text.isdigit() else str(int(text) + 1)


def _sample(pattern: str, draw: int) -> str:
    """A text that a pattern finds, framed by wildcards; the judge decides whether it does."""
    try:
        tokens = patterns.parse(pattern)
    except re.error:
        return MANY
    text = "".join(_texts(tokens, draw))
    anchored = pattern.lstrip("(?ims)").startswith("^"), pattern.endswith("$")
    return ("" if anchored[0] else MANY) + text + ("" if anchored[1] else MANY)


def _texts(tokens: Any, draw: int) -> Iterator[str]:
    for op, value in tokens:
        if op is sre.LITERAL:
            yield chr(value)
        elif op is sre.NOT_LITERAL:
            yield "k" if value != ord("k") else "q"
        elif op is sre.ANY:
            yield "k"
        elif op is sre.IN:
            yield _one_of(value, draw)
        elif op is sre.BRANCH:
            yield from _texts(value[1][draw % len(value[1])], draw)
        elif op is sre.SUBPATTERN:
            yield from _texts(value[3], draw)
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            low, high, inner = value
            times = low if low or high == 0 else min(1, draw % 2)
            for _ in range(times):
                yield from _texts(inner, draw)


def _one_of(choices: Any, draw: int) -> str:
    negated = choices[0][0] is sre.NEGATE
    held = "".join(_members(choices[1:] if negated else choices))
    if negated:
        return next((sign for sign in "k0Z-_ q7" if sign not in held), "~")
    return held[draw % len(held)] if held else "k"


def _members(choices: Any) -> Iterator[str]:
    categories = {sre.CATEGORY_DIGIT: "0123456789", sre.CATEGORY_WORD: "kZ7_", sre.CATEGORY_SPACE: " ",
                  sre.CATEGORY_NOT_SPACE: "k7", sre.CATEGORY_NOT_DIGIT: "kZ", sre.CATEGORY_NOT_WORD: " -"}  # fmt: skip
    for op, value in choices:
        if op is sre.LITERAL:
            yield chr(value)
        elif op is sre.RANGE:
            yield "".join(chr(code) for code in range(value[0], min(value[1], value[0] + 40) + 1))
        elif op is sre.CATEGORY:
            yield categories.get(value, "")
