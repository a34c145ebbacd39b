"""Terminal entry point. Nothing heavy is imported at module level, so that `--help` stays fast."""

import errno
import gc
import json
import os
import sqlite3
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from tracehound.knowledge.errors import CaseError, StorageError, TracehoundError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from tracehound.agent import Copilot, Settings
    from tracehound.evals.lab.lab import Lab
    from tracehound.tools.evidence.records import Answer, Proposal
    from tracehound.tools.library import HuntLibrary
    from tracehound.tools.response import Desk, Outcome
    from tracehound.tools.runbooks import RunbookShelf

T = TypeVar("T")
WIDE = 10_000
"""Columns of a table that is not shown on a terminal."""
DEBUG = "TRACEHOUND_DEBUG"
"""When this variable is set, a fault of the program shows its traceback."""

app = typer.Typer(
    no_args_is_help=True,
    help="Ask a question about an incident, get a cited timeline.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _group(name: str, about: str) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=about)
    app.add_typer(group, name=name)
    return group


hunts_app = _group("hunts", "The hunt library.")
runbooks_app = _group("runbooks", "Runbooks, ours and the SOC's own.")
approver_app = _group("approver", "People who may decide, and their keys.")
case_app = _group("case", "Cases: list, show, export, verify.")
lab_app = _group("lab", "The built-in lab.")
audit_app = _group("audit", "The tamper-evident audit trail.")
kill_app = _group("kill-switch", "Stop response actions, or everything.")
eval_app = _group("eval", "Measure the copilot.")
config_app = _group("config", "Settings and where they come from.")

JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON value on standard output.")]
EventsFlag = Annotated[bool, typer.Option("--jsonl", help="Typed events, one a line.")]
BatchFlag = Annotated[bool, typer.Option("--jsonl", help="Batch: one JSON object a line in and out.")]
StepFlag = Annotated[bool, typer.Option("--step", help="Ask before each query (needs a terminal).")]
LabOption = Annotated[str | None, typer.Option("--lab", metavar="DIR", help="Use a lab; `default`: the built-in one.")]
CaseOption = Annotated[str | None, typer.Option("--case", metavar="ID", help="Continue this case.")]
ModelOption = Annotated[str | None, typer.Option("--model", metavar="NAME", help="`offline`, or a model's name.")]
NowOption = Annotated[str | None, typer.Option("--now", metavar="ISO", help="What `now` means, in UTC.")]
SinceOption = Annotated[str | None, typer.Option("--since", metavar="T", help="Start of the window, ISO or words.")]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="T", help="End of the window, ISO or words.")]
PlatformOption = Annotated[list[str] | None, typer.Option("--platform", metavar="P", help="Only these platforms.")]
LanguageOption = Annotated[list[str] | None, typer.Option("--language", metavar="L", help="Only these languages.")]
ByOption = Annotated[str, typer.Option("--by", metavar="NAME", help="The approver whose key signs.")]
AdminOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="The admin who signs.")]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the audit trail.")]
OutOption = Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write to this file.")]
Id = Annotated[str, typer.Argument(metavar="ID")]
Words = Annotated[list[str], typer.Argument(metavar="WORDS")]
Paths = Annotated[list[Path], typer.Argument(metavar="PATH ...")]
LabFolder = Annotated[str | None, typer.Argument(metavar="DIR")]


def main() -> None:
    """Run a command. What goes wrong becomes one line on standard error and an exit code."""
    _read_and_write_utf8()
    _collect_seldom()
    try:
        app()
    except TracehoundError as exc:
        _fail(str(exc), exc.exit_code)
    except (OSError, sqlite3.OperationalError) as exc:
        _fail(*_storage_failure(exc))
    except Exception as exc:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        where = "" if os.environ.get(DEBUG) else f"; {DEBUG}=1 shows where"
        _fail(f"this is a fault of Tracehound, please report it: {type(exc).__name__}: {exc}{where}", 1)


def _collect_seldom() -> None:
    """Let the garbage collector look seldom: a command makes many objects that live to its end, and few cycles."""
    gc.set_threshold(100_000, 20, 100)


def _read_and_write_utf8() -> None:
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # a replaced stream need not be reconfigurable
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def _storage_failure(exc: OSError | sqlite3.OperationalError) -> tuple[str, int]:
    place = getattr(exc, "filename", None) or "TRACEHOUND_HOME"
    if getattr(exc, "errno", None) == errno.ENOSPC or "disk is full" in str(exc):
        return f"the disk is full ({place}); free space and run again", StorageError.exit_code
    reason = getattr(exc, "strerror", None) or exc
    return f"{place} cannot be read or written: {reason}", StorageError.exit_code


def _fail(message: str, code: int) -> NoReturn:
    from tracehound.tools.evidence.safe import safe

    typer.echo(f"error: {safe(message)}", err=True)
    raise SystemExit(code) from None


