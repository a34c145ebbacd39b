"""No value changes what a query says: 5,000 hostile strings in five kinds of literals of every language.

The tokenizers are written here, from the languages' published rules, and import nothing of Tracehound. A query that
holds a hostile value must have the tokens of one that holds a harmless value, and the literal must read back as the
value. TRACEHOUND_FULL=1 tries every string; a run without it tries a seeded sample.
"""

import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import import_module

import pytest

from tracehound.knowledge.errors import UnsafeValueError
from tracehound.tools.languages import fql
from tracehound.tools.languages.compiling import NotCarriedError
from tracehound.tools.languages.query import Language
from tracehound.tools.languages.search import All, Condition, Operator, Search, Window
from tracehound.tools.languages.translate import ALSO
from tracehound.tools.languages.views import View, all_views
from tracehound.tools.languages.vocabulary import EventClass

STRINGS = 5_000
SAMPLE = STRINGS if os.environ.get("TRACEHOUND_FULL") else 400
WINDOW = Window(start=datetime(2026, 11, 23, 9, tzinfo=UTC), end=datetime(2026, 11, 24, 9, tzinfo=UTC))
VIEWS = {view.id: view for view in all_views()}

# Hostile strings

PIECES = [
    *"'\"`\\/|*?%#&;:,+-=<>!~^$.()[]{}@_",
    *("\n", "\r\n", "\t", "\0", "\x08", "\x1b[31m", "\x7f", "\x85", "\xa0"),
    *("\u200b", "\u202e", "\u2028", "\u2029", "\ufeff", "\ud800", "\udfff", "\U0001f480", "e\u0301"),
    *("\u0131", "\u0130", "\xdf", "\u05d0", "\u0627", "\u0430dmin", "\uff07", "\uff02"),
    *("\\'", '\\"', "\\\\", "\\\\'", '\\\\"', "''", '""', "'''", '"""', "```", "\\0"),
    *("\\u0027", "\\u0022", "\\x27", "\\x22", "%27", "%22", "%2B", "%00", "&#39;", "&quot;", "&apos;"),
    *("{{", "}}", "{0}", "${x}", "$(x)", "%s", "<script>", "<!--"),
    *("--", "//", "/*", "*/", "/* */", "#", "#!", "\n//", "\n|", "\r|", ";", ";\n", "\\\n"),
    *("AND", "OR", "NOT", "and", "or", "not", "in", "null", "true", "false", "now-7d"),
    *("*", "**", "?*", ".*", "(.*)", "(?i)", "(?:", "(?=x)", "\\1", "[[:alpha:]]", "{1,9}", "^$", "$^", "\\E", "\\Q"),
    *("'+", "',", "')", "'],", "'+status:'new'+a:'", "',severity:>0,a:'", "'+(a:!'", "x'),(severity:>0"),
    *('" OR EndpointName Contains "', '") OR AgentName In ("', '" AND "1" = "1', "' OR '1'='1"),
    *('" or 1 == 1 //', '" | take 1 //', '"; .drop table T //', '") | union (T', "'] | project ["),
    *('" | evaluate http_request("x") //', '@"', "h'", '" | stats count', '" | columns a', '" | select([aid])'),
    *(
        '") | tail(99999)',
        "/i | groupBy([aid])",
        "/ or aid=*",
        "| delete",
        "`macro`",
        "[ search index=* ]",
        "\\/",
        "a/i",
    ),
    *(
        "C:\\",
        "C:\\Windows\\",
        "\\\\server\\share\\",
        "..\\..",
        "CORP\\admin",
        "admin@corp.example",
        "ws-1.corp.example",
    ),
    *("0", "-1", "1e309", "NaN", "Infinity", "0x10", "1_000", "\u0663", "\uff11", "9" * 40, "T1003"),
    *("10.0.0.0/8", "::ffff:10.1.2.3", "2026-01-01", "2026-01-01T00:00:00Z", "datetime(2026-01-01)", "ago(1d)"),
    *("benign", " ", "  x  ", "a b"),
]


