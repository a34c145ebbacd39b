"""Why the lab gives no rows to a KQL query."""


class UnrunnableError(Exception):
    """The lab cannot run a construct of this query, though the vendor may."""

    def __init__(self, construct: str) -> None:
        super().__init__(f"the lab cannot run {construct}")
        self.construct = construct


class SyntaxFaultError(Exception):
    """The text is not KQL."""


class SemanticFaultError(Exception):
    """A table, column or function that does not exist here, or values of the wrong type."""


def unresolved_table(name: str) -> SemanticFaultError:
    """What Kusto says of a table that it does not know."""
    return SemanticFaultError(f"Failed to resolve table or column expression named '{name}'")


def unresolved_column(name: str) -> SemanticFaultError:
    """What Kusto says of a column that it does not know."""
    return SemanticFaultError(f"Failed to resolve scalar expression named '{name}'")