def _run(work: Coroutine[Any, Any, T]) -> T:
    import asyncio

    return asyncio.run(work)


def _settings(**flags: str | None) -> "Settings":
    from tracehound.agent.settings import Settings

    return Settings(flags={name: value for name, value in flags.items() if value})


def _writable_home(settings: "Settings") -> Path:
    from tracehound.agent.settings import check_folder

    return check_folder(settings.home)


def _console(*, err: bool = False, wide: bool = False) -> "Console":
    """A console; a `wide` one has no edge to wrap at where it is no terminal, so that one row is one line."""
    from rich.console import Console

    console = Console(stderr=err, highlight=False)
    if wide and not console.is_terminal:
        console.width = WIDE
    return console


def _dump(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=True, default=str) + "\n")
    sys.stdout.flush()


def _list(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Objects whole as JSON, or their named columns as a table."""
    if as_json:
        _dump(rows)
        return
    from tracehound.agent.rendering import records

    _console(wide=True).print(records(rows, columns))


def _verdict(problems: Iterable[object], fine: str, code: int) -> NoReturn:
    """Every problem on a line of its own, or that there is none; and the exit code for it."""
    found = [str(problem) for problem in problems]
    for line in found or [fine]:
        typer.echo(line)
    raise SystemExit(code if found else 0)


def _given(text: str) -> str:
    """An argument's text; `-` reads standard input."""
    return sys.stdin.read() if text == "-" else text


def _batch(key: str, work: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """Read one JSON object a line, write one result a line, in order."""
    for number, line in enumerate(sys.stdin, 1):
        if line.strip():
            row = _object(line, number, key)
            _dump({"id": row.get("id"), **work(row)})


def _object(line: str, number: int, key: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as exc:
        raise UsageError(f"line {number} of the batch is not JSON: {exc.msg}") from exc
    if not isinstance(row, dict) or not isinstance(row.get(key), str):
        raise UsageError(f'line {number} of the batch is not a JSON object with a text under "{key}"')
    return row


def _lab(settings: "Settings", directory: str | None) -> "Lab":
    from tracehound.evals.lab.lab import Lab

    place = directory or settings.get("lab")
    return Lab.open(None if place in ("", "default") else Path(place), home=settings.home)


def _wants_lab(settings: "Settings", lab: str | None) -> bool:
    """The lab answers when it is asked for, or when nothing else is configured."""
    return bool(lab or settings.get("lab") or not settings.has_vendors)


def _copilot(settings: "Settings", lab: str | None) -> "Copilot":
    from tracehound.agent import Copilot

    _writable_home(settings)
    if not _wants_lab(settings, lab):
        return Copilot.from_settings(settings)
    return Copilot(estate=_lab(settings, lab).estate(), settings=settings)


@dataclass(frozen=True)
class _Request:
    """One question, with the options of `ask` and `triage`."""

    question: str
    lab: str | None
    case: str | None
    model: str | None
    now: str | None
    since: str | None
    until: str | None
    platforms: list[str] | None
    as_json: bool
    as_events: bool
    step: bool

    @property
    def quiet(self) -> bool:
        """Whether nothing but JSON may be written."""
        return self.as_json or self.as_events


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What do you want to know?")],
    lab: LabOption = None,
    case: CaseOption = None,
    model: ModelOption = None,
    now: NowOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    platform: PlatformOption = None,
    as_json: JsonFlag = False,
    as_events: EventsFlag = False,
    step: StepFlag = False,
) -> None:
    """Answer one question with a cited timeline."""
    _answer(_Request(question, lab, case, model, now, since, until, platform, as_json, as_events, step))


@app.command()
def triage(
    alert: Annotated[str, typer.Argument(metavar="ALERT_ID", help="Id of the alert, as its platform shows it.")],
    lab: LabOption = None,
    case: CaseOption = None,
    model: ModelOption = None,
    now: NowOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    platform: PlatformOption = None,
    as_json: JsonFlag = False,
    as_events: EventsFlag = False,
    step: StepFlag = False,
) -> None:
    """Take one alert to a ticket-ready draft."""
    if not alert.strip():
        raise UsageError("the alert id is empty; copy it as the platform shows it")
    question = f"triage alert {alert.strip()}"
    _answer(_Request(question, lab, case, model, now, since, until, platform, as_json, as_events, step))


def _answer(request: _Request) -> NoReturn:
    from tracehound.agent.settings import require_question

    require_question(request.question)
    if request.step and not sys.stdin.isatty():
        raise UsageError("--step asks before each query and needs a terminal")
    try:
        code = _run(_ask_once(request))
    except TracehoundError as exc:
        if request.as_events:
            _dump({"type": "error", "message": str(exc), "exit_code": exc.exit_code})
        raise
    raise SystemExit(code)


async def _ask_once(request: _Request) -> int:
    from tracehound.agent.outcome import exit_code
    from tracehound.agent.rendering import banner, progress_line, show_answer

    progress = _console(err=True)
    answer: Answer | None = None
    async with _copilot(_settings(model=request.model), request.lab) as copilot:
        if not request.quiet:
            where = banner(copilot.model_name, copilot.estate.kind, copilot.estate.name)
            progress.print(where, soft_wrap=True)
        async for event in copilot.stream(
            request.question,
            case=request.case,
            now=request.now,
            since=request.since,
            until=request.until,
            platforms=request.platforms,
            confirm=_confirm if request.step else None,
        ):
            if event["type"] == "result":
                answer = event["answer"]
            elif request.as_events:
                _dump(event)
            elif not request.as_json and (line := progress_line(event)) is not None:
                progress.print(line, no_wrap=True, overflow="ellipsis")
    assert answer is not None
    if request.as_events:
        _dump({"type": "result", **answer.to_json()})
    elif request.as_json:
        _dump(answer.to_json())
    else:
        show_answer(_console(), answer)
    return exit_code(answer)


def _confirm(query: str) -> bool:
    return typer.confirm(query, default=True, err=True)


@app.command()
def chat(
    case: CaseOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the latest case.")] = False,
    lab: LabOption = None,
    model: ModelOption = None,
) -> None:
    """Investigate in a conversation."""
    from tracehound.agent.chat import talk

    async def run() -> None:
        async with _copilot(_settings(model=model), lab) as copilot:
            await talk(copilot, case=case, resume=resume)

    _run(run())


@app.command()
def translate(
    question: Annotated[str, typer.Argument(help="A question; `-` reads it, or a batch with --jsonl.")] = "-",
    language: LanguageOption = None,
    now: NowOption = None,
    as_json: JsonFlag = False,
    as_batch: BatchFlag = False,
) -> None:
    """Show one question in every language, side by side; sends nothing."""
    from tracehound.agent.checking import read_language
    from tracehound.agent.query_rendering import show_translation
    from tracehound.agent.translation import Translator

    languages = frozenset(map(read_language, language)) if language else None
    translator = Translator(_settings())
    if as_batch:
        _batch("question", lambda row: translator.answer(row["question"], languages=languages, now=row.get("now", now)))
        return
    result = translator.translate(_given(question), languages=languages, now=now)
    if as_json:
        _dump(result)
    else:
        show_translation(_console(), result)
    raise SystemExit(8 if result["declined"] else 0)


@app.command()
def check(
    language: Annotated[str, typer.Argument(metavar="LANGUAGE", help="fql, cql, s1ql, powerquery, kql or spl.")],
    query: Annotated[str, typer.Argument(help="The query; `-` reads it, or a batch with --jsonl.")] = "-",
    collection: Annotated[str | None, typer.Option("--collection", help="Table, repository or endpoint.")] = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="KQL: tables instead of the built-in ones.")] = None,
    functions: Annotated[Path | None, typer.Option("--functions", help="KQL: functions of the workspace.")] = None,
    workspace: Annotated[bool, typer.Option("--workspace", help="KQL: ask the connected workspace for both.")] = False,
    as_json: JsonFlag = False,
    as_batch: BatchFlag = False,
) -> None:
    """Validate one query: grammar, schema, types, policy."""
    from tracehound.agent.checking import Checker, connected_workspace, read_language
    from tracehound.agent.query_rendering import show_check
    from tracehound.evals.lab.runnable import unsupported

    spoken = read_language(language)
    asked = connected_workspace(_settings()) if workspace else None
    checker = Checker(spoken, schema, functions, asked)

    def report(text: str, place: str | None) -> dict[str, Any]:
        lacking = unsupported(checker.language, text, place)
        return {**checker.report(text, place), "lab": {"runnable": lacking is None, "unsupported": lacking}}

    if as_batch:
        _batch("query", lambda row: report(row["query"], row.get("collection") or collection))
        return
    text = _given(query)
    result = report(text, collection)
    if as_json:
        _dump(result)
    else:
        show_check(_console(), text, result)
    raise SystemExit(0 if result["ok"] and result["read_only"] else 1)


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="A command line, script or blob; `-` reads it.")],
    as_json: JsonFlag = False,
) -> None:
    """Explain a command line, script or encoded blob; runs nothing."""
    from tracehound.agent.rendering import text as plain
    from tracehound.tools.explain import explain as read

    given = _given(text)
    if not given.strip():
        raise UsageError("there is nothing to explain; give a command line, a script, or - to read one")
    found = read(given)
    if as_json:
        _dump({"schema": "tracehound.explanation/1", **asdict(found)})
        return
    for sentence in found.sentences:
        _console(wide=True).print(plain(sentence))


