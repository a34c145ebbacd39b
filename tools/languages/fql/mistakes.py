"""Where a text stops being FQL, and what its author most likely meant: the habits of other query languages."""

import re

from ..syntax import QuerySyntaxError

_NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*", re.ASCII)
_SPACE = re.compile(r"\s*", re.ASCII)
_OPERATOR = re.compile(r"!~|>=|<=|[!~><*]")
_SIGNS = re.compile(r"[!~><*=]+")
_WORD = re.compile(r"""[^\s,+()\[\]'"]+""")
_STRING = re.compile(r"""'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*\"""", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?\Z", re.ASCII)
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")

_WORDS = {
    "and": "write + for and",
    "or": "write , for or, in brackets",
    "not": "write ! before the value",
    "in": "write a list: property:['a','b']",
    "like": "write property:*'*text*'",
    "contains": "write property:*'*text*'",
    "is": "write property:null, or property:!null",
    "between": "write two conditions: property:>=1+property:<=9",
    "where": "begin with the first condition: property:'value'",
    "select": "begin with the first condition: property:'value'",
    "filter": "write the filter alone; filter= belongs to the address",
}
_JOINERS = {
    "&": "write + for and; limit, sort and offset are parameters of the call",
    "|": "write , for or, in brackets; a sort order is a parameter of the call",
    ";": "a filter is one expression; join conditions with + (and) or , (or)",
    ".": "end the filter here; prose does not belong to it",
    "]": "no list is open here",
    ")": "no bracket is open here",
    ":": "write property:'value'; quote a value that holds a colon",
}
_COMPARISONS = {
    "=<": "write <=",
    "=>": "write >=",
    "!=": "write property:!'value'",
    "<>": "write property:!'value'",
    "==": "equality has no sign: property:'value'",
    "=~": "write ~ for a text match, which ignores case",
    "!*": "a negated pattern is written !'*text*'",
    "*!": "a negated pattern is written !'*text*'",
    "=": "equality has no sign: property:'value'",
}
_MEANT = {"=": "", "==": "", "!=": "!", "<>": "!", "=~": "~", "=<": "<=", "=>": ">=", "=*": "*"}
_CURLY = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "`": "'", "\u00b4": "'"}


def behind_condition(text: str, at: int) -> QuerySyntaxError:
    """The mistake where a joiner, a closing bracket or the end should stand; `at` is its first character."""
    name = _NAME.match(text, at)
    end = name.end() if name else at + 1
    return QuerySyntaxError(f"{text[at:end]!r} does not belong here", at, end, _joining(text, at))


def _joining(text: str, at: int) -> str | None:
    name = _NAME.match(text, at)
    if name is not None and text[at - 1 : at] in ("'", '"'):
        return "a quote inside a value is written \\'"
    if name is not None:
        return _WORDS.get(name.group().lower()) or "join conditions with + (and) or , (or)"
    if _PERCENT.match(text, at):
        return "write the filter itself; encoding it is the client's work"
    if text[at] in _CURLY:
        return f"write straight quotes: {_CURLY[text[at]]}"
    if text[at] in "'\"":
        return "a quote inside a value is written \\'"
    return _JOINERS.get(text[at])


def in_condition(text: str, at: int) -> QuerySyntaxError:
    """The mistake where a condition should stand."""
    at = _behind_space(text, at)
    name = _NAME.match(text, at)
    if name is None:
        return _no_name(text, at)
    lowered = name.group().lower()
    sign = _behind_space(text, name.end())
    if text[sign : sign + 1] != ":":
        return QuerySyntaxError(
            f"{name.group()} is not followed by a colon", at, name.end(), _uncoloned(text, lowered, sign)
        )
    if text.startswith("://", sign):
        return QuerySyntaxError("this is an address, not a filter", at, len(text), "write the value of filter= alone")
    place = _behind_space(text, sign + 1)
    signs = _SIGNS.match(text, place)
    if signs is not None and not _OPERATOR.fullmatch(signs.group()):
        hint = next((hint for spelled, hint in _COMPARISONS.items() if signs.group().startswith(spelled)), None)
        return QuerySyntaxError(f"{signs.group()} is not an operator", place, signs.end(), hint)
    if signs is not None:
        operator, place = signs.group(), _behind_space(text, signs.end())
        again = _SIGNS.match(text, place)
        if again is not None:
            both = operator + again.group()
            hint = f"write {both} without a space" if _OPERATOR.fullmatch(both) else _COMPARISONS.get(both)
            return QuerySyntaxError(f"{operator} {again.group()} is not an operator", signs.start(), again.end(), hint)
        if operator == "*" and not _starts_value(text, place):
            hint = f"write {name.group()}:!'' for any value"
            return QuerySyntaxError("a pattern is expected behind *", signs.start(), signs.end(), hint)
    return _no_value(text, place, name.group())


