"""Signatures of functions and operators: which argument types they take, and what type comes out.

The notation is that of `functions.json`: overloads parted by `;`, each `parameter types -> result`. A type is a KQL
type, a group of `GROUPS`, several parted by `|`, or `=name` for the closed list of texts `values.name`. Behind it: `!`
a literal, `#` a constant, `@` a column; then `?` optional, `...` once or more, `*` any number. `(a b)...` repeats both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .rows import NUMBERS, UNKNOWN

_SCALARS = frozenset({"bool", "int", "long", "real", "decimal", "string", "datetime", "timespan", "guid"})
_NESTED = frozenset({"dynamic", "array", "bag", "primitive"})
_NUMBER = frozenset(NUMBERS)
_SUMMABLE = _NUMBER | {"datetime", "timespan"}
GROUPS: Mapping[str, frozenset[str]] = {
    "any": _SCALARS | _NESTED,
    "integer": frozenset({"int", "long"}),
    "number": _NUMBER,
    "summable": _SUMMABLE,
    "orderable": _SUMMABLE | {"bool", "string"},
    "flat": _SCALARS,
    "notbool": (_SCALARS | _NESTED) - {"bool"},
    "notreal": (_SCALARS | _NESTED) - {"bool", "real"},
    "text": _NESTED | {"string"},
    "array": frozenset({"array", "dynamic"}),
    "bag": frozenset({"bag", "dynamic"}),
    "dynamic": _NESTED,
    "common": _SCALARS | _NESTED,
    "common_or_dynamic": _SCALARS | _NESTED,
    "common_orderable": _SUMMABLE | {"bool", "string"},
}
_PROMOTED: Mapping[str, frozenset[str]] = {
    "int": frozenset(),
    "long": frozenset({"int"}),
    "real": frozenset({"int", "long"}),
    "decimal": frozenset({"int", "long", "real"}),
    "string": frozenset({"dynamic"}),
}
"""Types that a parameter of one type takes besides its own."""
_IN_WORDS: Mapping[str, str] = {
    "integer": "a whole number",
    "number": "a number",
    "summable": "a number or a time",
    "orderable": "a number, a time or text",
    "common_orderable": "a number, a time or text",
    "flat": "a plain value",
    "notreal": "no fraction",
    "text": "text",
    "array": "a list",
    "bag": "a property bag",
}
_EXACT, _NEAR, _NO = 2, 1, 0


@dataclass(frozen=True, slots=True)
class Parameter:
    """One place of a signature."""

    word: str
    exact: frozenset[str]
    near: frozenset[str] = frozenset()
    must_be: str = ""
    """`literal`, `constant`, `column` or empty."""
    values: frozenset[str] | None = None
    """The only texts that the argument may be, in lower case."""

    def rank(self, found: str) -> int:
        """How well a type fits."""
        if found == UNKNOWN or found in self.exact:
            return _EXACT
        return _NEAR if found in self.near else _NO

    @property
    def described(self) -> str:
        """The wanted types in words, for a message."""
        return " or ".join(_IN_WORDS.get(part, part) for part in self.word.split("|"))


@dataclass(frozen=True, slots=True)
class Overload:
    """Parameters in order: `before`, then `block` over and over, then `after`."""

    before: tuple[Parameter, ...]
    block: tuple[Parameter, ...]
    after: tuple[Parameter, ...]
    required: int
    """Arguments that `before` needs; the block is needed once where `once` says so."""
    once: bool
    result: str

    @property
    def least(self) -> int:
        """The smallest number of arguments."""
        return self.required + (len(self.block) if self.once else 0) + len(self.after)

    @property
    def most(self) -> int | None:
        """The largest number of arguments; None without a limit."""
        return None if self.block else len(self.before) + len(self.after)

    def places(self, count: int) -> tuple[Parameter, ...] | None:
        """The parameter of each of so many arguments; None when no such number fits."""
        if count < self.least or (self.most is not None and count > self.most):
            return None
        if not self.block:
            return self.before[:count]
        inner = count - len(self.before) - len(self.after)
        if inner < 0:
            return self.before[:count]
        if inner % len(self.block):
            return None
        return self.before + self.block * (inner // len(self.block)) + self.after


Signature = tuple[Overload, ...]


def read(text: str, values: Mapping[str, frozenset[str]]) -> Signature:
    """A signature from its notation."""
    return tuple(_overload(part, values) for part in text.split(";"))


def _overload(text: str, values: Mapping[str, frozenset[str]]) -> Overload:
    left, _, result = text.partition("->")
    before: list[Parameter] = []
    block: tuple[Parameter, ...] = ()
    after: list[Parameter] = []
    required, once = 0, False
    opened: list[Parameter] | None = None
    for word in left.split():
        if word.startswith("("):
            opened = []
        bare = word.strip("()").rstrip("?*.").rstrip(")")
        one = parameter(bare, values)
        if opened is not None:
            opened.append(one)
            if ")" in word:
                block, once, opened = tuple(opened), word.endswith("..."), None
        elif word.endswith(("...", "*")):
            block, once = (one,), word.endswith("...")
        elif block:
            after.append(one)
        else:
            before.append(one)
            required += not word.endswith("?")
    return Overload(tuple(before), block, tuple(after), required, once, result.strip())


@lru_cache(maxsize=512)
def _kinds(word: str) -> tuple[frozenset[str], frozenset[str]]:
    exact: frozenset[str] = frozenset()
    near: frozenset[str] = frozenset()
    for part in word.split("|"):
        exact |= GROUPS.get(part, frozenset({part}))
        near |= _PROMOTED.get(part, frozenset())
    return exact, near - exact


_MARKS: Mapping[str, str] = {"!": "literal", "#": "constant", "@": "column"}


def parameter(word: str, values: Mapping[str, frozenset[str]] | None = None) -> Parameter:
    """One place of a signature from its notation."""
    must_be = _MARKS.get(word[-1], "")
    bare = word.rstrip("!#@")
    if bare.startswith("="):
        exact, near = _kinds("string")
        return Parameter("string", exact, near, must_be, (values or {})[bare[1:]])
    exact, near = _kinds(bare)
    return Parameter(bare, exact, near, must_be)


@dataclass(frozen=True, slots=True)
class Match:
    """The overload that fits best, its parameters by argument, and the first argument that does not fit it."""

    overload: Overload
    places: tuple[Parameter, ...]
    misfit: int | None


def matched(signature: Signature, kinds: Sequence[str]) -> Match | None:
    """The best overload for arguments of these types; None when no overload takes so many."""
    best: Match | None = None
    best_score = (-1, -1)
    for overload in signature:
        places = overload.places(len(kinds))
        if places is None:
            continue
        ranks = [parameter.rank(kind) for parameter, kind in zip(places, kinds, strict=True)]
        misfit = next((index for index, rank in enumerate(ranks) if rank == _NO), None)
        score = (len(ranks) if misfit is None else misfit, sum(ranks))
        if score > best_score:
            best, best_score = Match(overload, places, misfit), score
    return best


def arguments_wanted(signature: Signature) -> str:
    """The numbers of arguments that a signature takes, in words."""
    least = min(overload.least for overload in signature)
    tops = [overload.most for overload in signature]
    if None in tops:
        return f"{least} or more"
    most = max(top for top in tops if top is not None)
    return str(least) if least == most else f"{least} to {most}"


def widest(kinds: Sequence[str]) -> str:
    """The number type that holds values of all the number types."""
    known = [kind for kind in kinds if kind in NUMBERS]
    return max(known, key=NUMBERS.index) if known else UNKNOWN