def _library() -> "HuntLibrary":
    from tracehound.agent.shelves import open_library

    return open_library(_settings())


@hunts_app.command("list")
def hunts_list(as_json: JsonFlag = False) -> None:
    """Every hunt: id, title, techniques."""
    rows = [hunt.model_dump(mode="json", by_alias=True) for hunt in _library().all()]
    _list(rows, ("id", "title", "domain", "techniques"), as_json)


@hunts_app.command("show")
def hunts_show(hunt_id: Id, as_json: JsonFlag = False) -> None:
    """One hunt, whole."""
    hunt = _library().get(hunt_id)
    from tracehound.tools.hunt_languages import languages_json, sentence

    if as_json:
        _dump({**hunt.model_dump(mode="json", by_alias=True), "languages": languages_json(hunt)})
        return
    import yaml

    content = hunt.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110))
    for search in hunt.searches:
        typer.echo(f"# {search.id}: {sentence(search)}")


@hunts_app.command("search")
def hunts_search(words: Words, as_json: JsonFlag = False) -> None:
    """Hunts that come near the words."""
    _list(_search("hunt", words), ("id", "title", "score"), as_json)


def _search(kind: str, words: Sequence[str]) -> list[dict[str, Any]]:
    from tracehound.agent.shelves import open_retrieval

    settings = _settings()
    _writable_home(settings)
    hits = open_retrieval(settings).search(" ".join(words), 10, kind=kind)  # type: ignore[arg-type]
    return [{"id": hit.id, "title": hit.title, "section": hit.section, "score": hit.score} for hit in hits]