def hostile_strings(count: int) -> list[str]:
    """Seeded: every piece alone, at either end of a word, and pieces joined at random; broken, long and random text."""
    draw = random.Random(20261124)
    found = dict.fromkeys(PIECES)
    found |= dict.fromkeys(text for piece in PIECES for text in (f"word{piece}", f"{piece}word", f"wo{piece}rd{piece}"))
    found |= dict.fromkeys(piece * 4_000 for piece in ("'", '"', "\\", "*", "/", "(", "\\'", "\u2028"))
    while len(found) < count:
        match draw.randrange(8):
            case 0:
                text = "".join(chr(draw.randrange(1, 0x500)) for _ in range(draw.randrange(1, 30)))
            case 1:
                text = "".join(chr(draw.randrange(0x110000)) for _ in range(draw.randrange(1, 8)))
            case _:
                text = "".join(draw.choice(PIECES) for _ in range(draw.randrange(2, 7)))
        found[text] = None
    return list(found)[:count]


def sample() -> list[str]:
    """The strings of this run: all of them, or the pieces and a seeded part of the others."""
    every = hostile_strings(STRINGS)
    return every if SAMPLE == STRINGS else random.Random(1).sample(every, SAMPLE)


# Tokens


@dataclass(frozen=True)
class Lexicon:
    """How one language is cut into tokens: `string` and `regex` carry values, the rest is structure."""

    pattern: re.Pattern[str]
    unescape: Callable[[str], str]
    regex_after: tuple[str, ...] = ()
    """Words behind which a string is a pattern."""


def _pattern(**kinds: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items()), re.DOTALL | re.ASCII)


DOUBLE, SINGLE = r'"[^"\\]*(?:\\.[^"\\]*)*"', r"'[^'\\]*(?:\\.[^'\\]*)*'"
ESCAPES = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def c_style(text: str) -> str:
    def char(found: re.Match[str]) -> str:
        code = found[1] or found[2] or found[3]
        return chr(int(code, 16)) if code else CONTROLS.get(found[4], found[4])

    return ESCAPES.sub(char, text)


def quotes_only(text: str) -> str:
    return re.sub(r"""\\(['"\\])""", r"\1", text)


LEXICONS = {
    "fql": Lexicon(
        _pattern(space=r"\s+", string=f"{SINGLE}|{DOUBLE}", name=r"[A-Za-z_][\w.]*", number=r"-?[0-9.]+",
                 sign=r"!~|>=|<=|[!~><*:+,()\[\]]"),
        quotes_only,
    ),
    "s1ql": Lexicon(
        _pattern(space=r"\s+", string="\"[^\"]*\"|'[^']*'", name=r"[A-Za-z_][\w.]*", number=r"-?[0-9.]+",
                 sign=r"!=|>=|<=|[=<>(),]"),
        str,
        ("RegExp",),
    ),
    "s1ql, backslashes escape": Lexicon(
        _pattern(space=r"\s+", string=f"{SINGLE}|{DOUBLE}", name=r"[A-Za-z_][\w.]*", number=r"-?[0-9.]+",
                 sign=r"!=|>=|<=|[=<>(),]"),
        str,
        ("RegExp",),
    ),
    "kql": Lexicon(
        _pattern(
            comment=r"//[^\n\r]*", space=r"\s+",
            string=r"""[hH]?(?:@"(?:[^"]|"")*"|@'(?:[^']|'')*'|```.*?```|~~~.*?~~~"""
            r"""|"[^"\\\r\n]*(?:\\[^\r\n][^"\\\r\n]*)*"|'[^'\\\r\n]*(?:\\[^\r\n][^'\\\r\n]*)*')""",
            name=r"[A-Za-z_]\w*", number=r"[0-9][\w.]*", sign=r"=~|!~|==|!=|<=|>=|<>|\.\.|=>|[|(){}\[\],;.:<>=+\-*/%!]",
        ),
        c_style,
        ("regex",),
    ),
    "cql": Lexicon(
        _pattern(
            comment=r"//[^\n]*|/\*.*?\*/", space=r"\s+", string=DOUBLE, regex=r"/(?:[^/\\\n]|\\[^\n])+/[a-z]*",
            name=r"[@#]?[A-Za-z_][\w.:\-]*", number=r"-?[0-9][\w.:\-]*", sign=r":=|!=|>=|<=|=~|[|(){}\[\],=<>*;!]",
        ),
        quotes_only,
    ),
    "powerquery": Lexicon(
        _pattern(
            comment=r"//[^\n]*|/\*.*?\*/|#[^\n]*", space=r"\s+", string=f"{DOUBLE}|{SINGLE}",
            name=r"[A-Za-z_][\w.]*", number=r"-?[0-9][\w.]*", sign=r"==|!=|>=|<=|&&|\|\||[|(){}\[\],=<>*;!+\-/%?:$]",
        ),
        c_style,
        ("matches",),
    ),
    "spl": Lexicon(
        _pattern(
            comment=r"```.*?```", macro=r"`[^`]*`", space=r"\s+", string=DOUBLE, name=r"(?!-?[0-9])[\w:.\-][\w.{}:\-]*",
            number=r"-?[0-9][\w.:\-]*", sign=r"==|!=|>=|<=|[|(){}\[\],=<>*;!+/%'.]",
        ),
        quotes_only,
        ("regex", "match", "rex"),
    ),
}  # fmt: skip


