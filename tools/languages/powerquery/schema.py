"""The fields of Singularity Data Lake: those of S1QL 1.0 under their 2.0 names, and a few of its own (`fields.json`).

Source: LANGUAGES appendix A.1 and VENDOR_APIS 2.5; the types of its own fields are read off their names.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from ..s1ql.schema import Field
from ..s1ql.schema import fields as older_fields

COLLECTIONS = ("events",)
MAX_TEXT = 8_192
"""Characters of a query that the console's endpoint takes; an empirical limit."""
MOST_ROWS = 1_000
"""Rows of an answer to a query without `limit`."""


@cache
def fields() -> Mapping[str, Field]:
    """Every field by its name, which minds case."""
    found = {
        known.v2: Field(known.v2, known.type, known.values, known.inferred)
        for known in older_fields().values()
        if known.v2
    }
    for name, entry in _own().items():
        found[name] = Field(name, entry["type"], inferred=True)
    return found


@cache
def same_as() -> Mapping[str, str]:
    """Fields that are another name for a field of S1QL 1.0's table."""
    return {name: entry["same"] for name, entry in _own().items() if "same" in entry}


@cache
def by_older_name() -> Mapping[str, str]:
    """Names of S1QL 1.0 in lower case, names of old included, to those of 2.0."""
    known = older_fields()
    found = {name: field.v2 for name, field in known.items() if field.v2}
    for name, field in known.items():
        newer = known.get(field.use.lower()) if field.use else None
        if newer is not None and newer.v2:
            found[name] = newer.v2
    return found


@cache
def _own() -> Mapping[str, dict[str, str]]:
    source = files("tracehound.tools.languages.powerquery").joinpath("fields.json")
    content: Mapping[str, dict[str, str]] = json.loads(source.read_text(encoding="utf-8"))
    return content