@hunts_app.command("run")
def hunts_run(
    hunt_id: Id,
    values: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter.")] = None,
    lab: LabOption = None,
    now: NowOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Run one hunt and show what it finds."""
    from tracehound.agent.hunting import read_values
    from tracehound.agent.outcome import exit_code
    from tracehound.agent.rendering import show_answer

    given = read_values(values or [], "--set")

    async def run() -> "Answer":
        async with _copilot(_settings(), lab) as copilot:
            return await copilot.hunt(hunt_id, given, now=now, since=since, until=until)

    answer = _run(run())
    if as_json:
        _dump(answer.to_json())
    else:
        show_answer(_console(), answer)
    raise SystemExit(exit_code(answer))


@hunts_app.command("check")
def hunts_check(paths: Paths) -> None:
    """Check hunt files; names file and line of every problem."""
    from tracehound.agent.shelves import content_folder
    from tracehound.tools.library import check as find_problems

    problems = find_problems(paths, content=content_folder(_settings()))
    for note in (problem for problem in problems if problem.severity == "note"):
        typer.echo(f"note: {note}", err=True)
    errors = [problem for problem in problems if problem.severity == "error"]
    _verdict(errors, f"{len(paths)} checked, no problem", 1)


@hunts_app.command("import")
def hunts_import(
    paths: Annotated[list[Path], typer.Argument(metavar="SIGMA.yml ...", help="Rule files, and folders of them.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="Write the hunts there.")] = None,
) -> None:
    """Turn Sigma rules into hunts: a line for each rule, imported or why not."""
    from tracehound.agent.sigma_import import import_rules

    done = import_rules(paths, _settings(), out)
    for line in done.lines:
        typer.echo(line)
    note = "" if done.active else "; set TRACEHOUND_CONTENT to it to use them"
    typer.echo(f"{done.imported} imported into {done.folder}, {done.refused} not{note}", err=True)
    raise SystemExit(1 if done.broken or not done.imported else 0)


def _shelf() -> "RunbookShelf":
    from tracehound.agent.shelves import open_runbooks

    return open_runbooks(_settings())


@runbooks_app.command("list")
def runbooks_list(as_json: JsonFlag = False) -> None:
    """Every runbook, ours and the SOC's own."""
    rows = [
        {"id": book.id, "title": book.title, "techniques": list(book.techniques), "own": book.own}
        for book in _shelf().list()
    ]
    _list(rows, ("id", "title", "own", "techniques"), as_json)


@runbooks_app.command("show")
def runbooks_show(runbook_id: Id) -> None:
    """One runbook, as Markdown."""
    from tracehound.tools.evidence.safe import safe

    typer.echo(safe(_shelf().show(runbook_id).markdown, single_line=False))


@runbooks_app.command("search")
def runbooks_search(words: Words, as_json: JsonFlag = False) -> None:
    """Runbook sections that come near the words."""
    _list(_search("runbook", words), ("id", "title", "section", "score"), as_json)


@runbooks_app.command("add")
def runbooks_add(paths: Paths) -> None:
    """Add the SOC's own runbooks (Markdown with a title)."""
    shelf = _shelf()
    for path in paths:
        book = shelf.add(path)
        typer.echo(f"added {book.id}: {book.title}")


@runbooks_app.command("remove")
def runbooks_remove(runbook_id: Id) -> None:
    """Remove one of the SOC's own runbooks."""
    _shelf().remove(runbook_id)
    typer.echo(f"removed {runbook_id}")


def _desk(settings: "Settings") -> "Desk":
    from tracehound.tools.response import Desk

    return Desk(_writable_home(settings))


@app.command()
def pending(as_json: JsonFlag = False) -> None:
    """Actions that wait for a person."""
    from tracehound.agent.rendering import proposal_block

    waiting = _desk(_settings()).pending()
    if as_json:
        _dump([item.model_dump(mode="json") for item in waiting])
        return
    for item in waiting:
        _console().print(proposal_block(item, {}))
    if not waiting:
        typer.echo("nothing waits for a decision")


@app.command()
def approve(proposal: Id, by: ByOption, as_json: JsonFlag = False) -> None:
    """Approve one action: a decision signed with a person's key; it is executed at once."""
    from tracehound.agent.decisions import approve_proposal

    settings = _settings()
    work = approve_proposal(settings, proposal, by, acting_of=lambda place: _lab(settings, place).acting())
    _report(_run(work), as_json)


@app.command()
def reject(proposal: Id, by: ByOption, why: WhyOption = "", as_json: JsonFlag = False) -> None:
    """Reject one action."""
    from tracehound.agent.decisions import open_approver

    settings = _settings()
    _report(_desk(settings).reject(proposal, open_approver(settings, by), why), as_json)


@app.command()
def undo(proposal: Id, by: ByOption, as_json: JsonFlag = False) -> None:
    """Propose to undo an action; the undo waits for its own approval."""
    from tracehound.agent.decisions import open_approver

    settings = _settings()
    _report(_desk(settings).undo(proposal, open_approver(settings, by)), as_json)


def _report(result: "Outcome | Proposal", as_json: bool) -> NoReturn:
    from tracehound.agent.decisions import decision_code
    from tracehound.agent.rendering import outcome_line

    if as_json:
        _dump(result.model_dump(mode="json"))
    else:
        _console().print(outcome_line(result), soft_wrap=True)
    raise SystemExit(decision_code(result.status))


@approver_app.command("add")
def approver_add(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    role: Annotated[str, typer.Option("--role", help="viewer, analyst, responder, lead or admin.")] = "responder",
    by: AdminOption = None,
) -> None:
    """Add a person and make their key. The first one needs no admin."""
    from tracehound.agent.decisions import open_approver
    from tracehound.tools.response import add_approver

    settings = _settings()
    home = _writable_home(settings)
    path = add_approver(home, name, role=role, admin=open_approver(settings, by) if by else None)
    typer.echo(f"added {name} ({role}); key: {path}")


@approver_app.command("list")
def approver_list(as_json: JsonFlag = False) -> None:
    """People who may decide."""
    from tracehound.tools.response import list_approvers

    people = list_approvers(_settings().home)
    _list([{"name": item.name, "role": item.role, "revoked": item.revoked} for item in people],
          ("name", "role", "revoked"), as_json)  # fmt: skip


@approver_app.command("revoke")
def approver_revoke(name: Annotated[str, typer.Argument(metavar="NAME")], by: AdminOption = None) -> None:
    """Take a person's authority away."""
    from tracehound.agent.decisions import open_approver
    from tracehound.tools.response import revoke_approver

    settings = _settings()
    revoke_approver(settings.home, name, admin=open_approver(settings, by) if by else None)
    typer.echo(f"revoked {name}")


@audit_app.command("verify")
def audit_verify() -> None:
    """Recompute the audit trail; exit 5 when anything was changed."""
    from tracehound.tools.response import Audit

    _verdict(Audit(_settings().home).verify(), "the audit trail is intact", 5)


@audit_app.command("export")
def audit_export(out: OutOption = None) -> None:
    """Write the audit trail and its checkpoints."""
    from tracehound.tools.response import Audit

    place = out or Path("audit.jsonl")
    Audit(_settings().home).export(place)
    typer.echo(f"written to {place}")


@kill_app.command("status")
def kill_status() -> None:
    """The level in force."""
    from tracehound.tools.response import KillSwitch

    state = KillSwitch(_settings().home).state()
    typer.echo(f"K{int(state.level)} (epoch {state.epoch}): {state.why or 'never raised'}")


Level = Annotated[str, typer.Argument(metavar="LEVEL", help="K0, K1, K2 or K3.")]


@kill_app.command("raise")
def kill_raise(level: Level, by: ByOption, why: WhyOption) -> None:
    """Stop autonomous starts (K1), all changes (K2), or everything (K3)."""
    from tracehound.agent.decisions import raise_switch

    typer.echo(raise_switch(_settings(), level, by, why))


@kill_app.command("lower")
def kill_lower(level: Level, by: ByOption, why: WhyOption) -> None:
    """Lower the level again; only an admin, with a reason."""
    from tracehound.agent.decisions import lower_switch

    typer.echo(lower_switch(_settings(), level, by, why))


@case_app.command("list")
def case_list(as_json: JsonFlag = False) -> None:
    """Every case, newest first."""
    from tracehound.tools.evidence.case import list_cases

    _list([asdict(item) for item in list_cases(_settings().home)], ("id", "created", "question"), as_json)


@case_app.command("show")
def case_show(case_id: Id, as_json: JsonFlag = False) -> None:
    """The last answer of a case."""
    from tracehound.agent.rendering import show_answer

    answer = _last_answer(case_id)
    if as_json:
        _dump(answer.to_json())
    else:
        show_answer(_console(), answer)


def _last_answer(case_id: str) -> "Answer":
    from tracehound.tools.evidence.case import Case

    with Case.open(_settings().home, case_id, write=False) as case:
        answer = case.last_answer()
        if answer is None:
            raise CaseError(f"case {case_id} has no answer yet; ask one with: tracehound ask ... --case {case_id}")
        return case.with_notes(answer)


@case_app.command("export")
def case_export(
    case_id: Id,
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="F",
            help="md, json, html, timesketch, iris, navigator, pdf, stix; jsonl, parquet: all rows.",
        ),
    ] = "md",
    out: OutOption = None,
) -> None:
    """Write a case's last answer, with its notes, in a format; or all of its evidence."""
    from tracehound.tools.evidence.exports import document
    from tracehound.tools.evidence.exports.bulk import BULK
    from tracehound.tools.evidence.exports.checking import sealed_json
    from tracehound.tools.evidence.exports.writing import write_whole

    if format_name in BULK:
        _export_rows(case_id, format_name, out)
        return
    answer = _last_answer(case_id)
    if format_name == "json":
        content = sealed_json(answer, _settings().home).encode() + b"\n"
    else:
        content = document(answer, format_name)
    if out is not None:
        write_whole(out, content)
        typer.echo(f"written to {out}", err=True)
    elif content.isascii() or not content.startswith(b"%PDF"):
        sys.stdout.write(content.decode())
    else:
        raise UsageError("a PDF is no text; write it to a file with -o")


