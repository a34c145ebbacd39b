"""The copilot as other programs hold it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .copilot import Copilot
    from .settings import Settings
else:
    _HOMES = {"Copilot": "copilot", "Settings": "settings"}

    def __getattr__(name: str) -> object:
        """Load a name on first use: a command that needs no graph starts without the graph stack."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f".{_HOMES[name]}", __name__), name)


__all__ = ["Copilot", "Settings"]
