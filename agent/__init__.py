"""The copilot as other programs hold it."""

from .copilot import Copilot
from .settings import Settings

__all__ = ["Copilot", "Settings"]
