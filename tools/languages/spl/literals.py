r"""Strings of SPL: in double quotes; a backslash escapes a quote or a backslash and is itself anywhere else."""

import re

from ..literals import regex_problem

_PLAIN = re.compile(r"[A-Za-z0-9_.:\-]+\Z")
_WORDS = frozenset({"AND", "OR", "NOT", "IN", "XOR", "LIKE", "TRUE", "FALSE", "NULL", "SEARCH", "AS", "BY"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.{}]*\Z")
_ESCAPE = re.compile(r'\\(["\\])')
_PIECE = re.compile(r"(\\*)([^\\]?)", re.DOTALL)
_NAMED_GROUP = re.compile(r"\(\?<(?=[A-Za-z_])")


def decoded(string: str) -> str:
    """The value of a string with its quotes."""
    return _ESCAPE.sub(r"\1", string[1:-1])


def encoded(value: str) -> str:
    """A value as a string with quotes."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def word(value: str) -> str:
    """A value of `search`: bare where it is a plain word, in quotes otherwise."""
    return value if value == "*" or (_PLAIN.match(value) and value.upper() not in _WORDS) else encoded(value)


def name(field: str) -> str:
    """A field in an expression: in single quotes unless it is a plain word."""
    return field if _NAME.match(field) and field.upper() not in _WORDS else f"'{field}'"


def field_name(field: str) -> str:
    """A field where fields are listed: in double quotes unless it is a plain word."""
    return field if _FIELD.match(field) and field.upper() not in _WORDS else encoded(field)


def safe_pattern(pattern: str) -> str:
    r"""The same pattern without the signs that end a string or begin a macro: they are written as `\xHH`."""
    out: list[str] = []
    for backslashes, char in _PIECE.findall(pattern):
        if char and (char in '"`' or not char.isprintable()):
            escaped = backslashes[:-1] if len(backslashes) % 2 else backslashes
            out.append(f"{escaped}\\x{ord(char):02x}" if ord(char) < 256 else f"{escaped}\\x{{{ord(char):x}}}")
        else:
            out.append(backslashes + char)
    return "".join(out)


def pattern_problem(pattern: str) -> str | None:
    """What is wrong with a pattern of Splunk's, which is PCRE: it may look around and refer back. None: nothing."""
    problem = regex_problem(_NAMED_GROUP.sub("(?P<", pattern))
    return problem[1] if problem is not None and problem[0] == "error" else None
