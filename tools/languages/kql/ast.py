"""The tree of a KQL query. Every node knows its place in the text: `start` and `end` are character offsets."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    """Any part of a query."""

    start: int
    end: int


# Expressions


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A constant; `type` is a KQL type name, `value` the Python value or the written text of a typed literal."""

    type: str
    value: Any


@dataclass(frozen=True, slots=True)
class Bag:
    """A property bag inside `dynamic(...)`."""

    pairs: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class DynamicLiteral(Node):
    """`dynamic(...)`: lists as tuples, property bags as `Bag`, typed literals as nodes, the rest as Python values."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A bare or bracketed name: a column, a variable, a table or a function without parentheses."""

    name: str


@dataclass(frozen=True, slots=True)
class Star(Node):
    """`*`, or a pattern of names such as `Device*` or `*_CL`."""

    pattern: str = "*"


@dataclass(frozen=True, slots=True)
class Member(Node):
    """`base.name` of a dynamic value, a column of a join side, or a step of a `cluster().database()` chain."""

    base: "Expr"
    name: str


@dataclass(frozen=True, slots=True)
class MemberCall(Node):
    """`base.function(...)`, as in `cluster("c").database("d")`."""

    base: "Expr"
    call: "Call"


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`base[index]`."""

    base: "Expr"
    index: "Expr"


@dataclass(frozen=True, slots=True)
class Named(Node):
    """`name = value`, or `(a, b) = value`."""

    names: tuple[str, ...]
    value: "Expr"


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`name(arguments)`."""

    name: str
    arguments: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """A sign before a number."""

    op: str
    operand: "Expr"


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic, comparison or string operator."""

    op: str
    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True)
class Logical(Node):
    """Parts joined by `and` or by `or`; a long chain stays flat."""

    op: str
    parts: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class InList(Node):
    """`left in (...)`, `has_any (...)` and their kin; the items may be one tabular expression."""

    op: str
    left: "Expr"
    items: tuple["Expr", ...]


@dataclass(frozen=True, slots=True)
class Between(Node):
    """`left between (low .. high)` or `!between`."""

    op: str
    left: "Expr"
    low: "Expr"
    high: "Expr"


@dataclass(frozen=True, slots=True)
class TypeOf(Node):
    """`typeof(type)`."""

    type: str


@dataclass(frozen=True, slots=True)
class Ordered(Node):
    """An expression with `asc` or `desc` and `nulls first` or `nulls last`."""

    value: "Expr"
    descending: bool = True
    nulls: str | None = None


Expr = Node


# Tabular expressions


@dataclass(frozen=True, slots=True)
class Pipeline(Node):
    """A source and the operators behind it."""

    source: Node
    operators: tuple["Operator", ...]


@dataclass(frozen=True, slots=True)
class ColumnDef(Node):
    """`name: type`; the columns of scan may start with a value."""

    name: str
    type: str
    default: Expr | None = None


@dataclass(frozen=True, slots=True)
class DataTable(Node):
    """`datatable(columns)[values]`."""

    columns: tuple[ColumnDef, ...]
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class ExternalData(Node):
    """`externaldata(columns)[locations] with (...)`. Parsed so that policy can name it."""

    columns: tuple[ColumnDef, ...]
    locations: tuple[Expr, ...]
    properties: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Operator(Node):
    """A tabular operator; some also stand at the head of a pipeline."""


@dataclass(frozen=True, slots=True)
class Where(Operator):
    """`where predicate`, also written `filter`."""

    predicate: Expr


@dataclass(frozen=True, slots=True)
class Project(Operator):
    """`project` and its kin; `kind` is `project`, `project-away`, `project-keep`, `project-rename`, `project-reorder`."""

    kind: str
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Extend(Operator):
    """`extend` and `serialize`, which differ in order alone."""

    items: tuple[Expr, ...]
    word: str = "extend"


@dataclass(frozen=True, slots=True)
class Summarize(Operator):
    """`summarize aggregates by groups`."""

    aggregates: tuple[Expr, ...]
    by: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Join(Operator):
    """`join` or `lookup`; `kind` as written, empty where it is left out."""

    operator: str
    kind: str
    right: Expr
    on: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Union(Operator):
    """`union`, as an operator or at the head."""

    kind: str
    with_source: str | None
    tables: tuple[Expr, ...]
    fuzzy: bool = False


@dataclass(frozen=True, slots=True)
class Expand(Node):
    """One expression of `mv-expand` or `mv-apply`, with the type it is read as."""

    value: Expr
    type: str | None


@dataclass(frozen=True, slots=True)
class MvExpand(Operator):
    """`mv-expand`; with `subquery` it is `mv-apply`. `bags` is `array` where a bag expands to pairs."""

    items: tuple[Expand, ...]
    item_index: str | None = None
    limit: Expr | None = None
    subquery: tuple[Operator, ...] | None = None
    bags: str = "bag"


@dataclass(frozen=True, slots=True)
class MakeSeries(Operator):
    """`make-series aggregates on axis from low to high step width by groups`.

    `words` says what each bound is (`from`, `to`, `step`, or `in` before a range); `defaults` has an entry for each
    aggregate, None where it is left out; `kind` is `nonempty` where no rows are to yield a series too.
    """

    aggregates: tuple[Expr, ...]
    axis: Expr
    bounds: tuple[Expr, ...]
    by: tuple[Expr, ...]
    words: tuple[str, ...] = ()
    defaults: tuple[Expr | None, ...] = ()
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Parse(Operator):
    """`parse` or `parse-where`: a pattern of texts, stars and the columns that it captures."""

    word: str
    parameters: tuple[tuple[str, str], ...]
    source: Expr
    pattern: tuple[Literal | Star | ColumnDef, ...]


@dataclass(frozen=True, slots=True)
class ParseKv(Operator):
    """`parse-kv`, with its properties (`pair_delimiter`, `kv_delimiter`, `quote`, ...)."""

    source: Expr
    columns: tuple[ColumnDef, ...]
    properties: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluate(Operator):
    """`evaluate plugin(...) : (schema)`."""

    call: Call
    columns: tuple[ColumnDef, ...] | None


@dataclass(frozen=True, slots=True)
class Top(Operator):
    """`top count by key`."""

    count: Expr
    by: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class TopNestedPart(Node):
    """One level of `top-nested`: how many, of which key, by which aggregate; `others` names what is left."""

    key: Expr
    aggregate: Expr
    count: Expr | None = None
    others: Expr | None = None


@dataclass(frozen=True, slots=True)
class TopNested(Operator):
    """`top-nested`."""

    parts: tuple[TopNestedPart, ...]


@dataclass(frozen=True, slots=True)
class TopHitters(Operator):
    """`top-hitters count of key by weight`."""

    count: Expr
    of: Expr
    by: Expr | None


@dataclass(frozen=True, slots=True)
class Sort(Operator):
    """`sort` or `order`."""

    by: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Take(Operator):
    """`take`, `limit` or `sample`."""

    count: Expr
    word: str = "take"


@dataclass(frozen=True, slots=True)
class SampleDistinct(Operator):
    """`sample-distinct count of column`."""

    count: Expr
    of: Expr


@dataclass(frozen=True, slots=True)
class Count(Operator):
    """`count`."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Distinct(Operator):
    """`distinct columns` or `distinct *`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Invoke(Operator):
    """`invoke function(...)`."""

    call: Call


@dataclass(frozen=True, slots=True)
class Render(Operator):
    """`render chart`, with its properties: no effect on rows."""

    chart: str
    properties: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class GetSchema(Operator):
    """`getschema`."""


@dataclass(frozen=True, slots=True)
class As(Operator):
    """`as name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Consume(Operator):
    """`consume`."""


@dataclass(frozen=True, slots=True)
class Search(Operator):
    """`search in (tables) predicate`, at the head or in the pipe."""

    tables: tuple[Expr, ...]
    predicate: Expr
    case_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Find(Operator):
    """`find in (tables) where predicate project columns`; `with_source` names the column of the table's name."""

    tables: tuple[Expr, ...]
    predicate: Expr
    columns: tuple[Expr, ...]
    with_source: str = "source_"


@dataclass(frozen=True, slots=True)
class Range(Operator):
    """`range name from low to high step width`."""

    name: str
    low: Expr
    high: Expr
    step: Expr


@dataclass(frozen=True, slots=True)
class Print(Operator):
    """`print values`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Partition(Operator):
    """`partition by key (subquery)`."""

    by: Expr
    body: tuple[Operator, ...]
    source: Expr | None = None


@dataclass(frozen=True, slots=True)
class Fork(Operator):
    """`fork` with its branches; `facet` too."""

    branches: tuple[tuple[Operator, ...], ...]
    by: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanStep(Node):
    """`step name: condition => column = value, ...`."""

    name: str
    condition: Expr
    assignments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Scan(Operator):
    """`scan declare (columns) with (steps)`; `match_id` is the column that numbers the matches, `by` what it runs over."""

    columns: tuple[ColumnDef, ...]
    steps: tuple[ScanStep, ...] = ()
    match_id: str | None = None
    by: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Reduce(Operator):
    """`reduce by key`, with its properties."""

    by: Expr
    properties: tuple[tuple[str, Expr], ...] = ()


# Statements


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """Of a function: `name: type = default`; `columns` where it takes a table, `()` being any table."""

    name: str
    type: str
    columns: tuple[ColumnDef, ...] | None = None
    default: Expr | None = None


@dataclass(frozen=True, slots=True)
class Function(Node):
    """`(parameters) { statements }`."""

    parameters: tuple[Parameter, ...]
    body: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class Statement(Node):
    """One of the statements between semicolons."""


@dataclass(frozen=True, slots=True)
class Let(Statement):
    """`let name = value`."""

    name: str
    value: Node


@dataclass(frozen=True, slots=True)
class ExpressionStatement(Statement):
    """The statement that yields rows."""

    value: Expr


@dataclass(frozen=True, slots=True)
class SetStatement(Statement):
    """`set option = value`."""

    name: str


@dataclass(frozen=True, slots=True)
class Declare(Statement):
    """`declare query_parameters (...)`."""

    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class OtherStatement(Statement):
    """`alias`, `restrict` or `pattern`: read over, and refused by policy."""

    keyword: str


@dataclass(frozen=True, slots=True)
class Query(Node):
    """A whole text. `command` holds the first word of a control command (`.show`), which is never read further."""

    statements: tuple[Statement, ...]
    command: str | None = None


def children(node: Node) -> Iterator[Node]:
    """The nodes directly inside a node, in the order of its fields."""
    for name in type(node).__slots__:  # the class's own fields: without its place
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from _nodes(value)


def _nodes(items: tuple[Any, ...]) -> Iterator[Node]:
    for item in items:
        if isinstance(item, Node):
            yield item
        elif isinstance(item, tuple):
            yield from _nodes(item)


def walk(node: Node) -> Iterator[Node]:
    """A node and everything in it, parents first."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(list(children(current))))
