"""Operators that bring tables together or make one: `join`, `union`, `search`, `range`, `print` and their kin."""

from fnmatch import fnmatchcase

from . import ast
from .binding_summaries import SummaryBinder
from .rows import NUMBERS, UNKNOWN, Row, joined, of_any, plain, united
from .scalars import BOOL, NOTHING, Scope
from .signatures import parameter
from .words import LEFT_ONLY, RIGHT_ONLY

_STEPS = parameter("summable")
_TABLE_NAME = {"$table": "string"}


class TableBinder(SummaryBinder):
    """Columns through the operators over several tables, and those that start a pipeline."""

    def _table(self, node: ast.Node, row: Row | None = None) -> Row:
        """The row of an expression that must be a table."""
        value = self._value(node, row)
        if isinstance(value, Row):
            return value
        if value != UNKNOWN:
            self._report("type_mismatch", "a table is expected here", node)
        return Row(open=True)

    def _operator(self, node: ast.Operator, row: Row) -> Row:
        """The row behind an operator."""
        raise NotImplementedError

    def _through(self, operators: tuple[ast.Operator, ...], row: Row) -> Row:
        for operator in operators:
            row = self._operator(operator, row)
        return row

    def _pipeline(self, node: ast.Pipeline, row: Row | None) -> Row:
        return self._through(node.operators, self._table(node.source, row))

    def _tables_like(self, node: ast.Node, pattern: str) -> Row:
        names = [name for name in self._schema if fnmatchcase(name, pattern)]
        declared = [
            value for name, value in self._declared().items() if isinstance(value, Row) and fnmatchcase(name, pattern)
        ]
        if not names and not declared:
            self._report("unknown_collection", f"no table is named like {pattern}", node)
            return Row(open=True)
        self.collections.update(dict.fromkeys(names))
        return of_any([*(Row(self._schema[name]) for name in names), *declared])

    def _declared(self) -> dict[str, object]:
        found: dict[str, object] = {}
        scope: Scope | None = self._scope
        while scope is not None:
            found = {**scope.names, **found}
            scope = scope.parent
        return found

    # Join and lookup

    def _join(self, node: ast.Join, row: Row) -> Row:
        right = self._table(node.right)
        keys = [key for condition in node.on for key in self._join_keys(condition, row, right)]
        if node.kind in LEFT_ONLY:
            return row
        if node.kind in RIGHT_ONLY:
            return self._dropping(row, right, f"{node.operator} kind={node.kind}")
        return joined(row, right, keys if node.operator == "lookup" else ())

    def _join_keys(self, condition: ast.Node, left: Row, right: Row) -> list[str]:
        """The columns of the right side that a condition of a join uses."""
        match condition:
            case ast.Name():
                return self._shared_key(condition, left, right)
            case ast.Logical(op="and", parts=parts):
                return [key for part in parts for key in self._join_keys(part, left, right)]
            case ast.Binary(op="==", left=one, right=other):
                kinds = self._join_side(one, "$left", left), self._join_side(other, "$right", right)
                self._joinable(kinds, condition)
                return [other.name] if isinstance(other, ast.Member) else []
            case _:
                hint = "join on a column that both sides have, or on $left.a == $right.b"
                self._report("bad_value", "this is no condition of a join", condition, hint)
                return []

    def _shared_key(self, key: ast.Name, left: Row, right: Row) -> list[str]:
        name = key.name
        for side, other, where in ((left, right, "left"), (right, left, "right")):
            if name in side.columns or side.open:
                continue
            hint = self._meant(name, set(left.columns) & set(right.columns))
            if name in other.columns:
                pair = ("<its name>", name) if where == "left" else (name, "<its name>")
                hint = f"{self._gone[name]} dropped it" if name in self._gone else self._meant(name, side.columns)
                hint = hint or f"where it has another name: on $left.{pair[0]} == $right.{pair[1]}"
                message = f"the {where} side of the join has no column {name}"
            else:
                message = f"{name} is on neither side of the join"
            self._report("unknown_column", message, key, hint)
            return []
        self.fields[name] = None
        one, other_kind = plain(left.columns.get(name, UNKNOWN)), plain(right.columns.get(name, UNKNOWN))
        if one != other_kind and UNKNOWN not in (one, other_kind):
            message = f"{name} is {one} on the left and {other_kind} on the right"
            self._report("type_mismatch", message, key, "bring both to one type before the join")
        return [name]

    def _join_side(self, node: ast.Node, side: str, row: Row) -> str:
        """The type of one side of `==`, which must be a column of its table."""
        if isinstance(node, ast.Member) and isinstance(node.base, ast.Name) and node.base.name == side:
            return self._column(ast.Name(node.start, node.end, node.name), row)
        hint = "$left stands before ==, $right behind it"
        self._report("bad_value", f"this side of a join condition is {side}.Column", node, hint)
        return UNKNOWN

    def _joinable(self, kinds: tuple[str, str], node: ast.Node) -> None:
        left, right = (plain(kind) for kind in kinds)
        if UNKNOWN in kinds:
            return
        if "dynamic" in (left, right):
            self._report("type_mismatch", "a dynamic value is no key of a join", node, "extend tostring(...) first")
        elif left != right and not (left in NUMBERS and right in NUMBERS):
            self._report(
                "type_mismatch", f"the keys of the join are {left} and {right}", node, "bring both to one type"
            )

    # Union

    def _union(self, node: ast.Union, row: Row) -> Row:
        parts = [row] if row.columns or row.open else []
        parts += [self._fuzzy(table) if node.fuzzy else self._table(table) for table in node.tables]
        result = united(parts, node.kind)
        return Row({node.with_source: "string", **result.columns}, result.open) if node.with_source else result

    def _fuzzy(self, table: ast.Node) -> Row:
        """A table of `union isfuzzy=true`, which is left out where it does not exist."""
        if isinstance(table, ast.Name) and self._scope.find(table.name) is None and table.name not in self._schema:
            message = f"there is no table {table.name}; isfuzzy leaves it out"
            self._report("unknown_collection", message, table, self._meant(table.name, self._schema), "warning")
            return Row(open=True)
        return self._table(table)

    # Tables inside a table

    def _partition(self, node: ast.Partition, row: Row) -> Row:
        self._column(node.by, row)
        self._groupable((node.by,), row)
        if node.source is not None:
            return self._table(node.source)
        return self._through(node.body, row)

    def _fork(self, node: ast.Fork, row: Row) -> Row:
        for key in node.by:
            self._column(key, row)
        self._groupable(node.by, row)
        results = [self._through(branch, row) for branch in node.branches]
        return results[0] if results else row

    def _as(self, node: ast.As, row: Row) -> Row:
        self._scope.names[node.name] = row
        return row

    # Search and find

    def _search(self, node: ast.Search, row: Row) -> Row:
        searched = self._searched(node.tables, row)
        self._term(node.predicate, searched)
        return Row({**_TABLE_NAME, **searched.columns}, searched.open)

    def _searched(self, tables: tuple[ast.Node, ...], row: Row) -> Row:
        rows = [self._table(table) for table in tables]
        if not rows and (row.columns or row.open):
            return row
        if not rows:
            return of_any(Row(columns) for columns in self._schema.values())
        return Row(of_any(rows).columns, any(part.open for part in rows))

    def _term(self, node: ast.Node, row: Row) -> None:
        """Part of what is searched for, where a text stands for itself."""
        if isinstance(node, ast.Logical):
            for part in node.parts:
                self._term(part, row)
        elif not isinstance(node, ast.Literal | ast.Star):
            found = self._scalar(node, row)
            if not BOOL.rank(found) and found != "string":
                self._report("type_mismatch", f"a text or a condition is searched for, this is {plain(found)}", node)

    def _find(self, node: ast.Find, row: Row) -> Row:
        rows = [self._table(table) for table in node.tables] or [Row(columns) for columns in self._schema.values()]
        searched = Row(of_any(rows).columns, any(part.open for part in rows))
        self._term(node.predicate, searched)
        columns: dict[str, str] = {"source_": "string"}
        if node.columns:
            named = [column for column in node.columns if isinstance(column, ast.Name)]
            return Row({**columns, **{column.name: self._column(column, searched) for column in named}}, searched.open)
        asked = {part.name for part in ast.walk(node.predicate) if isinstance(part, ast.Name)}
        holding = [part for part in rows if part.open or all(name in part.columns for name in asked)] or rows
        shared = {
            name: kind
            for name, kind in searched.columns.items()
            if name in asked or all(name in part.columns for part in holding)
        }
        return Row({**columns, **shared, "pack_": "dynamic"}, searched.open)

    # Tables from nothing

    def _range(self, node: ast.Range, row: Row) -> Row:
        kinds = []
        for bound in (node.low, node.high, node.step):
            kinds.append(self._scalar(bound, NOTHING))
            if not _STEPS.rank(kinds[-1]):
                self._report("type_mismatch", f"range takes numbers or times, this is {plain(kinds[-1])}", bound)
        return Row({node.name: kinds[0]})

    def _print(self, node: ast.Print, row: Row) -> Row:
        columns: dict[str, str] = {}
        for index, item in enumerate(node.items):
            name = item.names[0] if isinstance(item, ast.Named) else f"print_{index}"
            if name in columns and isinstance(item, ast.Named):
                self._declared_twice(name, item)
            columns[name] = self._scalar(item.value if isinstance(item, ast.Named) else item, NOTHING)
        return Row(columns)

    def _data_table(self, node: ast.DataTable, row: Row | None) -> Row:
        for value in node.values:
            self._scalar(value, row)
        if node.columns and len(node.values) % len(node.columns):
            message = f"{len(node.values)} values do not fill rows of {len(node.columns)} columns"
            self._report("bad_value", message, node)
        return Row(columns_of(node.columns))


def columns_of(columns: tuple[ast.ColumnDef, ...]) -> dict[str, str]:
    """Declared columns as those of a row."""
    return {column.name: column.type for column in columns if column.name != "*"}
