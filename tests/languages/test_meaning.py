"""A compiled query means what the search means: small readers of each language against `search.matches`.

The readers follow the documented rules (FQL and LogScale compare with case, S1QL's CIS and Anycase forms do not) and
are written here, so that a compiler and its judge do not share a mistake.
"""

import re
from datetime import UTC, datetime
from fnmatch import translate as glob

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tracehound.knowledge.errors import UnsafeValueError
from tracehound.tools.languages import cql, fql, rest, s1ql
from tracehound.tools.languages.compiling import NotCarriedError
from tracehound.tools.languages.query import Compiled, Language
from tracehound.tools.languages.search import All as AllOf
from tracehound.tools.languages.search import (
    AnyOf,
    Condition,
    Expression,
    Not,
    Operator,
    Search,
    Window,
    conditions,
    matches,
)
from tracehound.tools.languages.views import Attribute, View, all_views

WINDOW = Window(start=datetime(2026, 11, 23, 9, tzinfo=UTC), end=datetime(2026, 11, 24, 9, tzinfo=UTC))
VIEWS = {view.id: view for view in all_views()}
COMPILERS = {
    Language.FQL: fql.compile_search,
    Language.S1QL: s1ql.compile_search,
    Language.CQL: cql.compile_search,
    Language.REST: rest.compile_search,
}
HOSTILE = "aB1 .*'\"\\/|()[]{}^$+?,:;=!~%&#<>-_@é"
PIECES = re.compile(r"\\x\{([0-9a-fA-F]+)\}|\\.|\$", re.DOTALL)


def found(pattern: str, text: str) -> bool:
    """RE2's reading in Python's engine: `\\x{..}`, and `$` only at the very end."""

    def python(piece: re.Match[str]) -> str:
        if piece[1]:
            return re.escape(chr(int(piece[1], 16)))
        return r"\Z" if piece[0] == "$" else piece[0]

    return re.search(PIECES.sub(python, pattern), text) is not None


def s1ql_holds(node: s1ql.Node, row: dict[str, str]) -> bool:
    match node:
        case s1ql.And(parts=parts):
            return all(s1ql_holds(part, row) for part in parts)
        case s1ql.Or(parts=parts):
            return any(s1ql_holds(part, row) for part in parts)
        case s1ql.Not(part=part):
            return not s1ql_holds(part, row)
        case s1ql.Comparison(field=name, operator=operator, values=values, negated=negated):
            actual = row.get(name)
            if operator is s1ql.Operator.IS_EMPTY:
                return bool(actual) is negated
            assert not negated
            return actual is not None and any(s1ql_compares(operator, actual, value.text) for value in values)


def s1ql_compares(operator: s1ql.Operator, actual: str, value: str) -> bool:
    left, right = actual.casefold(), value.casefold()
    match operator:
        case s1ql.Operator.EQ | s1ql.Operator.IN:
            return actual == value
        case s1ql.Operator.IN_ANYCASE:
            return left == right
        case s1ql.Operator.IN_CONTAINS_ANYCASE | s1ql.Operator.CONTAINS_CIS:
            return right in left
        case s1ql.Operator.STARTSWITH_CIS:
            return left.startswith(right)
        case s1ql.Operator.ENDSWITH_CIS:
            return left.endswith(right)
        case s1ql.Operator.REGEXP:
            return found(value, actual)
        case _:
            raise AssertionError(operator)


def cql_holds(node: cql.Node, row: dict[str, str]) -> bool:
    match node:
        case cql.Always():
            return True
        case cql.And(parts=parts):
            return all(cql_holds(part, row) for part in parts)
        case cql.Or(parts=parts):
            return any(cql_holds(part, row) for part in parts)
        case cql.Not(part=part):
            return not cql_holds(part, row)
        case cql.In(field=name, values=values):
            return name in row and any(re.match(glob(value.text), row[name]) for value in values)
        case cql.Compare(field=name, value=cql.Regex(pattern=pattern, flags=flags)):
            return name in row and found(f"(?{flags}){pattern}", row[name])
        case cql.Compare(field=name, comparator="!=", value=cql.Text(text=text)):
            return row.get(name) != text
        case cql.Compare(field=name, comparator="=", value=cql.Text(text=text)):
            return name in row and re.match(glob(text), row[name]) is not None
        case _:
            raise AssertionError(node)


def words(text: str) -> str:
    return " " + " ".join(re.findall(r"[^\W_]+", text.casefold())) + " "