def tokens(lexicon: Lexicon, text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = lexicon.pattern.match(text, at)
        if found is None:
            yield "stray", text[at]
            at += 1
            continue
        at = found.end()
        if found.lastgroup != "space":
            yield str(found.lastgroup), found.group()


ESCAPED = re.compile(r"\\x\{([0-9a-fA-F]+)\}|\\x([0-9a-fA-F]{2})|\\([^A-Za-z0-9])", re.DOTALL)


def unescaped(pattern: str) -> str:
    """What a pattern of escaped text says literally."""
    return ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)) if not found[3] else found[3], pattern)


def skeleton(pattern: str) -> str:
    """A pattern without its literal characters: anchors, groups, repeats and classes."""
    return "".join(re.findall(r"[\^$.*+?()\[\]{}|]|\\[A-Za-z]", ESCAPED.sub("", pattern)))


BARE = ("cql", "spl")
"""Languages in which a plain word is a value without quotes."""


def read(language: str, text: str) -> tuple[tuple[str, ...], list[str]]:
    """The structure of a query, and what its literals say."""
    lexicon = LEXICONS[language]
    structure: list[str] = []
    literals: list[str] = []
    before = ["", "", "", ""]
    listing = False
    for kind, written in tokens(lexicon, text):
        listing = (listing or before[-2:] == ["IN", "("]) and written != ")"
        is_value = language in BARE and (listing or before[-1] == "=") and written.lower() not in ("and", "or", "not")
        match kind:
            case "regex":
                body, _, flags = written[1:].rpartition("/")
                structure.append(f"regex {skeleton(body)} {flags}")
                literals.append(unescaped(body))
            case "string":
                value = lexicon.unescape(written.lstrip("@hH")[1:-1])
                is_pattern = before[-1] in lexicon.regex_after or before[-4] in lexicon.regex_after
                structure.append("string " + skeleton(value) if is_pattern else "value" if is_value else "string")
                literals.append(unescaped(value) if is_pattern else value)
            case "name" | "number" if is_value:
                structure.append("value")
                literals.append(written)
            case "number":
                structure.append("number")
            case _:
                structure.append(written)
        before = [*before[1:], written]
    return tuple(structure), literals


# Slots: where a value stands in a query


@dataclass(frozen=True)
class Slot:
    """A place for a value in a query of a language."""

    write: Callable[[str], str]
    holds: bool = True
    """Whether the value is text there; a number, a time, an address or a closed list refuses text."""
    without: str = ""
    """The query in which the value is left to the rows: FQL has no escape for its wildcard."""


def compiled(language: Language, view: View, field: str, op: Operator, *others: str, holds: bool = True) -> Slot:
    compile_search = import_module(f"tracehound.tools.languages.{language.value}").compile_search
    later = Condition(field="device.uid" if view.carries("device.uid") else "actor.process.name", values=("u",))

    def write(*conditions: Condition) -> str:
        search = Search(event_class=view.event_class, where=All(of=(*conditions, later)), window=WINDOW)
        return str(compile_search(search, view).text)

    return Slot(lambda value: write(Condition(field=field, op=op, values=(value, *others))), holds, write())


