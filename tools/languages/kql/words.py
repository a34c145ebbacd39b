"""The words of KQL: operators and how strongly they bind, types, reserved words, kinds and charts."""

_TEXT_WORDS = """
    has has_cs hasprefix hasprefix_cs hassuffix hassuffix_cs contains contains_cs containscs
    startswith startswith_cs endswith endswith_cs
"""
_LIKE_WORDS = "like notlike likecs notlikecs"
STRING_OPERATORS = frozenset(
    [*_TEXT_WORDS.split(), *(f"!{word}" for word in _TEXT_WORDS.split()), *_LIKE_WORDS.split()]
)
LIST_OPERATORS = frozenset({"in", "in~", "!in", "!in~", "has_any", "has_all"})
_EQUALITY = frozenset({"==", "!=", "<>", "=~", "!~"})
_RELATIONAL = frozenset({"<", ">", "<=", ">="})
_ADDITIVE = frozenset({"+", "-"})
_MULTIPLICATIVE = frozenset({"*", "/", "%"})
OR, AND, EQUAL, ORDER, ADD, MULTIPLY, TEXT = range(1, 8)
"""How strongly operators bind, from the weakest."""

TYPES = {
    "bool": "bool",
    "boolean": "bool",
    "date": "datetime",
    "datetime": "datetime",
    "decimal": "decimal",
    "double": "real",
    "dynamic": "dynamic",
    "float": "real",
    "guid": "guid",
    "int": "int",
    "int32": "int",
    "int64": "long",
    "long": "long",
    "object": "dynamic",
    "real": "real",
    "string": "string",
    "time": "timespan",
    "timespan": "timespan",
    "uint": "long",
    "ulong": "long",
    "uniqueid": "guid",
    "uuid": "guid",
}
"""Written type to the type's own name."""


def _precedences() -> dict[str, int]:
    table = {"or": OR, "and": AND, "between": EQUAL, "!between": EQUAL, "matches": TEXT, ":": TEXT}
    table |= dict.fromkeys(_EQUALITY | LIST_OPERATORS, EQUAL)
    table |= dict.fromkeys(_RELATIONAL, ORDER)
    table |= dict.fromkeys(_ADDITIVE, ADD) | dict.fromkeys(_MULTIPLICATIVE, MULTIPLY)
    return table | dict.fromkeys(STRING_OPERATORS, TEXT)


PRECEDENCE = _precedences()
"""Operator to how strongly it binds."""
_NOT_A_VALUE = """
    accumulate as by contains datatable earliest externaldata find has in invoke latest materialize mdm of print sample
    sample-distinct search set sql title to top-hitters top-nested toscalar totable verbose viewers where
"""
_NOT_A_NAME = """
    and anomalychart areachart asc assert-schema bagexpansion barchart between bin_legacy boolean byte cachingpolicy
    callout cancel card char columnchart contains_cs containscs cycles dataexport datascope date datetime decimal
    decodeblocks desc double dynamic encodingpolicy endswith endswith_cs expandoutput extent_tags_retention
    external_data first flags float force_remote harddelete hardretention has_all has_any has_cs hasprefix hasprefix_cs
    hassuffix hassuffix_cs hotcache int int16 int32 int64 int8 isfuzzy journal ladderchart last like likecs linechart
    long macro-expand make-graph make-series missing mv-apply mv-expand nooptimization notcontains notcontainscs
    notlike notlikecs or others parse-kv parse-where pathformat piechart pivotchart project project-away
    project-by-names project-keep project-rename project-reorder project-smart queries query_results real relaxed
    row_level_security rowstore rowstorepolicy rowstores scatterchart seal seals shards simple softdelete softretention
    stackedareachart startswith startswith_cs statistics string tablepurge time timechart timeline timepivot timespan
    treemap uint uint16 uint32 uint64 uint8 ulong union uniqueid views with_itemindex with_match_id with_step_name
    writeaheadlog true false True False TRUE FALSE
"""
NOT_A_NAME = frozenset(_NOT_A_NAME.split())
"""Words of the language that name nothing unless they stand in brackets and quotes, as in `['last']`."""
NOT_NEW = NOT_A_NAME | {"kind", "with_source", "withsource"}
NOT_A_VALUE = NOT_A_NAME | frozenset(_NOT_A_VALUE.split())
"""Words that may name a new column, but do not stand for a value unless they are quoted so."""
TRUTH = frozenset({"true", "false", "True", "False", "TRUE", "FALSE"})
INSTEAD_OF = {"=": "compare with ==, or with =~ to ignore case", "/": "comments start with //"}
ENDS = frozenset({")", ",", "|", ";", ""})
"""Behind what stands alone."""
CHAINS = frozenset({ADD, MULTIPLY})
AFTER_A_NAME = frozenset({")", ",", ";", "|", ".", "==", "!=", "=~", "!~", "<", ">", "<=", ">=", "=", "[", ".."})
_PARAMETER_NAMES = """
    kind flags isfuzzy withsource with_source bagexpansion with_itemindex hint threshold characters with_match_id
    decodeblocks expandoutput datascope id access with_node_id cycles
"""
PARAMETERS = frozenset(_PARAMETER_NAMES.split())
LEFT_ONLY = frozenset({"leftanti", "anti", "leftantisemi", "leftsemi"})
"""Kinds of join that yield rows of the left side alone."""
RIGHT_ONLY = frozenset({"rightanti", "rightantisemi", "rightsemi"})
LOOKUP_KINDS = frozenset({"inner", "leftouter"})
JOIN_KINDS = LEFT_ONLY | RIGHT_ONLY | LOOKUP_KINDS | {"innerunique", "rightouter", "fullouter"}
KIND_MEANT = {"left": "leftouter", "right": "rightouter", "full": "fullouter", "outer": "fullouter", "cross": "inner"}
UNION_KINDS, BAG_KINDS = frozenset({"inner", "outer"}), frozenset({"bag", "array"})
PARSE_KINDS = frozenset({"simple", "regex", "relaxed"})
SEARCH_KINDS = frozenset({"default", "case_insensitive", "case_sensitive"})
_CHART_NAMES = """
    3Dchart anomalychart areachart barchart card columnchart graph ladderchart linechart list piechart pivotchart plotly
    sankey scatterchart stackedareachart table timechart timeline timepivot treemap
"""
CHARTS = frozenset(_CHART_NAMES.split())
