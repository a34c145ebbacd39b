"""Whether the lab can run a query at all: what `check` says beside its verdict."""

from ...tools.languages.query import Language
from . import sql_cql, sql_fql, sql_kql, sql_powerquery, sql_spl


def unsupported(language: Language, text: str, collection: str | None = None) -> str | None:
    """The construct that the lab cannot run, or None when it runs the query (or the query is wrong anyway)."""
    match language:
        case Language.FQL:
            return sql_fql.unsupported(text, collection)
        case Language.KQL:
            return sql_kql.unsupported(text)
        case Language.CQL:
            return sql_cql.unsupported(text)
        case Language.POWERQUERY:
            return sql_powerquery.unsupported(text)
        case Language.SPL:
            return sql_spl.unsupported(text)
        case _:
            return None