def in_list(text: str, opening: int, at: int) -> QuerySyntaxError:
    """The mistake inside `[...]`: at `at` an item should stand, and a comma or `]` behind it."""
    at = _behind_space(text, at)
    item = _STRING.match(text, at) or _WORD.match(text, at)
    if item is None:
        if at >= len(text):
            return QuerySyntaxError("this list is not closed", opening, opening + 1, "add ]")
        if text[at] == "]" and text[at - 1] != ",":
            return QuerySyntaxError("a list holds at least one value", opening, at + 1, "property:!'' means any value")
        return _no_value(text, at, None)
    if item.re is _STRING or _is_bare(item.group()):
        behind = _behind_space(text, item.end())
        if behind >= len(text) or text[behind] in "+)":
            return QuerySyntaxError("this list is not closed", opening, opening + 1, "add ]")
        return QuerySyntaxError(
            f"{text[behind]!r} does not belong here", behind, behind + 1, "separate the values of a list with ,"
        )
    return _no_value(text, at, None)


def _no_name(text: str, at: int) -> QuerySyntaxError:
    char = text[at : at + 1]
    hint: str | None = None
    if char and char in "'\"":
        hint = "write property:'value'"
    elif char == "#":
        hint = "this looks like CQL, which searches raw events; FQL filters alerts, hosts and other entities"
    elif char in _CURLY:
        hint = f"write straight quotes: {_CURLY[char]}"
    elif char and char in "?&/%":
        hint = "write the filter itself, without the address and without encoding"
    elif char == ")":
        hint = "write a condition inside the brackets"
    elif char in ("", "+", ",") and text[:at].rstrip()[-1:] in ("+", ","):
        hint = "a condition is missing behind " + text[:at].rstrip()[-1]
    return QuerySyntaxError("a property name is expected here", at, at + 1, hint)


def _uncoloned(text: str, word: str, at: int) -> str:
    if word == "filter" or word not in _WORDS:
        signs = _SIGNS.match(text, at)
        if signs is not None and word != "filter":
            return f"write {word}:{_MEANT.get(signs.group(), signs.group())}'value'"
        following = _NAME.match(text, at)
        if following is not None and following.group().lower() in _WORDS:
            return _WORDS[following.group().lower()].replace("property", word)
    return _WORDS.get(word) or "write property:'value'"


def _no_value(text: str, at: int, name: str | None) -> QuerySyntaxError:
    char = text[at : at + 1]
    if char and char in "'\"":
        hint = "a backslash before the closing quote is written twice" if text.endswith("\\" + char) else None
        return QuerySyntaxError("this quoted string is not closed", at, len(text), hint)
    word = _WORD.match(text, at)
    if word is None or char == ":":
        hint = f"write {name}:['a','b'] for any of several" if char == "(" and name else None
        return QuerySyntaxError("a value is expected here", at, at + 1, hint)
    written = word.group()
    if char in _CURLY:
        return QuerySyntaxError(f"{char} is no quote of FQL", at, at + 1, f"write straight quotes: {_CURLY[char]}")
    if written.lower() in ("true", "false", "null"):
        return QuerySyntaxError(f"{written} is written in lower case", at, word.end(), f"write {written.lower()}")
    between = re.fullmatch(r"([0-9.]*[0-9])(?:\.\.|-)([0-9]+)", written)
    if between is not None and name:
        hint = f"write {name}:>={between[1]}+{name}:<={between[2]}"
        return QuerySyntaxError("FQL has no ranges of this form", at, word.end(), hint)
    if "*" in written and written.replace("*", "").isdigit():
        return QuerySyntaxError("a number with a wildcard is quoted", at, word.end(), f"write '{written}'")
    end = _end_of_unquoted(text, at)
    quoted = text[at:end].replace("\\", "\\\\")
    return QuerySyntaxError("text is written in single quotes", at, end, f"write '{quoted}'")


def _end_of_unquoted(text: str, at: int) -> int:
    """Where the value that somebody forgot to quote ends; `now+7d` holds a plus."""
    word = _WORD.match(text, at)
    end = word.end() if word else at + 1
    later = re.compile(r"\+[0-9]+[a-zA-Z]\b").match(text, end)
    return later.end() if later is not None and text[at:end].lower() == "now" else end


def _is_bare(text: str) -> bool:
    return text in ("true", "false", "null") or _NUMBER.match(text) is not None


def _starts_value(text: str, at: int) -> bool:
    return text[at : at + 1] in ("'", '"', "[") or _is_bare(text[at : at + 1])


def _behind_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
