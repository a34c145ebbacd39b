"""One self-contained page for readers; `..report` makes it."""

from ..report.html import to_html

__all__ = ["to_html"]