def _export_rows(case_id: str, format_name: str, out: Path | None) -> None:
    from tracehound.tools.evidence.case import Case
    from tracehound.tools.evidence.exports.bulk import to_jsonl, write_parquet
    from tracehound.tools.evidence.exports.writing import write_by, write_whole

    with Case.open(_settings().home, case_id, write=False) as case:
        rows = case.each_evidence()
        if format_name == "parquet":
            if out is None:
                raise UsageError("Parquet is no text; write it to a file with -o")
            write_by(out, lambda draft: write_parquet(rows, draft))
        elif out is None:
            sys.stdout.writelines(to_jsonl(rows))
            return
        else:
            write_whole(out, to_jsonl(rows))
    typer.echo(f"written to {out}", err=True)


@case_app.command("verify")
def case_verify(
    target: Annotated[str, typer.Argument(metavar="ID|FILE.json")],
    key: Annotated[
        str | None, typer.Option("--key", metavar="HEX", help="Public key of the installation that signed the file.")
    ] = None,
) -> None:
    """Recompute a case or an exported answer; exit 5 when anything that a view rests on was changed."""
    _verdict(_case_problems(target, key), f"{target} is intact", 5)


def _case_problems(target: str, key: str | None) -> list[str]:
    from tracehound.tools.evidence.case import verify_case
    from tracehound.tools.evidence.exports.checking import verify_file

    home = _settings().home
    return verify_file(Path(target), home, key) if target.endswith(".json") else verify_case(home, target)


