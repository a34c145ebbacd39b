"""SPL, Splunk's search language: a documented subset for Windows event logs. Nothing is sent to Splunk yet.

A query is a search and commands behind it. The search has `field=value` with `*` as its wildcard, `!=`, `<`, `<=`, `>`,
`>=`, `IN (...)`, words and phrases, AND (which may be left out), OR (which is taken before AND), NOT, brackets, and
`earliest` and `latest` at the head.

Commands: `search`, `where`, `eval`, `regex`, `rex`, `stats`, `eventstats`, `top`, `rare`, `bin`, `table`, `fields`,
`sort`, `head`, `tail`, `reverse`, `dedup`, `rename`, `fillnull`; functions: `expressions.FUNCTIONS` and
`parser.AGGREGATES`. Everything else is refused by name: other commands, subsearches, macros, `TERM()`, options that are
not listed. `policy` judges all commands, those of the subset or not.
"""

from .ast import Pipeline, Search, Stage
from .check import check
from .compile import compile_search
from .parser import parse
from .printer import to_text

__all__ = ["Pipeline", "Search", "Stage", "check", "compile_search", "parse", "to_text"]
