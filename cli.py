"""Terminal entry point. Only typer is imported at module level, so that `--help` stays fast."""

import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from tracehound.agent import Copilot, Settings
    from tracehound.evals.lab.lab import Lab
    from tracehound.tools.evidence.records import Answer

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True, help="Ask a question about an incident, get a cited timeline.", add_completion=False
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

JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
LabFlag = Annotated[str | None, typer.Option("--lab", metavar="DIR", help="Use a lab; `default` is the built-in one.")]
ByFlag = Annotated[str, typer.Option("--by", metavar="NAME", help="The approver whose key signs.")]
NowFlag = Annotated[str | None, typer.Option("--now", metavar="ISO", help="What `now` means, in UTC.")]


def main() -> None:
    """Run a command; one of our errors becomes one line and its exit code."""
    from tracehound.knowledge.errors import TracehoundError

    with suppress(AttributeError, ValueError):  # a replaced stream need not be reconfigurable
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except TracehoundError as exc:
        _fail(exc)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None
    except OSError as exc:
        if exc.errno != 28:  # ENOSPC
            raise
        typer.echo(f"error: the disk is full ({exc.filename or 'TRACEHOUND_HOME'}); free space and run again", err=True)
        raise SystemExit(3) from None


def _fail(exc: Exception) -> NoReturn:
    from tracehound.knowledge.errors import TracehoundError
    from tracehound.tools.evidence.safe import safe

    typer.echo(f"error: {safe(str(exc))}", err=True)
    raise SystemExit(exc.exit_code if isinstance(exc, TracehoundError) else 1) from None


def _run(work: Coroutine[Any, Any, T]) -> T:
    import asyncio

    return asyncio.run(work)


def _settings(**flags: str | None) -> "Settings":
    from tracehound.agent.settings import Settings

    return Settings(flags={name: value for name, value in flags.items() if value})


def _console(*, err: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=err, highlight=False, soft_wrap=False)


def _dump(value: object) -> None:
    import json

    sys.stdout.write(json.dumps(value, ensure_ascii=True, default=str) + "\n")
    sys.stdout.flush()


def _lab(settings: "Settings", directory: str | None) -> "Lab":
    from tracehound.evals.lab.lab import Lab

    place = directory or settings.get("lab")
    return Lab.open(None if place in ("", "default", None) else Path(place), home=settings.home)


def _copilot(settings: "Settings", lab: str | None) -> "Copilot":
    """The lab when it is asked for or nothing is configured, else the live vendors."""
    from tracehound.agent import Copilot
    from tracehound.agent.settings import check_folder

    check_folder(settings.home)
    if lab or settings.get("lab") or not settings.has_vendors:
        found = _lab(settings, lab)
        _ensure_lab_approvers(settings)
        return Copilot(estate=found.estate(), settings=settings)
    return Copilot.from_settings(settings)


