"""The ticket's text on paper. Needs the extra `pdf`; nothing is fetched while it is drawn.

Drawn from the Markdown, in which evidence is plain text already: the page for screens holds every row, and takes minutes
to be set as a book that nobody reads.
"""

import logging

from ....knowledge.errors import ConfigurationError
from ..records import Answer
from .markdown import to_markdown

_INSTALL = "install it with: pip install 'tracehound[pdf]' (and the system's Pango library)"
_STYLE = """
@page { size: A4; margin: 18mm 16mm; @bottom-right { content: counter(page) " / " counter(pages); font-size: 8pt } }
body { font: 9pt/1.35 "DejaVu Sans", sans-serif; overflow-wrap: anywhere }
h1 { font-size: 15pt } h2 { font-size: 11pt; break-after: avoid; border-bottom: 0.5pt solid #888 }
code { font: 8pt "DejaVu Sans Mono", monospace; background: #f2f2f2 } ul { padding-left: 4mm } li { margin-bottom: 1mm }
"""


def to_pdf(answer: Answer) -> bytes:
    """The answer as a PDF file.

    Raises:
        ConfigurationError: the extra, or the system's library that it needs, is not installed.
    """
    try:
        import weasyprint
        from markdown_it import MarkdownIt
    except (ImportError, OSError) as exc:
        raise ConfigurationError(f"the format pdf needs the package weasyprint; {_INSTALL}") from exc
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)
    body = MarkdownIt("commonmark", {"html": False}).render(to_markdown(answer))
    page = weasyprint.HTML(string=f"<html><style>{_STYLE}</style><body>{body}</body></html>", url_fetcher=_refuse)
    # An identifier of its own choice would differ each time.
    written = page.write_pdf(pdf_identifier=answer.case.encode())
    assert written is not None
    return bytes(written)


def _refuse(url: str, *_: object, **__: object) -> dict[str, object]:
    raise ValueError(f"a report loads nothing, and {url[:80]} is not part of it")
