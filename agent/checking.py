"""The verdict on one query, as `check --json` gives it; it needs no graph and no estate."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..knowledge.errors import ConfigurationError, QueryError, UsageError
from ..tools.languages.query import Check, Language
from ..tools.languages.translate import check_query
from .settings import Settings


def read_language(name: str) -> Language:
    """The query language of a name.

    Raises:
        UsageError: there is no such language.
    """
    known = {item.value: item for item in Language if item is not Language.REST}
    if name not in known:
        raise UsageError(f"there is no language {name!r}; the languages are {', '.join(known)}")
    return known[name]


def connected_workspace(settings: Settings) -> Mapping[str, Any]:
    """What the workspace of the settings knows of its tables and functions.

    Raises:
        ConfigurationError: none is connected.
        VendorError: it gives no usable answer.
    """
    from ..tools.vendors.connect import workspace
    from ..tools.vendors.settings import EstateSettings

    return asyncio.run(workspace(EstateSettings.from_environment(settings.vendor_environment())))


class Checker:
    """Checks many queries of one language against the same tables."""

    def __init__(
        self,
        language: Language,
        schema_file: Path | None = None,
        functions_file: Path | None = None,
        workspace: Mapping[str, Any] | None = None,
    ) -> None:
        """Read the files once.

        Args:
            language: Of all its queries.
            schema_file: Tables of KQL instead of the built-in ones.
            functions_file: Functions of KQL instead of those of Defender and Sentinel.
            workspace: What a workspace says of its own tables and functions; Defender's tables stay beside them.

        Raises:
            UsageError: a file for a language that has no use for it, or one that breaks its shape.
            ConfigurationError: a file cannot be read.
        """
        self.language = language
        self._own: dict[str, Any] = {}
        if schema_file is None and functions_file is None and workspace is None:
            return
        if language is not Language.KQL:
            raise UsageError(
                f"--schema, --functions and --workspace are for kql; {language.value} has built-in tables only"
            )
        from ..tools.languages import kql
        from ..tools.languages.kql.schema import tables

        if workspace is not None:
            self._own["schema"] = {**tables("defender"), **kql.from_metadata(workspace)}
            self._own["functions"] = kql.functions_from_metadata(workspace)
        if schema_file:
            self._own["schema"] = kql.load_schema(_content(schema_file))
        if functions_file:
            self._own["functions"] = kql.load_functions(_content(functions_file))

    def report(self, text: str, collection: str | None = None) -> dict[str, Any]:
        """`tracehound.check/1` of one query; what the lab can run is for the caller to add."""
        verdict = self._verdict(text, collection)
        return {
            "schema": "tracehound.check/1",
            "language": self.language.value,
            "ok": verdict.ok,
            "read_only": verdict.read_only,
            "diagnostics": diagnostics(verdict),
            "collections": list(verdict.collections),
            "fields": list(verdict.fields),
            "translations": self._translations(text) if verdict.ok else [],
        }

    def _translations(self, text: str) -> list[dict[str, Any]]:
        """The same query in the language that follows this one: S1QL 1.0 as a PowerQuery filter."""
        if self.language is not Language.S1QL:
            return []
        from ..tools.languages import powerquery

        try:
            made = powerquery.from_s1ql(text)
        except QueryError as exc:
            return [{"language": "powerquery", "text": None, "cannot_express": [str(exc)]}]
        return [{"language": "powerquery", "text": made.text, "cannot_express": list(made.cannot_express)}]

    def _verdict(self, text: str, collection: str | None) -> Check:
        if not self._own:
            return check_query(self.language, text, collection)
        from ..tools.languages import kql

        return kql.check(text, collection, **self._own)


def check_report(
    language: Language,
    text: str,
    collection: str | None = None,
    schema_file: Path | None = None,
    functions_file: Path | None = None,
) -> dict[str, Any]:
    """`Checker.report` of a single query."""
    return Checker(language, schema_file, functions_file).report(text, collection)


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc


def diagnostics(check: Check) -> list[dict[str, Any]]:
    """The findings of a check as JSON."""
    return [asdict(item) for item in check.diagnostics]