def _ensure_lab_approvers(settings: "Settings") -> None:
    from tracehound.tools.response import ensure_lab_approvers

    ensure_lab_approvers(settings.home)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What do you want to know?")],
    lab: LabFlag = None,
    case: Annotated[str | None, typer.Option("--case", help="Continue this case.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="`offline`, or a model of an OpenAI-compatible server.")
    ] = None,
    now: NowFlag = None,
    since: Annotated[str | None, typer.Option("--since", help="Start of the window, ISO or words.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="End of the window, ISO or words.")] = None,
    platform: Annotated[list[str] | None, typer.Option("--platform", help="Only these platforms.")] = None,
    json: JsonFlag = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Typed events, one a line.")] = False,
    step: Annotated[bool, typer.Option("--step", help="Ask before each query (needs a terminal).")] = False,
) -> None:
    """Answer one question with a cited timeline."""
    _answer(question, lab, case, model, now, since, until, platform, json, jsonl, step)


@app.command()
def triage(
    alert: Annotated[str, typer.Argument(help="Id of the alert.")],
    lab: LabFlag = None,
    case: Annotated[str | None, typer.Option("--case")] = None,
    model: Annotated[str | None, typer.Option("--model")] = None,
    now: NowFlag = None,
    since: Annotated[str | None, typer.Option("--since")] = None,
    until: Annotated[str | None, typer.Option("--until")] = None,
    platform: Annotated[list[str] | None, typer.Option("--platform")] = None,
    json: JsonFlag = False,
    jsonl: Annotated[bool, typer.Option("--jsonl")] = False,
    step: Annotated[bool, typer.Option("--step")] = False,
) -> None:
    """Take one alert to a ticket-ready draft."""
    from tracehound.agent.settings import require_question

    question = f"triage alert {require_question(alert)}"
    _answer(question, lab, case, model, now, since, until, platform, json, jsonl, step)


def _answer(
    question: str,
    lab: str | None,
    case: str | None,
    model: str | None,
    now: str | None,
    since: str | None,
    until: str | None,
    platforms: list[str] | None,
    as_json: bool,
    as_lines: bool,
    step: bool,
) -> None:
    from tracehound.agent.settings import require_question
    from tracehound.knowledge.errors import UsageError

    text = require_question(question)
    if step and not sys.stdin.isatty():
        raise UsageError("--step asks before each query and needs a terminal")
    settings = _settings(model=model)
    wanted = {"case": case, "now": now, "since": since, "until": until, "platforms": platforms}
    raise SystemExit(_run(_ask_once(settings, lab, text, wanted, as_json, as_lines, step)))


async def _ask_once(
    settings: "Settings",
    lab: str | None,
    question: str,
    wanted: dict[str, Any],
    as_json: bool,
    as_lines: bool,
    step: bool,
) -> int:
    from tracehound.agent.rendering import banner, query_line, show_answer
    from tracehound.tools.evidence.records import Answer, QueryRecord

    progress = _console(err=True)
    async with _copilot(settings, lab) as copilot:
        if not as_json and not as_lines:
            progress.print(banner(copilot.model_name, copilot.estate.kind, copilot.estate.name))
        confirm: Callable[[str], bool] | None = (
            (lambda line: typer.confirm(line, default=True, err=True)) if step else None
        )
        answer: Answer | None = None
        async for event in copilot.stream(question, confirm=confirm, **wanted):
            if event["type"] == "result":
                answer = (
                    Answer.model_validate(event["answer"]) if isinstance(event["answer"], dict) else event["answer"]
                )
            if as_lines:
                _dump({"type": "result", **answer.to_json()} if event["type"] == "result" and answer else event)
            elif not as_json and event["type"] == "query":
                progress.print(query_line(QueryRecord.model_validate(event["query"])))
        if answer is None:
            return 1
        if as_json:
            _dump(answer.to_json())
        elif not as_lines:
            show_answer(_console(), answer)
        return _exit_code(answer)


def _exit_code(answer: "Answer") -> int:
    from tracehound.agent.outcome import exit_code

    return exit_code(answer)


@app.command()
def chat(
    case: Annotated[str | None, typer.Option("--case", help="Continue this case.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the latest case.")] = False,
    lab: LabFlag = None,
    model: Annotated[str | None, typer.Option("--model")] = None,
) -> None:
    """Investigate in a conversation."""
    from tracehound.agent.chat import talk

    settings = _settings(model=model)

    async def run() -> None:
        async with _copilot(settings, lab) as copilot:
            await talk(copilot, case=case, resume=resume)

    _run(run())


@app.command()
def translate(
    question: Annotated[str, typer.Argument(help="A question; `-` reads it, or a batch with --jsonl.")] = "-",
    language: Annotated[list[str] | None, typer.Option("--language", help="Only these languages.")] = None,
    now: NowFlag = None,
    json: JsonFlag = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Batch: one JSON object a line in and out.")] = False,
) -> None:
    """Show one question in every language, side by side; sends nothing."""
    from tracehound.agent.translation import translate_question
    from tracehound.tools.languages.query import Language

    settings = _settings()
    languages = _languages(language)
    if jsonl:
        for row in _lines():
            result = translate_question(row["question"], settings, languages=languages, now=row.get("now") or now)
            _dump({"id": row.get("id"), **result})
        return
    text = sys.stdin.read() if question == "-" else question
    result = translate_question(text, settings, languages=languages, now=now)
    if json:
        _dump(result)
    else:
        from rich.text import Text

        from tracehound.agent.rendering import text as plain

        console = _console()
        for query in result["queries"]:
            mark = "ok" if query["check"]["ok"] else "NOT OK"
            console.print(
                plain(f"{query['platform']} · {Language(query['language'])} · {query['collection']} · {mark}", "bold")
            )
            console.print(plain(query["text"]))
            for sentence in query["cannot_express"]:
                console.print(plain(f"  cannot express: {sentence}", "yellow"))
            console.print(Text())
        if result["declined"]:
            console.print(plain(result["declined"]["reason"], "bold yellow"))
            if result["declined"]["nearest"]:
                console.print(plain("Nearest hunts: " + ", ".join(result["declined"]["nearest"])))
    raise SystemExit(8 if result["declined"] else 0)


def _languages(names: list[str] | None) -> frozenset[Any] | None:
    from tracehound.knowledge.errors import NotSupportedError, UsageError
    from tracehound.tools.languages.query import Language

    if not names:
        return None
    known = {item.value: item for item in Language if item is not Language.REST}
    for name in names:
        if name in ("powerquery", "spl"):
            raise NotSupportedError(f"the language {name}")
        if name not in known:
            raise UsageError(f"there is no language {name!r}; the languages are {', '.join(known)}")
    return frozenset(known[name] for name in names)


def _lines() -> list[dict[str, Any]]:
    import json

    from tracehound.knowledge.errors import UsageError

    rows = []
    for number, line in enumerate(sys.stdin, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as exc:
            raise UsageError(f"line {number} of the batch is not JSON: {exc.msg}") from exc
        if not isinstance(row, dict):
            raise UsageError(f"line {number} of the batch is not a JSON object")
        rows.append(row)
    return rows


@app.command()
def check(
    language: Annotated[str, typer.Argument(help="fql, cql, s1ql or kql.")],
    query: Annotated[str, typer.Argument(help="The query; `-` reads it, or a batch with --jsonl.")] = "-",
    collection: Annotated[str | None, typer.Option("--collection", help="Table, repository or endpoint.")] = None,
    schema: Annotated[
        Path | None, typer.Option("--schema", help="KQL: a schema file instead of the built-in tables.")
    ] = None,
    functions: Annotated[Path | None, typer.Option("--functions", help="KQL: functions of the workspace.")] = None,
    json: JsonFlag = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Batch: one JSON object a line in and out.")] = False,
) -> None:
    """Validate one query: grammar, schema, types, policy."""
    from tracehound.agent.translation import check_report

    _languages([language])
    if jsonl:
        for row in _lines():
            report = check_report(language, row["query"], row.get("collection") or collection, schema, functions)
            _dump({"id": row.get("id"), **report})
        return
    text = sys.stdin.read() if query == "-" else query
    report = check_report(language, text, collection, schema, functions)
    if json:
        _dump(report)
    else:
        from tracehound.agent.rendering import show_check

        show_check(_console(), text, report)
    raise SystemExit(0 if report["ok"] and report["read_only"] else 1)


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="A command line, script or blob; `-` reads it.")],
    json: JsonFlag = False,
) -> None:
    """Explain a command line, script or encoded blob; runs nothing."""
    from dataclasses import asdict

    from tracehound.agent.rendering import text as plain
    from tracehound.agent.settings import require_question
    from tracehound.tools.explain import explain as read

    found = read(require_question(sys.stdin.read() if text == "-" else text))
    if json:
        _dump({"schema": "tracehound.explanation/1", **asdict(found)})
        return
    console = _console()
    for sentence in found.sentences:
        console.print(plain(sentence))