def printed(operator: fql.Operator, before: str = "", behind: str = "") -> Slot:
    """FQL compares parts of texts with case, so no search asks for them; the printer writes them for analysts."""
    later = fql.Term("device.device_id", fql.Operator.EQ, (fql.Value(fql.ValueKind.STRING, "u"),))

    def write(value: str) -> str:
        text = fql.Value(fql.ValueKind.STRING, f"{before}{value}{behind}")
        return fql.to_text(fql.And((fql.Term("cmdline", operator, (text,)), later)))

    return Slot(write)


def event_slots(language: Language, view: View, network: View) -> dict[str, list[Slot]]:
    def text(field: str, op: Operator, *others: str) -> Slot:
        return compiled(language, view, field, op, *others)

    def typed(field: str, op: Operator, at: View = view) -> Slot:
        return compiled(language, at, field, op, holds=False)

    command, host, eq, contains = "process.cmd_line", "device.hostname", Operator.EQ, Operator.CONTAINS
    begin, end = Operator.STARTSWITH, Operator.ENDSWITH
    return {
        "equal": [text(command, eq), text(host, eq), text("actor.user.name", eq)],
        "contains": [text(command, contains), text(host, contains), text(command, contains, "b")],
        "item": [text(command, eq, "b"), text(host, eq, "b"), text(command, Operator.NE, "b", "c")],
        "end": [text(command, begin), text(command, end), text(host, begin)],
        "typed": [
            typed("process.pid", eq),
            typed("process.pid", Operator.GE),
            typed("time", Operator.GE),
            typed("dst_endpoint.ip", Operator.CIDR, network),
            typed("dst_endpoint.port", eq, network),
            typed("activity", eq),
        ],
    }


def alert_slots() -> dict[str, list[Slot]]:
    alerts, hosts, flaws = (VIEWS[f"falcon.{name}"] for name in ("alerts", "hosts", "vulnerabilities"))

    def text(field: str, op: Operator, *others: str, at: View = alerts) -> Slot:
        return compiled(Language.FQL, at, field, op, *others)

    def typed(field: str, op: Operator, at: View = alerts) -> Slot:
        return compiled(Language.FQL, at, field, op, holds=False)

    uid, eq, begin = "finding.uid", Operator.EQ, Operator.STARTSWITH
    wildcard, without, like = (fql.Operator(sign) for sign in ("*", "!", "~"))
    return {
        "equal": [text(uid, eq), text("process.cmd_line", eq), text("device.hostname", eq, at=hosts)],
        "contains": [printed(wildcard, "*", "*"), printed(without, "*", "*"), printed(like)],
        "item": [text(uid, eq, "b"), text(uid, Operator.NE, "b"), text("vulnerability.cve", eq, at=flaws)],
        "end": [text(uid, begin), text("process.uid", begin), printed(wildcard, behind="*")],
        "typed": [
            typed("process.pid", eq),
            typed("process.pid", Operator.GE),
            typed("finding.created", Operator.GE),
            typed("device.ip", Operator.CIDR),
            typed("severity", eq),
            typed("vulnerability.score", Operator.GT, flaws),
        ],
    }


def spoken(view: View) -> tuple[Language, ...]:
    return (view.language, *ALSO.get(view.language, ()))


@cache
def slots(language: str) -> dict[str, list[Slot]]:
    if language == "fql":
        return alert_slots()
    wanted = Language(language)
    views = [view for view in VIEWS.values() if wanted in spoken(view)]
    for view in views:
        for network in views:
            if (
                view.platform is network.platform
                and view.event_class is EventClass.PROCESS
                and network.event_class is EventClass.NETWORK
                and network.carries("dst_endpoint.ip")
                and view.carries("actor.user.name")
            ):
                return event_slots(wanted, view, network)
    pytest.skip(f"no view is asked in {language}")


# The same tokens, and a literal that reads back

