"""The HTML page on paper. Needs the extra `pdf`; nothing is fetched while it is drawn."""

import logging

from ....knowledge.errors import ConfigurationError
from ..records import Answer
from ..report.html import to_html

_INSTALL = "install it with: pip install 'tracehound[pdf]' (and the system's Pango library)"


def to_pdf(answer: Answer) -> bytes:
    """The answer as a PDF file.

    Raises:
        ConfigurationError: the extra, or the system's library that it needs, is not installed.
    """
    try:
        import weasyprint
    except (ImportError, OSError) as exc:
        raise ConfigurationError(f"the format pdf needs the package weasyprint; {_INSTALL}") from exc
    # Style rules for screens alone are none of paper's business, and it warns of each.
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)
    page = weasyprint.HTML(string=to_html(answer), url_fetcher=_refuse)
    # An identifier of its own choice would differ each time.
    written = page.write_pdf(pdf_identifier=answer.case.encode())
    assert written is not None
    return bytes(written)


def _refuse(url: str, *_: object, **__: object) -> dict[str, object]:
    raise ValueError(f"a report loads nothing, and {url[:80]} is not part of it")
