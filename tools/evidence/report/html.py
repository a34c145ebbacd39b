"""The page as text: template, style and script in one file under a policy that lets nothing in or out.

The policy names the style and the script by their hashes; whatever evidence might bring along is neither. The same
answer gives the same bytes.
"""

import hashlib
from base64 import b64encode
from datetime import datetime
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from ....knowledge import attack
from ..exports.markdown import footer
from ..hypotheses import Hypotheses, weigh
from ..predicates import stamp
from ..records import Answer
from ..safe import shorten
from .page import Page, clock, state_of, verdict_word
from .words import clip, neutral, raw_row, value_text

TEMPLATE, STYLE, SCRIPT = "page.html", "page.css", "page.js"


MOST_HOVERED = 200
"""Rows that the browser looks for by rules alone. Its work grows with rows times elements: half a second for 80 rows, ten
seconds for 500. Beyond, a citation is followed to its row, which opens by itself."""


def to_html(answer: Answer, hypotheses: Hypotheses | None = None) -> str:
    """The answer as one HTML page.

    Args:
        answer: The answer.
        hypotheses: Its evidence weighed with the analyst's own library; with the built-in one when None.
    """
    weighed = hypotheses or (weigh(answer) if answer.timeline else None)
    return render(answer, environment(), weighed)


def environment(*, autoescape: bool = True) -> Environment:
    """What turns the template into a page. It is only ever used with escaping on; a test shows what that is for."""
    made = Environment(
        loader=FunctionLoader(part),
        autoescape=autoescape,
        undefined=StrictUndefined,
        finalize=neutral if autoescape else None,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "clock": clock, "iso": _iso, "stamp": stamp, "day": _day, "state": state_of, "verdict": verdict_word,
        "row": raw_row, "value": value_text, "short": shorten, "clip": clip,
    }  # fmt: skip
    return made


def render(answer: Answer, by: Environment, hypotheses: Hypotheses | None = None) -> str:
    """A page by an environment of the caller's."""
    page = Page(answer)
    style = part(STYLE) + _hover_rules(page)
    script = part(SCRIPT)
    return by.get_template(TEMPLATE).render(
        page=page,
        answer=answer,
        weighed=hypotheses,
        contents=_contents(answer, page, hypotheses),
        attack_version=attack.version(),
        footer=footer(answer),
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
    )


def _contents(answer: Answer, page: Page, hypotheses: Hypotheses | None) -> list[tuple[str, str]]:
    """The sections that the page has: anchor and title."""
    sections = (
        ("summary", "Summary", True),
        ("triage", "Triage", answer.triage),
        ("timeline", "Timeline", page.lines),
        ("ruled-out", "Ruled out", page.ruled_out),
        ("notes", "Notes", answer.notes),
        ("instructions", "Injected text", page.instructions),
        ("movement", "Movement", page.graph),
        ("processes", "Processes", page.processes),
        ("hypotheses", "Hypotheses", hypotheses and hypotheses.rows),
        ("proposals", "Proposals", answer.proposals),
        ("gaps", "Not known", True),
        ("runbooks", "Runbooks", answer.runbooks),
        ("claims", "Claims", answer.claims),
        ("queries", "Queries", answer.queries),
        ("rows", "Rows", page.rows),
    )
    return [(anchor, title) for anchor, title, there in sections if there]


def policy(style: str, script: str) -> str:
    """The content security policy: this style, this script, and nothing else from anywhere."""
    return (
        f"default-src 'none'; style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def part(name: str) -> str:
    """A file of the page."""
    return files("tracehound.tools.evidence.report").joinpath(name).read_text(encoding="utf-8")


def _hover_rules(page: Page) -> str:
    """Without scripts the browser itself shows the row and the query of the citation that is pointed at or focused."""
    if len(page.rows) > MOST_HOVERED:
        return ""
    rows = ",".join(
        f'body:has(a[href="#row-{n}"]:is(:hover,:focus-visible)) #r{n}::details-content' for n, _ in page.rows
    )
    queries = ",".join(
        f'body:has(a[data-query="{n}"]:is(:hover,:focus-visible)) #q{n}::details-content'
        for n in sorted({page.query_place(row.query) for _, row in page.rows} - {0})
    )
    card = (
        "content-visibility:visible;display:block;position:fixed;z-index:9;overflow:auto;"
        "background:var(--raised);border:1px solid var(--line);box-shadow:var(--shadow);right:1rem;padding:1rem"
    )
    shown = "\n".join(
        f"{selectors}{{{card};{place}}}"
        for selectors, place in (
            (rows, "top:1rem;width:min(26rem,60vw);max-height:56vh"),
            (queries, "bottom:1rem;width:min(26rem,60vw);max-height:36vh"),
        )
        if selectors
    )
    return f"@media (scripting: none) {{ @supports selector(::details-content) {{\n{shown}\n}} }}\n" if shown else ""


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def _day(moment: datetime) -> str:
    """A date in words, the same in every locale."""
    return f"{_DAYS[moment.weekday()]}, {moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