def fql_holds(node: fql.Node, row: dict[str, str]) -> bool:
    match node:
        case fql.And(parts=parts):
            return all(fql_holds(part, row) for part in parts)
        case fql.Or(parts=parts):
            return any(fql_holds(part, row) for part in parts)
        case fql.Not(part=part):
            return not fql_holds(part, row)
        case fql.Term(property="timestamp"):
            return True
        case fql.Term(property=name, operator=operator, values=values):
            actual = row.get(name, "")
            match operator:
                case fql.Operator.EQ:
                    return any(re.match(glob(value.text), actual) for value in values)
                case fql.Operator.NE:
                    return all(actual != value.text for value in values)
                case fql.Operator.MATCH:
                    return any(words(value.text) in words(actual) for value in values)
                case _:
                    raise AssertionError(operator)


def holds(language: Language, text: str, row: dict[str, str]) -> bool:
    if language is Language.FQL:
        return fql_holds(fql.parse(text), row)
    if language is Language.S1QL:
        return s1ql_holds(s1ql.parse(text), row)
    stage = cql.parse(text).stages[0]
    assert isinstance(stage, cql.Filter)
    return cql_holds(stage.condition, row)


def compiled(view: View, expression: Expression | None) -> Compiled:
    return COMPILERS[view.language](Search(event_class=view.event_class, where=expression, window=WINDOW), view)


def row_of(view: View, event: dict[str, str]) -> dict[str, str]:
    """The vendor's row of an event, its selection included."""
    row = {name: values[0] for name, values in view.select.items()}
    for name, value in event.items():
        row[view.attributes[name].field] = value
    return row