@hunts_app.command("list")
def hunts_list(json: JsonFlag = False) -> None:
    """Every hunt: id, title, techniques."""
    from tracehound.agent.rendering import listing

    hunts = _library().all()
    if json:
        _dump([hunt.model_dump(mode="json", by_alias=True) for hunt in hunts])
    else:
        rows = [(hunt.id, hunt.title, hunt.domain, " ".join(hunt.techniques)) for hunt in hunts]
        _console().print(listing(rows, ("hunt", "title", "domain", "techniques")))


def _library() -> Any:
    from tracehound.tools.library import HuntLibrary

    content = _settings().get("content")
    return HuntLibrary.load(Path(content) if content else None)


@hunts_app.command("show")
def hunts_show(hunt_id: Annotated[str, typer.Argument(metavar="ID")], json: JsonFlag = False) -> None:
    """One hunt, whole."""
    hunt = _library().get(hunt_id)
    if json:
        _dump(hunt.model_dump(mode="json", by_alias=True))
        return
    import yaml

    content = hunt.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110))


@hunts_app.command("search")
def hunts_search(words: Annotated[list[str], typer.Argument()], json: JsonFlag = False) -> None:
    """Hunts that come near the words."""
    _search("hunt", " ".join(words), json)


def _search(kind: str, words: str, json: bool) -> None:
    from tracehound.agent.rendering import listing
    from tracehound.agent.settings import check_folder
    from tracehound.agent.shelves import open_retrieval

    settings = _settings()
    check_folder(settings.home)
    found = [hit for hit in open_retrieval(settings).search(words, 20) if hit.kind == kind][:10]
    if json:
        _dump([{"id": hit.id, "title": hit.title, "section": hit.section, "score": hit.score} for hit in found])
    else:
        rows = [(hit.id, hit.title, hit.section, f"{hit.score:.3f}") for hit in found]
        _console().print(listing(rows, ("id", "title", "section", "score")))


