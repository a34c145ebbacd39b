r"""One Sigma value on one field as a condition of a `Search`.

Sigma compares text without case and reads `*` and `?` as wildcards; so a value becomes `eq`, `contains`, `startswith`,
`endswith`, or a pattern where a wildcard stands inside.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from sigma import types as sigma

from ..languages.literals import escaped, regex_problem
from ..languages.search import All, AnyOf, Condition, Expression, Not, Operator, Scalar
from ..languages.vocabulary import HOST_ATTRIBUTES, USER_ATTRIBUTES
from .mapping import Target

CASE = "its pattern heeds case in Sigma and ignores case here"
_ORDER = {
    sigma.CompareOperators.LT: Operator.LT,
    sigma.CompareOperators.LTE: Operator.LE,
    sigma.CompareOperators.GT: Operator.GT,
    sigma.CompareOperators.GTE: Operator.GE,
}
_DWORD = re.compile(r"[DQ]WORD \((0x[0-9a-f]+)\)", re.IGNORECASE)
_HASH = re.compile(r"(\w+)=([0-9a-f]+)\Z", re.IGNORECASE)
_LENGTHS = {64: "SHA256", 40: "SHA1", 32: "MD5"}
_SEPARATORS = ("\\", "/")


class CannotExpressError(Exception):
    """A condition that no `Search` can state; the message says why, without the field."""


def condition_on(
    target: Target, value: sigma.SigmaType, hives: Callable[[str], Iterable[str]], note: Callable[[str], None]
) -> Expression | bool:
    """What a Sigma value means on a field; True where every event of the class has it.

    Args:
        target: What the field is here.
        value: The value, modifiers applied.
        hives: All spellings of a registry path.
        note: Called with a sentence where the meaning shifts a little.

    Raises:
        CannotExpressError: a `Search` has no word for it.
    """
    if target.implied:
        return _implied(target, value)
    if target.hashes and not target.attribute:
        return _hashed(target, value)
    match value:
        case sigma.SigmaExpansion(values=values):
            return any_of([condition_on(target, item, hives, note) for item in values])
        case sigma.SigmaNull():
            return Not(of=_each(target, Operator.EXISTS))
        case sigma.SigmaExists():
            found = _each(target, Operator.EXISTS)
            return found if value.exists else Not(of=found)
        case sigma.SigmaCasedString():
            raise CannotExpressError("`cased`: a search compares text without case")
        case sigma.SigmaString():
            return _text(target, value, hives)
        case sigma.SigmaBool():
            return _each(target, Operator.EQ, _known(target, str(value.boolean).lower()))
        case sigma.SigmaTimestampPart():
            raise CannotExpressError("a part of a time (minute, hour, day, ...)")
        case sigma.SigmaNumber():
            return _each(target, Operator.EQ, _number(target, value.number))
        case sigma.SigmaRegularExpression():
            return _pattern(target, value, note)
        case sigma.SigmaCIDRExpression():
            return _each(target, Operator.CIDR, value.cidr)
        case sigma.SigmaCompareExpression(op=op, number=number) if op in _ORDER:
            return _each(target, _ORDER[op], number.number)
        case sigma.SigmaCompareExpression(number=number):
            return Not(of=_each(target, Operator.EQ, _number(target, number.number)))
        case sigma.SigmaFieldReference():
            raise CannotExpressError("`fieldref`: a search compares a field with values, not with another field")
        case _:
            raise CannotExpressError(f"a value of the kind {type(value).__name__.removeprefix('Sigma').lower()}")


def any_of(parts: list[Expression | bool]) -> Expression | bool:
    """At least one part; True when one of them always holds."""
    if any(part is True for part in parts):
        return True
    held = tuple(part for part in parts if not isinstance(part, bool))
    return held[0] if len(held) == 1 else AnyOf(of=held)


def _each(target: Target, op: Operator, *values: Scalar, names: tuple[str, ...] = ()) -> Expression:
    conditions = [Condition(field=name, op=op, values=values) for name in names or target.attribute]
    return conditions[0] if len(conditions) == 1 else AnyOf(of=tuple(conditions))


def _number(target: Target, number: int | float) -> Scalar:
    found = _known(target, str(number))
    return found if found != str(number) else number


def _known(target: Target, text: str) -> str:
    """A value in our words."""
    if target.values:
        by_name = {name.casefold(): ours for name, ours in target.values.items()}
        if text.casefold() not in by_name:
            raise CannotExpressError(f"the value {text!r} (known are {', '.join(target.values)})")
        return by_name[text.casefold()]
    return {name.casefold(): ours for name, ours in target.rename.items()}.get(text.casefold(), text)


def _text(target: Target, value: sigma.SigmaString, hives: Callable[[str], Iterable[str]]) -> Expression:
    if value.contains_placeholder():
        raise CannotExpressError("`expand`: the rule needs values that it does not name")
    parts = list(value.s)
    many = sigma.SpecialChars.WILDCARD_MULTI
    if not parts:
        return Not(of=_each(target, Operator.EXISTS))
    if all(part is many for part in parts):
        return _each(target, Operator.EXISTS)
    begins, ends = parts[0] is many, parts[-1] is many
    inner = parts[1 if begins else 0 : -1 if ends else None]
    if len(inner) != 1 or not isinstance(inner[0], str):
        return _wildcards(target, parts)
    text = inner[0]
    if begins and ends:
        op = Operator.CONTAINS
    else:
        op = Operator.ENDSWITH if begins else Operator.STARTSWITH if ends else Operator.EQ
    if target.values and op is not Operator.EQ:
        raise CannotExpressError("a part of a value")
    if op is Operator.EQ and "\\" in text and len(target.attribute) == 2:
        return _account(*target.attribute, text)
    if target.name and (last := _last_part(target.name, op, text)) is not None:
        return last
    known = _known(target, text)
    as_written = [text] if target.rename and known != text else []  # a log may hold it as Sigma has it
    return _compared(target, op, [*_spelled(target, op, known, hives), *as_written])


def _account(name: str, domain: str, text: str) -> Expression:
    r"""`DOMAIN\name` where it stands in one field, or in two."""
    within, _, account = text.rpartition("\\")
    apart = (
        _compared(Target(attribute=(name,)), Operator.EQ, [account]),
        _compared(Target(attribute=(domain,)), Operator.EQ, [within]),
    )
    return AnyOf(of=(_compared(Target(attribute=(name,)), Operator.EQ, [text]), All(of=apart)))


def _last_part(name: str, op: Operator, text: str) -> Expression | None:
    r"""A path that ends in `\name` has this name, and one that ends in `name` a name that ends so."""
    if op is not Operator.ENDSWITH:
        return None
    last = text[1:] if text.startswith(_SEPARATORS) else text
    if not last or any(sign in last for sign in _SEPARATORS):
        return None
    return _compared(Target(attribute=(name,)), Operator.ENDSWITH if last == text else Operator.EQ, [last])


def _spelled(target: Target, op: Operator, text: str, hives: Callable[[str], Iterable[str]]) -> list[str]:
    if target.spellings == "hive" and op in (Operator.STARTSWITH, Operator.EQ):
        return list(hives(text))
    found = _DWORD.fullmatch(text) if target.spellings == "dword" and op is Operator.EQ else None
    if found is None:
        return [text]
    number = int(found[1], 16)
    return list(dict.fromkeys([text, str(number), hex(number), f"0x{number:08x}"]))


def _compared(target: Target, op: Operator, texts: list[str]) -> Expression:
    """A comparison; what a hunt would read as something else, or a search more widely, becomes a pattern."""
    plain = [text for text in texts if not text.startswith("$")]
    odd = [text for text in texts if text.startswith("$")]
    wide = {name for name in target.attribute if op is Operator.EQ and name in HOST_ATTRIBUTES | USER_ATTRIBUTES}
    parts: list[Expression] = []
    for name in target.attribute:
        exact = [] if name in wide else plain
        patterns = [_anchored(op, escaped(text)) for text in (*odd, *(plain if name in wide else ()))]
        if exact:
            parts.append(Condition(field=name, op=op, values=tuple(exact)))
        if patterns:
            parts.append(Condition(field=name, op=Operator.MATCHES, values=tuple(patterns)))
    return parts[0] if len(parts) == 1 else AnyOf(of=tuple(parts))


def _anchored(op: Operator, text: str) -> str:
    begin = "^" if op in (Operator.EQ, Operator.STARTSWITH) else ""
    return begin + text + ("$" if op in (Operator.EQ, Operator.ENDSWITH) else "")


def _wildcards(target: Target, parts: Sequence[object]) -> Expression:
    written = [
        "." if part is sigma.SpecialChars.WILDCARD_SINGLE else ".*" if part is sigma.SpecialChars.WILDCARD_MULTI
        else escaped(str(part))
        for part in parts
    ]  # fmt: skip
    begin = "" if written[0] == ".*" else "^"
    end = "" if written[-1] == ".*" else "$"
    body = "".join(written[1 if not begin else 0 : -1 if not end else None])
    # A wildcard also stands for line ends.
    return _each(target, Operator.MATCHES, f"{begin}(?s:{body}){end}")


def _pattern(target: Target, value: sigma.SigmaRegularExpression, note: Callable[[str], None]) -> Expression:
    text = str(value.to_plain())
    flags = "".join(sorted(sigma.SigmaRegularExpression.sigma_to_re_flag[flag] for flag in value.flags))
    if "i" not in flags and not _caseless(text):
        note(CASE)
    scoped = flags.replace("i", "")
    text = re.sub(r"^\(\?i\)", "", text)
    problem = regex_problem(text)
    if problem is not None:
        raise CannotExpressError(f"the pattern {text!r}: {problem[1]}")
    return _each(target, Operator.MATCHES, f"(?{scoped}:{text})" if scoped else text)


def _caseless(pattern: str) -> bool:
    """Whether a pattern means the same with and without case, as far as is plain to see."""
    return pattern.startswith("(?i)") or not re.search(r"[A-Za-z]", re.sub(r"\\.", "", pattern))


def _implied(target: Target, value: sigma.SigmaType) -> bool:
    if isinstance(value, sigma.SigmaString) and value.to_plain().casefold() in {
        held.casefold() for held in target.implied
    }:
        return True
    raise CannotExpressError(f"another value than {', '.join(target.implied)}")


def _hashed(target: Target, value: sigma.SigmaType) -> Expression:
    texts = [part for part in value.s if isinstance(part, str)] if isinstance(value, sigma.SigmaString) else []
    found = _HASH.match(texts[0]) if len(texts) == 1 else None
    if found is not None:
        name, digits = found[1].upper(), found[2]
    elif len(texts) == 1 and re.fullmatch("[0-9A-Fa-f]+", texts[0]):
        name, digits = _LENGTHS.get(len(texts[0]), ""), texts[0]
    else:
        raise CannotExpressError("a value that is no hash")
    attribute = {algorithm.upper(): held for algorithm, held in target.hashes.items()}.get(name)
    if attribute is None:
        raise CannotExpressError(f"a hash of the kind {name or 'unknown'}")
    return Condition(field=attribute, op=Operator.EQ, values=(digits,))