HARMLESS = (
    "benign",
    "Benign",
    "BENIGN",
    "127",
    "it's",
    'say "x"',
    "a*b",
    r"C:\x",
    r"C:\x\\",
    "--",
    "",
    "10.1.2.3",
    "h\u00e9",
    "a\nb",
)
"""One value for each form that a compiler may choose: quoted, as a pattern, in several cases, left to the rows."""
TYPED = (
    *("7", "0.5", "-7", "10.1.0.0/16", "10.1.2.3", "10.16.0.0/12", "0.0.0.0/0", "::1/64"),
    *("2026-01-01", "2026-01-01T00:00:00.5Z", "High", "Launch", "Terminate"),
)
KINDS = ("equal", "contains", "item", "end", "typed")
LANGUAGES = ("fql", "s1ql", "kql", "cql", "powerquery", "spl")


def readings(language: str) -> list[str]:
    """S1QL's readers disagree about backslashes, so a query must mean the same to both."""
    return [name for name in LEXICONS if name.partition(",")[0] == language]


def outcome(write: Callable[[str], str], value: str) -> str | None:
    try:
        return write(value)
    except (NotCarriedError, UnsafeValueError):
        return None


def broken(value: str) -> bool:
    """Text that no request can carry."""
    return any("\ud800" <= char <= "\udfff" for char in value) or "\0" in value


def carries(literals: list[str], value: str) -> bool:
    plain = value.casefold()
    return any(plain in literal.casefold() for literal in literals)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_value_changes_the_tokens_of_a_query(language: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    places = slots(language)[kind]
    allowed: list[list[set[tuple[str, ...]]]] = []
    for place in places:
        texts = [text for value in HARMLESS + TYPED if (text := outcome(place.write, value)) is not None]
        assert texts
        allowed.append([{read(reading, text)[0] for text in texts} for reading in readings(language)])
    tried = written = 0
    for number, value in enumerate(sample()):
        which = number % len(places)
        tried += 1
        text = outcome(places[which].write, value)
        if text is None:
            assert not places[which].holds or broken(value), (value, "refused without need")
            continue
        written += 1
        for reading, structures in zip(readings(language), allowed[which], strict=True):
            structure, literals = read(reading, text)
            assert structure in structures, (reading, value, text)
            if places[which].holds and reading == language and text != places[which].without:
                assert carries(literals, value), (value, text)
    with capsys.disabled():
        print(f"\n{language} {kind}: none of {tried} values changed the query, {tried - written} were refused")
    assert tried == SAMPLE
    assert kind == "typed" or written > tried * 0.9


# The same strings without the defence

NAIVE: dict[str, Callable[[str], str]] = {
    "fql": lambda value: f"device.hostname:'{value}'+device.device_id:'u'",
    "s1ql": lambda value: f'EndpointName = "{value}" AND AgentUuid = "u"',
    "kql": lambda value: f'DeviceProcessEvents | where DeviceName == "{value}" | where DeviceId == "u" | take 10',
    "cql": lambda value: f'ComputerName="{value}" aid="u" | tail(10)',
    "powerquery": lambda value: f'endpoint.name = "{value}" agent.uuid = "u" | limit 10',
    "spl": lambda value: f'search index=main host="{value}" id="u" | head 10',
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_strings_break_queries_that_are_put_together_by_hand(language: str) -> None:
    write = NAIVE[language]
    harmless, _ = read(language, write("benign"))
    strings = sample()
    changed = [value for value in strings if read(language, write(value))[0] != harmless]
    assert len(changed) > len(strings) * 0.15
    doubled = [value for value in strings if read(language, write(re.sub("['\"]", r"\\\g<0>", value)))[0] != harmless]
    assert len(doubled) > len(strings) * 0.02, "quotes alone are escaped, and a backslash still opens the literal"


def test_there_are_five_thousand_different_strings() -> None:
    strings = hostile_strings(STRINGS)
    assert len(set(strings)) == STRINGS
    for sign in (
        "'",
        '"',
        "\\",
        "\n",
        "\0",
        "\u2028",
        "\u202e",
        "\ud800",
        "*",
        "//",
        "/*",
        "]",
        "{{",
        "AND",
        "%27",
        "&#39;",
    ):
        assert sum(sign in value for value in strings) > 20, sign
    assert sum(value.endswith("\\") for value in strings) > 50
    assert max(map(len, strings)) >= 4_000