@hunts_app.command("run")
def hunts_run(
    hunt_id: Annotated[str, typer.Argument(metavar="ID")],
    values: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE")] = None,
    lab: LabFlag = None,
    now: NowFlag = None,
    since: Annotated[str | None, typer.Option("--since")] = None,
    until: Annotated[str | None, typer.Option("--until")] = None,
    json: JsonFlag = False,
) -> None:
    """Run one hunt and show what it finds."""
    from tracehound.agent.rendering import show_answer
    from tracehound.knowledge.errors import UsageError

    given: dict[str, list[str]] = {}
    for item in values or []:
        name, equals, value = item.partition("=")
        if not equals or not value:
            raise UsageError(f"--set {item}: write NAME=VALUE")
        given.setdefault(name, []).append(value)
    settings = _settings()

    async def run() -> "Answer":
        async with _copilot(settings, lab) as copilot:
            return await copilot.hunt(hunt_id, given, now=now, since=since, until=until)

    answer = _run(run())
    if json:
        _dump(answer.to_json())
    else:
        show_answer(_console(), answer)
    raise SystemExit(_exit_code(answer))


@hunts_app.command("check")
def hunts_check(paths: Annotated[list[Path], typer.Argument()]) -> None:
    """Check hunt files; names file and line of every problem."""
    from tracehound.knowledge.errors import UsageError

    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist")
    problems = _library().check(paths)
    for problem in problems:
        typer.echo(problem)
    if not problems:
        typer.echo(f"{len(paths)} checked, no problem")
    raise SystemExit(1 if problems else 0)


@hunts_app.command("import")
def hunts_import(paths: Annotated[list[Path], typer.Argument(metavar="SIGMA.yml")]) -> None:
    """Turn Sigma rules into hunts."""
    from tracehound.knowledge.errors import NotSupportedError

    raise NotSupportedError("importing Sigma rules")


@runbooks_app.command("list")
def runbooks_list(json: JsonFlag = False) -> None:
    """Every runbook, ours and the SOC's own."""
    from tracehound.agent.rendering import listing

    books = _shelf().list()
    if json:
        _dump(
            [
                {"id": book.id, "title": book.title, "techniques": list(book.techniques), "own": book.own}
                for book in books
            ]
        )
    else:
        rows = [(book.id, book.title, "own" if book.own else "", " ".join(book.techniques)) for book in books]
        _console().print(listing(rows, ("runbook", "title", "", "techniques")))


def _shelf() -> Any:
    from tracehound.agent.shelves import open_runbooks

    return open_runbooks(_settings())


