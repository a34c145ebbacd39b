"""Tabular operators by their words."""

from collections.abc import Mapping
from typing import ClassVar

from .operators_nested import NestedParser
from .pipelines import Reader


class OperatorParser(NestedParser):
    """Reads pipelines with every operator."""

    _readers: ClassVar[Mapping[str, Reader]] = {
        "where": NestedParser._where,
        "filter": NestedParser._where,
        "project": NestedParser._project,
        "project-away": NestedParser._project,
        "project-keep": NestedParser._project,
        "project-rename": NestedParser._project,
        "project-reorder": NestedParser._project,
        "extend": NestedParser._extend,
        "serialize": NestedParser._serialize,
        "distinct": NestedParser._distinct,
        "summarize": NestedParser._summarize,
        "sort": NestedParser._sort,
        "order": NestedParser._sort,
        "top": NestedParser._top,
        "top-nested": NestedParser._top_nested,
        "top-hitters": NestedParser._top_hitters,
        "take": NestedParser._take,
        "limit": NestedParser._take,
        "sample": NestedParser._take,
        "sample-distinct": NestedParser._sample_distinct,
        "count": NestedParser._count,
        "join": NestedParser._join,
        "lookup": NestedParser._join,
        "union": NestedParser._union,
        "partition": NestedParser._partition,
        "fork": NestedParser._fork,
        "facet": NestedParser._facet,
        "mv-expand": NestedParser._mv_expand,
        "mvexpand": NestedParser._mv_expand,
        "mv-apply": NestedParser._mv_apply,
        "mvapply": NestedParser._mv_apply,
        "make-series": NestedParser._make_series,
        "parse": NestedParser._parse,
        "parse-where": NestedParser._parse,
        "parse-kv": NestedParser._parse_kv,
        "evaluate": NestedParser._evaluate,
        "invoke": NestedParser._invoke,
        "render": NestedParser._render,
        "getschema": NestedParser._getschema,
        "as": NestedParser._as,
        "consume": NestedParser._consume,
        "assert-schema": NestedParser._assert_schema,
        "search": NestedParser._search,
        "find": NestedParser._find,
        "reduce": NestedParser._reduce,
        "scan": NestedParser._scan,
    }
    _heads: ClassVar[Mapping[str, Reader]] = {
        "union": NestedParser._union,
        "search": NestedParser._search,
        "find": NestedParser._find,
        "range": NestedParser._range,
        "print": NestedParser._print,
        "evaluate": NestedParser._evaluate,
    }
