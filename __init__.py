"""Tracehound: ask a question about an incident, get a cited timeline."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracehound.agent import Copilot, Settings
    from tracehound.knowledge.errors import TracehoundError
    from tracehound.tools.evidence.records import Answer, Claim, Evidence, Proposal
    from tracehound.tools.evidence.records import QueryRecord as QueryRun
    from tracehound.tools.response import Approver
else:
    _HOMES = {
        "Answer": ("tracehound.tools.evidence.records", "Answer"),
        "Approver": ("tracehound.tools.response", "Approver"),
        "Claim": ("tracehound.tools.evidence.records", "Claim"),
        "Copilot": ("tracehound.agent", "Copilot"),
        "Evidence": ("tracehound.tools.evidence.records", "Evidence"),
        "Proposal": ("tracehound.tools.evidence.records", "Proposal"),
        "QueryRun": ("tracehound.tools.evidence.records", "QueryRecord"),
        "Settings": ("tracehound.agent", "Settings"),
        "TracehoundError": ("tracehound.knowledge.errors", "TracehoundError"),
    }

    def __getattr__(name: str) -> object:
        """Load a name on first use: `--help` needs none of the graph stack."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module, attribute = _HOMES[name]
        return getattr(import_module(module), attribute)


__version__ = "0.1.0"
__all__ = ["Answer", "Approver", "Claim", "Copilot", "Evidence", "Proposal", "QueryRun", "Settings", "TracehoundError"]