def expressions(names: list[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[Expression]:
    operators = st.sampled_from(
        [Operator.EQ, Operator.NE, Operator.CONTAINS, Operator.STARTSWITH, Operator.ENDSWITH, Operator.EXISTS]
    )

    def condition(name: str, op: Operator, items: list[str]) -> Expression:
        return Condition(field=name, op=op, values=() if op is Operator.EXISTS else tuple(items))

    leaves = st.builds(condition, st.sampled_from(names), operators, st.lists(values, min_size=1, max_size=3))

    def joined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
        return st.one_of(
            parts.map(lambda of: AllOf(of=of)), parts.map(lambda of: AnyOf(of=of)), inner.map(lambda of: Not(of=of))
        )

    return st.recursive(leaves, joined, max_leaves=5)


CASES = {
    "falcon.process": ["process.cmd_line", "process.name", "device.hostname", "actor.user.name"],
    "falcon.file": ["file.name", "device.hostname"],
    "falcon.alerts": ["process.cmd_line", "device.hostname", "attacks.technique", "user.name"],
    "sentinelone.process": ["process.cmd_line", "process.name", "device.hostname", "actor.user.name"],
    "sentinelone.registry": ["reg.path", "reg.value_data"],
    "sentinelone.module": ["module.name", "device.hostname"],
}
short = st.text(st.sampled_from("aB.\\@- "), min_size=1, max_size=3)


def as_read(attribute: Attribute, text: str) -> str:
    """What an event says of a vendor's value: the last part of a path, an account without its domain."""
    if attribute.transform == "basename":
        return re.split(r"[\\/]", text)[-1]
    match attribute.kind:
        case "user" if "\\" in text:
            return text.rpartition("\\")[2]
        case "user" if re.fullmatch(r"[^@ ]+@[^@ ]+", text):
            return text.partition("@")[0]
        case _:
            return text


def asks_for_domain(condition: Condition) -> bool:
    """A host or an account with its domain is compared with the vendor's value, which may hold none."""
    named = condition.field.endswith(("hostname", "user.name")) and condition.op in (Operator.EQ, Operator.NE)
    return named and any(set(str(value)) & set(".\\@") for value in condition.values)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_row_that_the_search_means_is_lost(name: str, data: st.DataObject) -> None:
    view = VIEWS[name]
    expression = data.draw(expressions(CASES[name], short))
    assume(not any(map(asks_for_domain, conditions(expression))))
    values = st.text(st.sampled_from("aAbB.\\@- "), min_size=0, max_size=5)
    event = {attribute: data.draw(values, attribute) for attribute in CASES[name]}
    if "attacks.technique" in event:
        event["attacks.technique"] = event["attacks.technique"].upper()  # as Falcon writes codes
    row = row_of(view, event)
    seen = {attribute: as_read(view.attributes[attribute], value) for attribute, value in event.items()}
    assume(all(seen[attribute] or not value for attribute, value in event.items()))  # a domain belongs to a name
    meant = matches(expression, seen)
    try:
        query = compiled(view, expression)
    except NotCarriedError:
        assert not meant
        return
    asked = holds(view.language, query.text, row)
    if query.cannot_express:
        assert asked or not meant
    else:
        assert asked is meant


def names_in(node: object) -> list[str]:
    """The fields of a condition, in order: its structure without its values."""
    match node:
        case s1ql.Comparison(field=name) | cql.Compare(field=name) | cql.In(field=name) | fql.Term(property=name):
            return [name]
        case s1ql.Not(part=part) | cql.Not(part=part) | fql.Not(part=part):
            return ["not", *names_in(part)]
        case s1ql.And(parts=parts) | cql.And(parts=parts) | fql.And(parts=parts):
            return ["(", *(name for part in parts for name in names_in(part)), ")"]
        case s1ql.Or(parts=parts) | cql.Or(parts=parts) | fql.Or(parts=parts):
            return ["[", *(name for part in parts for name in names_in(part)), "]"]
        case _:
            return []


anything = st.one_of(
    st.text(st.sampled_from(HOSTILE), max_size=20),
    st.text(max_size=20),
    st.sampled_from(
        [
            '" OR EndpointName Contains "',
            "' OR '1'='1",
            "x'+severity:>0+name:'",
            "x'),(severity:>0",
            '") | tail(99999)',
            "/i | groupBy([aid])",
            "\\",
            '\\"',
            "a\\",
            "a\\'",
            "*",
            "a\nb",
            "\x00",
            "\u2028",
            '", "b") OR AgentName In ("',
        ]
    ),
)
OPERATORS = (Operator.EQ, Operator.NE, Operator.CONTAINS, Operator.STARTSWITH, Operator.ENDSWITH)


@settings(max_examples=300, deadline=None)
@given(value=anything, op=st.sampled_from(OPERATORS), several=st.booleans())
def test_no_value_changes_the_structure_of_s1ql_under_either_reading_of_backslashes(
    value: str, op: Operator, several: bool
) -> None:
    values = (value, "plain") if several else (value,)
    for name in ("process.cmd_line", "process.pid"):
        expression = AllOf(
            of=(Condition(field=name, op=op, values=values), Condition(field="process.uid", values=("u",)))
        )
        try:
            text = compiled(VIEWS["sentinelone.process"], expression).text
        except NotCarriedError:
            continue
        literal, escaping = names_in(s1ql.parse(text)), names_in(s1ql.parse(text, s1ql.Quoting.ESCAPED))
        assert literal == escaping
        assert [n for n in literal if n not in ("not", "(", ")")] in (
            ["EventType", "TgtProcCmdLine", "TgtProcUID"],
            ["EventType", "TgtProcPID", "TgtProcUID"],
            ["EventType", "TgtProcUID"],
        )


@settings(max_examples=300, deadline=None)
@given(value=anything, op=st.sampled_from(OPERATORS))
def test_no_value_changes_the_structure_of_cql(value: str, op: Operator) -> None:
    expression = AllOf(
        of=(
            Condition(field="process.cmd_line", op=op, values=(value,)),
            Condition(field="process.name", values=("benign.exe",)),
        )
    )
    query = cql.parse(compiled(VIEWS["falcon.process"], expression).text)
    assert [type(stage) for stage in query.stages] == [cql.Filter, cql.Tail]
    assert isinstance(query.stages[0], cql.Filter)
    fields = [n for n in names_in(query.stages[0].condition) if n != "not"]
    assert fields == ["(", "#event_simpleName", "CommandLine", "FileName", ")"]


@settings(max_examples=300, deadline=None)
@given(value=anything, op=st.sampled_from(OPERATORS))
def test_no_value_changes_the_structure_of_fql(value: str, op: Operator) -> None:
    for name in ("device.hostname", "finding.uid", "device.ip", "process.cmd_line"):
        expression = AllOf(
            of=(Condition(field=name, op=op, values=(value,)), Condition(field="severity", values=("Low",)))
        )
        try:
            node = fql.parse(compiled(VIEWS["falcon.alerts"], expression).text)
        except UnsafeValueError:
            assert "\0" in value
            continue
        fields = [n for n in names_in(node) if n not in ("not", "(", ")")]
        assert fields[-3:] == ["severity_name", "timestamp", "timestamp"]
        assert fields[:-3] in ([], ["device.hostname"], ["composite_id"], ["device.local_ip"], ["cmdline"])
        for term in node.parts if isinstance(node, fql.And) else ():
            if isinstance(term, fql.Term) and term.operator is fql.Operator.MATCH:
                assert term.values[0].text == value


@settings(max_examples=300, deadline=None)
@given(value=anything, op=st.sampled_from(OPERATORS))
def test_no_value_changes_the_structure_of_a_list_call(value: str, op: Operator) -> None:
    expression = Condition(field="device.hostname", op=op, values=(value,))
    if not value.isprintable():
        with pytest.raises(UnsafeValueError, match="control characters"):
            compiled(VIEWS["sentinelone.threats"], expression)
        return
    call = rest.parse(compiled(VIEWS["sentinelone.threats"], expression).text)
    asked = call.as_dict()
    assert set(asked) - {"computerName__contains"} == {"createdAt__gte", "createdAt__lt", "limit"}
    assert asked.get("computerName__contains", value) == value
