"""The lab: telemetry, scenario, importers, and the vendors' APIs over them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .lab import Lab
else:

    def __getattr__(name: str) -> object:
        """Load the lab on first use: what only asks whether a query can run needs no telemetry store."""
        if name != "Lab":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .lab import Lab

        return Lab


__all__ = ["Lab"]
