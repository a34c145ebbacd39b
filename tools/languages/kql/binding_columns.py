"""Operators that filter, shape and order the rows of one table."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from ..query import Code
from . import ast
from .calls import CallBinder
from .naming import implied_name, is_guess, is_own_column
from .rows import DYNAMIC, UNKNOWN, Row, plain
from .scalars import BOOL, NOTHING, TEXT, Several, Value
from .signatures import parameter

_ROWS = parameter("integer")
_SORTABLE = parameter("flat")
_TITLES = frozenset({"title", "xtitle", "ytitle"})


class Projection:
    """Columns that an operator makes, one after the other, and which names it may not make again."""

    def __init__(self, columns: Iterable[tuple[str, str]] = (), *, replace: bool = False) -> None:
        self.columns: dict[str, str] = dict(columns)
        self._replace = replace
        self._settled: set[str] = set()
        self._numbers: dict[str, int] = {}

    def add(self, name: str, kind: str, *, given: bool) -> bool:
        """Add a column; False when its name is taken. A name that was not `given` gives way to one that is taken."""
        if given:
            if name in self._settled:
                return False
            self._settled.add(name)
            if name in self.columns and not self._replace:
                name = self._free(name)
        elif not self._replace and name in self.columns:
            name = self._free(name)
        self.columns[name] = kind
        return True

    def number(self, kind: str) -> None:
        """Add a column without any name: `Column1`, `Column2`, ..."""
        self.columns[self._free("Column")] = kind

    def _free(self, name: str) -> str:
        """The name with the first number behind it that is not taken."""
        number = self._numbers.get(name, 1)
        while f"{name}{number}" in self.columns:
            number += 1
        self._numbers[name] = number + 1
        return f"{name}{number}"


class ColumnBinder(CallBinder):
    """Columns through `where`, `project`, `extend`, `distinct`, `sort` and their kin."""

    def _where(self, node: ast.Where, row: Row) -> Row:
        predicate = node.predicate
        value = predicate.value if isinstance(predicate, ast.Named) else predicate
        first = value.parts[0] if isinstance(value, ast.Logical) else value
        if isinstance(predicate, ast.Named) and not BOOL.rank(self._silently(first, row)):
            named = ast.Named(predicate.start, first.end, predicate.names, first)
            hint = "compare with ==, or with =~ to ignore case"
            self._report("bad_operator", "= gives a name, it does not compare", named, hint)
            return row
        self._typed(value, row, BOOL)
        return row

    def _silently(self, node: ast.Node, row: Row | None) -> str:
        """The type of an expression, without a word on what is wrong in it."""
        self._quiet += 1
        value = self._value(node, row)
        self._quiet -= 1
        return value if isinstance(value, str) else UNKNOWN

    # The columns that are kept

    def _project(self, node: ast.Project, row: Row) -> Row:
        match node.kind:
            case "project":
                projection = Projection()
                self._make(node.items, projection, row)
                return self._dropping(row, Row(projection.columns), "project")
            case "project-away":
                chosen = [name for item in node.items for name in self._chosen(item, row)]
                return self._dropping(row, row.without(chosen), "project-away")
            case "project-keep":
                kept = {name for item in node.items for name in self._chosen(item, row)}
                columns = {name: row.columns.get(name, UNKNOWN) for name in (*row.columns, *kept) if name in kept}
                return self._dropping(row, Row(columns), "project-keep")
            case "project-rename":
                return self._renamed(node, row)
            case _:
                return self._reordered(node, row)

    def _dropping(self, before: Row, after: Row, operator: str) -> Row:
        """The row behind an operator, which columns it dropped being remembered for a hint."""
        for name in before.columns:
            if name not in after.columns:
                self._gone[name] = operator
        return after

    def _chosen(self, item: ast.Node, row: Row) -> list[str]:
        if isinstance(item, ast.Star):
            found = [name for name in row.columns if fnmatchcase(name, item.pattern)]
            if not found and not row.open and item.pattern != "*":
                self._report("unknown_column", f"no column is named like {item.pattern}", item)
            return found
        if isinstance(item, ast.Name):
            self._column(item, row)
            return [item.name]
        self._report("bad_value", "a column or a pattern of names is expected here", item)
        return []

    def _column(self, node: ast.Node, row: Row) -> str:
        """The type of an expression that must be the name of a column."""
        if not isinstance(node, ast.Name):
            self._report("bad_value", "a column is expected here, not an expression", node, "name it in extend first")
            return self._scalar(node, row)
        if node.name not in row.columns and not row.open:
            self._unknown_column(node, row)
            return UNKNOWN
        self.fields[node.name] = None
        return row.columns.get(node.name, UNKNOWN)

    def _renamed(self, node: ast.Project, row: Row) -> Row:
        names: dict[str, str] = {}
        for item in node.items:
            if not isinstance(item, ast.Named):
                self._report("bad_value", "project-rename takes New = Old", item)
                continue
            self._column(item.value, row)
            new = item.names[0]
            if new in names.values() or (new in row.columns and new not in names):
                self._declared_twice(new, item)
            if isinstance(item.value, ast.Name):
                names[item.value.name] = new
        columns = {names.get(name, name): kind for name, kind in row.columns.items()}
        columns |= {new: UNKNOWN for old, new in names.items() if old not in row.columns}
        self._gone |= {old: f"project-rename called it {new} and" for old, new in names.items()}
        return Row(columns, row.open)

    def _declared_twice(self, name: str, node: ast.Node) -> None:
        code: Code = "bad_value"
        self._report(code, f"the column {name} is made twice", node, "give one of them another name")

    def _reordered(self, node: ast.Project, row: Row) -> Row:
        first: dict[str, str] = {}
        for item in node.items:
            for name in self._chosen(item, row):
                if isinstance(item, ast.Name) and name in first:
                    self._declared_twice(name, item)
                first[name] = row.columns.get(name, UNKNOWN)
        return Row({**first, **row.without(first).columns}, row.open)

    # New columns

    def _make(self, items: Iterable[ast.Node], projection: Projection, row: Row) -> None:
        """Add the columns of expressions, bound against a row, to a projection."""
        for item in items:
            if isinstance(item, ast.Star):
                projection.columns.update(row.columns)
                continue
            names, value = (item.names, item.value) if isinstance(item, ast.Named) else ((), item)
            self._add(projection, item, names, value, self._value(value, row), row)

    def _add(
        self, projection: Projection, item: ast.Node, names: tuple[str, ...], node: ast.Node, value: Value, row: Row
    ) -> None:
        if isinstance(value, Several):
            self._add_several(projection, item, names, value)
            return
        if not isinstance(value, str):
            self._report("type_mismatch", "a single value is expected here, not a table", node)
            value = UNKNOWN
        if len(names) > 1:
            self._report("bad_value", f"one value cannot have {len(names)} names", item)
        if names:
            if not projection.add(names[0], value, given=True):
                self._declared_twice(names[0], item)
            return
        name = implied_name(node)
        if name is None or (is_guess(node) and name not in row.columns):
            projection.number(value)
            return
        own = is_own_column(node) == name and plain(row.columns.get(name, "")) == plain(value)
        if not projection.add(name, value, given=own):
            self._declared_twice(name, item)

    def _add_several(self, projection: Projection, item: ast.Node, names: tuple[str, ...], value: Several) -> None:
        if len(names) > len(value.columns) and not value.open:
            self._report("bad_value", f"{len(value.columns)} values cannot have {len(names)} names", item)
        for index, (name, kind) in enumerate(value.columns):
            given = index < len(names)
            if not projection.add(names[index] if given else name, kind, given=given):
                self._declared_twice(names[index], item)

    def _extend(self, node: ast.Extend, row: Row) -> Row:
        projection = Projection(row.columns.items(), replace=True)
        self._make(node.items, projection, row)
        return Row(projection.columns, row.open)

    def _distinct(self, node: ast.Distinct, row: Row) -> Row:
        projection = Projection()
        self._make(node.items, projection, row)
        whole = any(isinstance(item, ast.Star) for item in node.items)
        if whole and not row.open and any(kind in DYNAMIC for kind in row.columns.values()):
            nested = next(name for name, kind in row.columns.items() if kind in DYNAMIC)
            message = f"distinct * cannot compare {nested}, which is dynamic"
            self._report("type_mismatch", message, node.items[0], "name the columns")
        self._groupable(node.items, row)
        return self._dropping(row, Row(projection.columns, row.open and whole), "distinct")

    def _groupable(self, items: Iterable[ast.Node], row: Row) -> None:
        """Nested values cannot be grouped by."""
        for item in items:
            value = item.value if isinstance(item, ast.Named) else item
            if not isinstance(value, ast.Star) and self._silently(value, row) in DYNAMIC:
                self._report("type_mismatch", "a dynamic value cannot be grouped by", value, "wrap it in tostring(...)")

    # Order and number of rows

    def _sort(self, node: ast.Sort | ast.Top, row: Row) -> Row:
        if isinstance(node, ast.Top):
            self._rows(node.count, row)
        for key in node.by:
            value = key.value if isinstance(key, ast.Ordered) else key
            value = value.value if isinstance(value, ast.Named) else value
            if not _SORTABLE.rank(self._scalar(value, row)) and isinstance(node, ast.Sort):
                self._report("type_mismatch", "a dynamic value cannot be sorted by", value, "wrap it in tostring(...)")
        return row

    def _rows(self, count: ast.Node, row: Row) -> None:
        """A number of rows is a whole number."""
        found = self._scalar(count, row)
        if not _ROWS.rank(found):
            self._report("type_mismatch", f"a number of rows is a whole number, this is {plain(found)}", count)

    def _take(self, node: ast.Take, row: Row) -> Row:
        self._rows(node.count, row)
        return row

    def _count(self, node: ast.Count, row: Row) -> Row:
        return self._dropping(row, Row({node.name or "Count": "long"}), "count")

    def _sample_distinct(self, node: ast.SampleDistinct, row: Row) -> Row:
        self._rows(node.count, row)
        kind = self._column(node.of, row)
        self._groupable((node.of,), row)
        return Row({implied_name(node.of) or "Column1": kind})

    def _render(self, node: ast.Render, row: Row) -> Row:
        for name, value in node.properties:
            if name in _TITLES and not TEXT.rank(found := self._scalar(value, NOTHING)):
                self._report("type_mismatch", f"{name} is a text, this is {plain(found)}", value)
        return row

    def _unchanged(self, node: ast.Operator, row: Row) -> Row:
        return row

    def _get_schema(self, node: ast.GetSchema, row: Row) -> Row:
        return Row({"ColumnName": "string", "ColumnOrdinal": "long", "DataType": "string", "ColumnType": "string"})