@case_app.command("replay")
def case_replay(
    case_id: Id,
    model: ModelOption = None,
    live: Annotated[bool, typer.Option("--live", help="Send the queries again and compare the rows.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Rebuild every view of a case offline; or reason again with a model, or ask the vendors again."""
    if model and live:
        raise UsageError("a case is replayed with another model or against the live vendors; leave one out")
    if model:
        _reason_again(case_id, model, as_json)
    if live:
        _ask_again(case_id, as_json)
    from tracehound.tools.evidence.case import verify_case
    from tracehound.tools.evidence.replay import replay

    home = _settings().home
    problems = verify_case(home, case_id)
    if problems:
        _verdict(problems, "", 5)
    views = replay(home, case_id)
    _list([asdict(view) for view in views], ("answer", "notes", "format", "sha256", "state"), as_json)
    different = sum(view.state == "differs" for view in views)
    said = f"{different} views differ from what they were" if different else f"{len(views)} views, none differs"
    typer.echo(said, err=True)
    raise SystemExit(5 if different else 0)


def _reason_again(case_id: str, model: str, as_json: bool) -> NoReturn:
    from tracehound.agent.replay import reason_again

    settings = _settings(model=model)
    rows = [asdict(item) for item in _run(reason_again(settings.home, case_id, model, settings))]
    _list_counted(rows, ("question", "before", "after"), ("kept", "gone", "new", "not_asked"), as_json)
    if not as_json:
        for row in rows:
            for name in ("gone", "new", "not_asked"):
                for text in row[name]:
                    typer.echo(f"{name.replace('_', ' ')}: {text}")
    raise SystemExit(4 if any(row["not_asked"] for row in rows) else 0)


def _ask_again(case_id: str, as_json: bool) -> NoReturn:
    from tracehound.agent.replay import Drift, ask_again, estate_place

    settings = _settings()
    place = estate_place(settings.home, case_id)

    async def work() -> list[Drift]:
        async with _copilot(settings, place) as copilot:
            return await ask_again(settings.home, case_id, copilot.estate)

    rows = [asdict(item) for item in _run(work())]
    _list_counted(rows, ("query", "platform", "same", "new", "problem"), ("gone", "changed"), as_json)
    raise SystemExit(4 if any(row["problem"] for row in rows) else 0)


def _list_counted(rows: Sequence[dict[str, Any]], columns: Sequence[str], lists: Sequence[str], as_json: bool) -> None:
    """Objects whole as JSON, or a table in which a number stands for each of the `lists`."""
    shown = rows if as_json else [row | {name: len(row[name]) for name in lists} for row in rows]
    _list(shown, (*columns, *lists), as_json)


@case_app.command("handoff")
def case_handoff(case_id: Id, out: OutOption = None) -> None:
    """A hand-over for the next shift, as Markdown."""
    from tracehound.agent.handing_over import hand_over
    from tracehound.tools.evidence.exports.writing import write_whole

    settings = _settings()
    content, problems = hand_over(settings.home, case_id, _desk(settings))
    if out is None:
        sys.stdout.write(content)
    else:
        write_whole(out, content.encode())
        typer.echo(f"written to {out}", err=True)
    raise SystemExit(5 if problems else 0)


@case_app.command("delete")
def case_delete(case_id: Id, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete a case's folder."""
    from tracehound.tools.evidence.case import delete_case

    if not yes and not sys.stdin.isatty():
        raise UsageError("deleting a case needs --yes where nobody can be asked")
    if yes or typer.confirm(f"Delete case {case_id} and all of its evidence?"):
        delete_case(_settings().home, case_id)
        typer.echo(f"deleted {case_id}")


@lab_app.command("create")
def lab_create(
    directory: Annotated[Path | None, typer.Argument(metavar="DIR")] = None,
    scenario: Annotated[str, typer.Option("--scenario", metavar="S", help="What happens in it.")] = "kestrel",
    scale: Annotated[int, typer.Option("--scale", metavar="N", min=1, help="How much background.")] = 1,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Which names and times.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Make a lab."""
    from tracehound.evals.lab.lab import Lab

    place = directory or _settings().home / "labs" / f"{scenario}-{seed}"
    info = Lab.create(place, scenario=scenario, scale=scale, seed=seed).info()
    if as_json:
        _dump(info)
    else:
        typer.echo(f"lab {info['directory']}: clock {info['clock']}, {info['events']} events")


@lab_app.command("load")
def lab_load(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH ...", help="JSON lines, .zip, .tar.gz or .evtx")],
    lab: Annotated[str | None, typer.Option("--lab", metavar="DIR", help="A lab, or the folder of a new one.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Load recorded Windows telemetry: into a lab that exists, or into one of its own."""
    from tracehound.evals.lab.lab import Lab

    for path in paths:
        if not path.is_file():
            raise UsageError(f"{path} is no file; give JSON lines, .zip, .tar.gz or .evtx")
    if lab == "default":
        raise UsageError("the default lab is never changed; leave --lab out, or name another folder")
    report = Lab.load(paths, Path(lab) if lab else None, home=_settings().home)
    if as_json:
        _dump(report)
        return
    if not report["added"]:
        typer.echo(f"lab {report['directory']} holds this recording already; nothing was added")
        return
    typer.echo(f"lab {report['directory']}: {report['loaded']} of {report['records']} records, clock {report['clock']}")
    for name, count in sorted(report["unmapped"].items(), key=lambda item: -item[1])[:10]:
        typer.echo(f"  not mapped: {name} ({count})", err=True)


@lab_app.command("serve")
def lab_serve(
    lab: LabOption = None,
    port: Annotated[int, typer.Option("--port", metavar="N", help="0: any free port.")] = 0,
    real_time: Annotated[bool, typer.Option("--real-time", help="Rate limits on wall time.")] = False,
    delay_ms: Annotated[int, typer.Option("--delay-ms", metavar="N", min=0, help="Added to every answer.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Serve the lab's vendors over TLS on loopback."""
    from tracehound.evals.lab.serve import serve

    serve(_lab(_settings(), lab), port=port, real_time=real_time, delay_ms=delay_ms, as_json=as_json)


@lab_app.command("info")
def lab_info(directory: LabFolder = None, as_json: JsonFlag = False) -> None:
    """What a lab holds."""
    info = _lab(_settings(), directory).info()
    if as_json:
        _dump(info)
        return
    for key in ("directory", "clock", "seed", "events", "question"):
        typer.echo(f"{key}: {info[key]}")
    for name, alert in info["alerts"].items():
        typer.echo(f"alert {name}: {alert}")


@lab_app.command("journal")
def lab_journal(directory: LabFolder = None, as_json: JsonFlag = False) -> None:
    """The state-changing calls that the lab's vendors received."""
    rows = _lab(_settings(), directory).journal()
    if as_json:
        _dump(rows)
        return
    for row in rows:
        typer.echo("  ".join(f"{key}={value}" for key, value in row.items()))


@lab_app.command("fault")
def lab_fault(
    vendor: Annotated[str, typer.Argument(metavar="VENDOR")],
    operation: Annotated[str, typer.Argument(metavar="OPERATION")],
    fault: Annotated[str, typer.Argument(metavar="FAULT", help="A fault, or `off`.")],
    lab: LabOption = None,
) -> None:
    """Make an operation of a lab's vendor fail, or work again."""
    from tracehound.evals.lab.faults import set_fault

    set_fault(_lab(_settings(), lab), vendor, operation, fault)
    typer.echo(f"{vendor} {operation}: {fault}")


@eval_app.command("list")
def eval_list() -> None:
    """Suites that can be run."""
    from tracehound.evals.harness import suites

    for name, about in suites().items():
        typer.echo(f"{name}: {about}")


@eval_app.command("run")
def eval_run(
    names: Annotated[list[str], typer.Argument(metavar="SUITE ...", help="Suites, or paths of decks (*.jsonl).")],
    model: ModelOption = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, metavar="K", help="Ask each sample K times.")] = 1,
    seeds: Annotated[str | None, typer.Option("--seeds", metavar="N", help="Worlds to ask: 0,7 or 0-5.")] = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="ID", help="Only this case.")] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="Fail only where this report was better.")
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Keep what vendors and model answer, under -o.")] = False,
    replay: Annotated[bool, typer.Option("--replay", help="Answer from what was kept under -o.")] = False,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="DIR", help="Report and transcripts.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run suites and print a table of results."""
    from tracehound.evals.harness import run_suites
    from tracehound.evals.reports import difference, group_tables, read_report, regressions, summary, table
    from tracehound.evals.suites import read_seeds

    if record and replay:
        raise UsageError("traffic is either recorded or replayed; leave out --record or --replay")
    before = read_report(baseline) if baseline else None
    report = _run(
        run_suites(
            names,
            _settings(model=model),
            repeat=repeat,
            out=out,
            tell=lambda line: typer.echo(line, err=True),
            seeds=read_seeds(seeds) if seeds else None,
            only=frozenset(only or ()),
            traffic="record" if record else "replay" if replay else "",
        )
    )
    if as_json:
        _dump(report)
    else:
        console = _console()
        for shown in (table(report), *group_tables(report), summary(report)):
            console.print(shown)
    if before is None:
        raise SystemExit(0 if report["failed"] == 0 else 1)
    typer.echo(difference(before, report), err=as_json)
    if regressions(before, report):
        raise SystemExit(1)


@eval_app.command("diff")
def eval_diff(a: Annotated[Path, typer.Argument()], b: Annotated[Path, typer.Argument()]) -> None:
    """Compare two runs."""
    from tracehound.evals.reports import difference, read_report

    typer.echo(difference(read_report(a), read_report(b)))


@config_app.command("show")
def config_show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Settings in force; secrets are masked."""
    settings = _settings()
    shown = {item.name: {"value": item.shown, "origin": item.origin} for item in settings.all()}
    shown.setdefault("home", {"value": str(settings.home), "origin": "default"})
    if as_json:
        _dump(shown)
        return
    rows = [{"setting": name, **entry} for name, entry in sorted(shown.items())]
    _list(rows, ("setting", "value", "origin") if origin else ("setting", "value"), as_json)


@app.command()
def doctor(lab: LabOption = None, as_json: JsonFlag = False) -> None:
    """Check the set-up: folder, content, index, model, vendors, clock."""
    from tracehound.agent.doctor import examine

    settings = _settings()
    estate = (lambda: _lab(settings, lab).estate()) if _wants_lab(settings, lab) else None
    findings = _run(examine(settings, estate))
    healthy = all(item["ok"] for item in findings)
    if as_json:
        _dump({"schema": "tracehound.doctor/1", "checks": findings, "ok": healthy})
    else:
        rows = [{"": "ok" if item["ok"] else "FAIL", **item} for item in findings]
        _list(rows, ("", "check", "detail"), as_json)
    raise SystemExit(0 if healthy else 3)


def _version(value: bool) -> None:
    if value:
        from tracehound import __version__

        typer.echo(f"tracehound {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Ask a question about an incident, get a cited timeline."""


if __name__ == "__main__":
    main()