@runbooks_app.command("show")
def runbooks_show(runbook_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """One runbook, as Markdown."""
    from tracehound.tools.evidence.safe import safe

    typer.echo(safe(_shelf().show(runbook_id).markdown, single_line=False))


@runbooks_app.command("search")
def runbooks_search(words: Annotated[list[str], typer.Argument()], json: JsonFlag = False) -> None:
    """Runbook sections that come near the words."""
    _search("runbook", " ".join(words), json)


@runbooks_app.command("add")
def runbooks_add(paths: Annotated[list[Path], typer.Argument()]) -> None:
    """Add the SOC's own runbooks (Markdown with a title)."""
    shelf = _shelf()
    for path in paths:
        book = shelf.add(path)
        typer.echo(f"added {book.id}: {book.title}")


@runbooks_app.command("remove")
def runbooks_remove(runbook_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Remove one of the SOC's own runbooks."""
    _shelf().remove(runbook_id)
    typer.echo(f"removed {runbook_id}")


def _desk(settings: "Settings") -> Any:
    from tracehound.agent.settings import check_folder
    from tracehound.tools.response import Desk

    return Desk(check_folder(settings.home))


@app.command()
def pending(json: JsonFlag = False) -> None:
    """Actions that wait for a person."""
    from tracehound.agent.rendering import proposal_block

    waiting = _desk(_settings()).pending()
    if json:
        _dump([item.model_dump(mode="json") for item in waiting])
        return
    console = _console()
    for item in waiting:
        console.print(proposal_block(item, {}))
    if not waiting:
        typer.echo("nothing waits for a decision")


@app.command()
def approve(
    proposal: Annotated[str, typer.Argument(metavar="ID")],
    by: ByFlag,
    json: JsonFlag = False,
) -> None:
    """Approve one action: a decision signed with a person's key; it is executed at once."""
    from tracehound.agent.decisions import approve_proposal

    settings = _settings()
    _report(
        _run(approve_proposal(settings, proposal, by, acting_of=lambda place: _lab(settings, place).acting())), json
    )


@app.command()
def reject(
    proposal: Annotated[str, typer.Argument(metavar="ID")],
    by: ByFlag,
    why: Annotated[str, typer.Option("--why")] = "",
    json: JsonFlag = False,
) -> None:
    """Reject one action."""
    from tracehound.agent.decisions import open_approver

    settings = _settings()
    _report(_desk(settings).reject(proposal, open_approver(settings, by), why), json)


@app.command()
def undo(
    proposal: Annotated[str, typer.Argument(metavar="ID")],
    by: ByFlag,
    json: JsonFlag = False,
) -> None:
    """Propose to undo an action; the undo waits for its own approval."""
    from tracehound.agent.decisions import open_approver

    settings = _settings()
    _report(_desk(settings).undo(proposal, open_approver(settings, by)), json)


def _report(outcome: Any, json: bool) -> NoReturn:
    from tracehound.agent.decisions import decision_code

    if json:
        _dump(outcome.model_dump(mode="json"))
    else:
        target = outcome.target.get("hostname") or outcome.target.get("device_id")
        typer.echo(f"{outcome.id}: {outcome.action} on {target} ({outcome.platform}): {outcome.status}")
    raise SystemExit(decision_code(outcome.status))


@approver_app.command("add")
def approver_add(
    name: Annotated[str, typer.Argument()],
    role: Annotated[str, typer.Option("--role", help="viewer, analyst, responder, lead or admin.")] = "responder",
    by: Annotated[str | None, typer.Option("--by", help="The admin who signs; not needed for the first one.")] = None,
) -> None:
    """Add a person and make their key."""
    from tracehound.agent.decisions import open_approver
    from tracehound.agent.settings import check_folder
    from tracehound.tools.response import add_approver

    settings = _settings()
    home = check_folder(settings.home)
    admin = open_approver(settings, by) if by else None
    path = add_approver(home, name, role=role, admin=admin)
    typer.echo(f"added {name} ({role}); key: {path}")


@approver_app.command("list")
def approver_list(json: JsonFlag = False) -> None:
    """People who may decide."""
    from tracehound.agent.rendering import listing
    from tracehound.tools.response import list_approvers

    people = list_approvers(_settings().home)
    if json:
        _dump([{"name": item.name, "role": item.role, "revoked": item.revoked} for item in people])
    else:
        rows = [(item.name, item.role, "revoked" if item.revoked else "") for item in people]
        _console().print(listing(rows, ("name", "role", "")))


@approver_app.command("revoke")
def approver_revoke(
    name: Annotated[str, typer.Argument()],
    by: Annotated[str | None, typer.Option("--by", help="The admin who signs.")] = None,
) -> None:
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

    problems = Audit(_settings().home).verify()
    for problem in problems:
        typer.echo(problem)
    if not problems:
        typer.echo("the audit trail is intact")
    raise SystemExit(5 if problems else 0)


@audit_app.command("export")
def audit_export(out: Annotated[Path, typer.Option("-o", "--out")] = Path("audit.jsonl")) -> None:
    """Write the audit trail and its checkpoints."""
    from tracehound.tools.response import Audit

    Audit(_settings().home).export(out)
    typer.echo(f"written to {out}")


@kill_app.command("status")
def kill_status() -> None:
    """The level in force."""
    from tracehound.tools.response import KillSwitch

    state = KillSwitch(_settings().home).state()
    typer.echo(f"K{int(state.level)} (epoch {state.epoch}): {state.why or 'never raised'}")


@kill_app.command("raise")
def kill_raise(
    level: Annotated[str, typer.Argument(help="K1, K2 or K3.")],
    by: ByFlag,
    why: Annotated[str, typer.Option("--why")],
) -> None:
    """Stop autonomous starts (K1), all changes (K2), or everything (K3)."""
    from tracehound.agent.decisions import raise_switch

    typer.echo(raise_switch(_settings(), level, by, why))


@kill_app.command("lower")
def kill_lower(
    level: Annotated[str, typer.Argument(help="K0, K1 or K2.")],
    by: ByFlag,
    why: Annotated[str, typer.Option("--why")],
) -> None:
    """Lower the level again; only an admin, with a reason."""
    from tracehound.agent.decisions import lower_switch

    typer.echo(lower_switch(_settings(), level, by, why))


@case_app.command("list")
def case_list(json: JsonFlag = False) -> None:
    """Every case, newest first."""
    from tracehound.agent.rendering import listing
    from tracehound.tools.evidence.case import list_cases

    cases = list_cases(_settings().home)
    if json:
        _dump(
            [
                {"id": item.id, "created": item.created, "question": item.question, "estate": item.estate}
                for item in cases
            ]
        )
    else:
        rows = [(item.id, item.created, item.question) for item in cases]
        _console().print(listing(rows, ("case", "created", "question")))


@case_app.command("show")
def case_show(case_id: Annotated[str, typer.Argument(metavar="ID")], json: JsonFlag = False) -> None:
    """The last answer of a case."""
    from tracehound.agent.rendering import show_answer

    answer = _last_answer(case_id)
    if json:
        _dump(answer.to_json())
    else:
        show_answer(_console(), answer)


def _last_answer(case_id: str) -> "Answer":
    from tracehound.knowledge.errors import CaseError
    from tracehound.tools.evidence.case import Case

    with Case.open(_settings().home, case_id, write=False) as case:
        answer = case.last_answer()
    if answer is None:
        raise CaseError(f"case {case_id} has no answer yet; ask one with: tracehound ask ... --case {case_id}")
    return answer


@case_app.command("export")
def case_export(
    case_id: Annotated[str, typer.Argument(metavar="ID")],
    format_name: Annotated[str, typer.Option("--format", help="md or json.")] = "md",
    out: Annotated[Path | None, typer.Option("-o", "--out")] = None,
) -> None:
    """Write a case's last answer in a format."""
    from tracehound.tools.evidence.exports import export

    content = export(_last_answer(case_id), format_name)
    if out is None:
        sys.stdout.write(content if content.endswith("\n") else content + "\n")
    else:
        out.write_text(content, encoding="utf-8")
        typer.echo(f"written to {out}", err=True)


@case_app.command("verify")
def case_verify(target: Annotated[str, typer.Argument(metavar="ID|FILE.json")]) -> None:
    """Recompute a case; exit 5 when anything that a view rests on was changed."""
    from tracehound.tools.evidence.case import Case
    from tracehound.tools.evidence.exports import verify_file

    if target.endswith(".json"):
        problems = verify_file(Path(target))
    else:
        with Case.open(_settings().home, target, write=False) as case:
            problems = case.verify()
    for problem in problems:
        typer.echo(problem)
    if not problems:
        typer.echo(f"{target} is intact")
    raise SystemExit(5 if problems else 0)


@case_app.command("replay")
def case_replay(
    case_id: Annotated[str, typer.Argument(metavar="ID")],
    model: Annotated[str | None, typer.Option("--model")] = None,
    live: Annotated[bool, typer.Option("--live")] = False,
) -> None:
    """Rebuild every view of a case offline."""
    from tracehound.knowledge.errors import NotSupportedError

    raise NotSupportedError("case replay")


@case_app.command("handoff")
def case_handoff(case_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """A hand-over for the next shift."""
    from tracehound.knowledge.errors import NotSupportedError

    raise NotSupportedError("case handoff")


@case_app.command("delete")
def case_delete(
    case_id: Annotated[str, typer.Argument(metavar="ID")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a case's folder."""
    from tracehound.knowledge.errors import UsageError
    from tracehound.tools.evidence.case import delete_case

    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("deleting a case needs --yes where nobody can be asked")
        if not typer.confirm(f"Delete case {case_id} and all of its evidence?"):
            raise SystemExit(0)
    delete_case(_settings().home, case_id)
    typer.echo(f"deleted {case_id}")


@lab_app.command("create")
def lab_create(
    directory: Annotated[Path | None, typer.Argument(metavar="DIR")] = None,
    scenario: Annotated[str, typer.Option("--scenario")] = "kestrel",
    scale: Annotated[int, typer.Option("--scale", min=1)] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    json: JsonFlag = False,
) -> None:
    """Make a lab."""
    from tracehound.evals.lab.lab import Lab

    home = _settings().home
    place = directory or home / "labs" / f"{scenario}-{seed}"
    lab = Lab.create(place, scenario=scenario, scale=scale, seed=seed)
    if json:
        _dump(lab.info())
    else:
        typer.echo(f"lab {lab.directory}: clock {lab.info()['clock']}, {lab.info()['events']} events")


@lab_app.command("load")
def lab_load(
    paths: Annotated[list[Path], typer.Argument(help="JSON lines, .zip, .tar.gz or .evtx")],
    lab: LabFlag = None,
    json: JsonFlag = False,
) -> None:
    """Load recorded Windows telemetry into a lab of its own, or into one of yours."""
    from tracehound.evals.lab.lab import Lab
    from tracehound.knowledge.errors import UsageError

    for path in paths:
        if not path.is_file():
            raise UsageError(f"{path} is no file; give JSON lines, .zip, .tar.gz or .evtx")
    if lab == "default":
        raise UsageError("the default lab is never changed; leave --lab out, or name another folder")
    report = Lab.load(paths, Path(lab) if lab else None, home=_settings().home)
    if json:
        _dump(report)
    else:
        typer.echo(
            f"lab {report['directory']}: {report['loaded']} of {report['records']} records, clock {report['clock']}"
        )
        for name, count in sorted(report["unmapped"].items(), key=lambda item: -item[1])[:10]:
            typer.echo(f"  not mapped: {name} ({count})", err=True)


@lab_app.command("serve")
def lab_serve(
    lab: LabFlag = None,
    port: Annotated[int, typer.Option("--port")] = 0,
    real_time: Annotated[bool, typer.Option("--real-time", help="Rate limits on wall time.")] = False,
    delay_ms: Annotated[int, typer.Option("--delay-ms", min=0, help="Added to every answer.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Serve the lab's vendors over TLS on loopback."""
    from tracehound.evals.lab.serve import serve

    settings = _settings()
    serve(_lab(settings, lab), port=port, real_time=real_time, delay_ms=delay_ms, as_json=json)


@lab_app.command("info")
def lab_info(directory: Annotated[str | None, typer.Argument(metavar="DIR")] = None, json: JsonFlag = False) -> None:
    """What a lab holds."""
    info = _lab(_settings(), directory).info()
    if json:
        _dump(info)
    else:
        for key in ("clock", "seed", "events", "question"):
            typer.echo(f"{key}: {info[key]}")
        for name, alert in info["alerts"].items():
            typer.echo(f"alert {name}: {alert}")


@lab_app.command("journal")
def lab_journal(directory: Annotated[str | None, typer.Argument(metavar="DIR")] = None, json: JsonFlag = False) -> None:
    """The state-changing calls that the lab's vendors received."""
    rows = _lab(_settings(), directory).journal()
    if json:
        _dump(rows)
    else:
        for row in rows:
            typer.echo("  ".join(f"{key}={value}" for key, value in row.items()))


@lab_app.command("fault")
def lab_fault(
    vendor: Annotated[str, typer.Argument()],
    operation: Annotated[str, typer.Argument()],
    fault: Annotated[str, typer.Argument(help="A fault, or `off`.")],
    lab: LabFlag = None,
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
    names: Annotated[list[str], typer.Argument(metavar="SUITE ...")],
    model: Annotated[str | None, typer.Option("--model")] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1)] = 1,
    baseline: Annotated[Path | None, typer.Option("--baseline")] = None,
    record: Annotated[bool, typer.Option("--record")] = False,
    replay: Annotated[bool, typer.Option("--replay")] = False,
    out: Annotated[Path | None, typer.Option("-o", "--out")] = None,
    json: JsonFlag = False,
) -> None:
    """Run suites and print a table of results."""
    from tracehound.evals.harness import run_suites
    from tracehound.knowledge.errors import NotSupportedError

    if record or replay:
        raise NotSupportedError("recorded eval runs")
    report = _run(run_suites(names, _settings(model=model), repeat=repeat, out=out))
    if json:
        _dump(report)
    else:
        from tracehound.evals.harness import table

        _console().print(table(report))
    if baseline:
        typer.echo(_diff(baseline, report))
    raise SystemExit(0 if report["failed"] == 0 else 1)


def _diff(baseline: Path, report: dict[str, Any]) -> str:
    import json

    from tracehound.evals.harness import difference

    return difference(json.loads(baseline.read_text(encoding="utf-8")), report)


@eval_app.command("diff")
def eval_diff(a: Annotated[Path, typer.Argument()], b: Annotated[Path, typer.Argument()]) -> None:
    """Compare two runs."""
    import json

    typer.echo(_diff(a, json.loads(b.read_text(encoding="utf-8"))))


@config_app.command("show")
def config_show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value came from.")] = False,
    json: JsonFlag = False,
) -> None:
    """Settings in force; secrets are masked."""
    settings = _settings()
    rows = [(item.name, item.shown, item.origin) for item in settings.all()]
    if not any(name == "home" for name, *_ in rows):
        rows.append(("home", str(settings.home), "default"))
    if json:
        _dump({name: {"value": value, "origin": where} for name, value, where in rows})
        return
    from tracehound.agent.rendering import listing

    headings = ("setting", "value", "origin") if origin else ("setting", "value")
    _console().print(listing([row[: len(headings)] for row in sorted(rows)], headings))


@app.command()
def doctor(lab: LabFlag = None, json: JsonFlag = False) -> None:
    """Check the set-up: folder, vendors, model, index."""
    from tracehound.agent.doctor import examine
    from tracehound.agent.rendering import listing

    settings = _settings()
    use_lab = bool(lab or settings.get("lab") or not settings.has_vendors)
    estate = (lambda: _lab(settings, lab).estate()) if use_lab else None
    findings = _run(examine(settings, estate))
    if json:
        _dump({"schema": "tracehound.doctor/1", "checks": findings, "ok": all(item["ok"] for item in findings)})
    else:
        rows = [("ok" if item["ok"] else "FAIL", item["check"], item["detail"]) for item in findings]
        _console().print(listing(rows, ("", "check", "detail")))
    raise SystemExit(0 if all(item["ok"] for item in findings) else 3)


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
