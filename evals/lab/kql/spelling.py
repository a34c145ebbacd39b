"""Names that differ in case alone: two columns to Kusto, one to DuckDB."""


class Spelling:
    """Gives each later spelling of a name a mark, the same one wherever it occurs in the query."""

    def __init__(self) -> None:
        self._spellings: dict[str, list[str]] = {}
        self._meant: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The name as DuckDB is told it."""
        known = self._spellings.setdefault(name.casefold(), [name])
        if name not in known:
            known.append(name)
        if name == known[0]:
            return name
        marked = f"{name}__case{known.index(name)}"
        self._meant[marked] = name
        return marked

    def meant(self, spelled: str) -> str:
        """The name that a marked one stands for."""
        return self._meant.get(spelled, spelled)
