"""From a search to a PowerQuery: S1QL 1.0's conditions in their 2.0 form, then counting, order and cap as commands."""

from ..compiling import countable
from ..query import Compiled
from ..s1ql.compile import condition_of
from ..search import Aggregation, Search
from ..views import View
from .ast import (
    Call,
    Command,
    Compare,
    Expression,
    Field,
    Filter,
    Group,
    Key,
    Limit,
    Named,
    Query,
    Sort,
    Value,
    ValueKind,
)
from .printer import to_text
from .schema import by_older_name
from .translation import Translation

_COUNT = "n"
_DISTINCT = "distinct"
_TIME = Field("event.time")


def compile_search(search: Search, view: View) -> Compiled:
    """Write a search as a PowerQuery; the window goes beside the text, the cap is its last command.

    Raises:
        NotCarriedError: no row of the view can match.
        UnsafeValueError: a value cannot be encoded.
    """
    node, missing = condition_of(search, view)
    notes = list(missing)
    commands: list[Command] = []
    if search.aggregation is not None and not notes and countable(search.aggregation, view):
        commands += _counting(search.aggregation, view)
        if search.aggregation.distinct is not None:
            notes.append("Singularity Data Lake estimates how many distinct values there are")
    else:
        if search.aggregation is not None:
            notes.append("the events are counted afterwards, since not every condition can be asked here")
        if search.newest_first:
            commands.append(Sort((Key(_TIME, descending=True),)))
    commands.append(Limit(search.limit))
    return Compiled(to_text(Query(Translation().condition(node), tuple(commands))), tuple(notes))


def _counting(aggregation: Aggregation, view: View) -> list[Command]:
    def column(attribute: str) -> Field:
        return Field(by_older_name()[view.attributes[attribute].field.lower()])

    counts = [Named(Call("count"), _COUNT)]
    if aggregation.distinct is not None:
        counts.append(Named(Call("estimate_distinct", (column(aggregation.distinct),)), _DISTINCT))
    keys = tuple(dict.fromkeys(column(name) for name in aggregation.by))
    commands: list[Command] = [Group(tuple(counts), tuple(map(Named, keys)))]
    if aggregation.minimum > 1:
        commands.append(Filter(_at_least(aggregation.minimum)))
    return [*commands, Sort((Key(Field(_COUNT), descending=True),))]


def _at_least(minimum: int) -> Expression:
    return Compare(Field(_COUNT), ">=", Value(ValueKind.NUMBER, str(minimum)))
