"""The chat at a terminal: questions in one case, and slash commands over what the case holds.

It works without a terminal too: then it reads lines, prints no prompt, and ends with the input. It never approves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from ..knowledge.errors import NotSupportedError, TracehoundError, UsageError
from ..tools.evidence.case import Case
from ..tools.evidence.exports import document, export
from ..tools.evidence.exports.writing import write_whole
from ..tools.evidence.records import Answer, Evidence
from .chat_deeds import DEEDS, row_name
from .chat_views import VIEWS, Command
from .prompting import interrupts, lines
from .rendering import (
    banner,
    claim_block,
    evidence_block,
    listing,
    outcome_line,
    progress_line,
    proposal_block,
    query_block,
    show_answer,
    text,
)

if TYPE_CHECKING:
    from .copilot import Copilot

HISTORY = "chat-history"
"""What was typed, in the home; the arrow keys bring it back."""
SHOWN = 60
"""Rows of evidence that are listed; the rest is one `/show` away."""


async def talk(copilot: "Copilot", case: str | None = None, resume: bool = False) -> None:
    """Hold a conversation until the analyst ends it.

    Args:
        copilot: An open copilot.
        case: Case to go on with.
        resume: Go on with the newest case.

    Raises:
        CaseError: there is no such case.
        UsageError: `resume`, and there is no case yet.
    """
    chat = Chat(copilot, _case(copilot.home, case, resume))
    chat.greet()
    async for line in lines(copilot.home / HISTORY, chat.names):
        if not await chat.take(line):
            return


def _case(home: Path, case: str | None, resume: bool) -> str | None:
    if case:
        Case.open(home, case, write=False).close()
        return case
    if not resume:
        return None
    latest = Case.latest(home)
    if latest is None:
        raise UsageError("there is no case to resume yet; ask a question first")
    return latest


class Chat:
    """One conversation: what is asked, what is shown, and the case that both stand in."""

    def __init__(self, copilot: "Copilot", case: str | None = None) -> None:
        """Open a conversation over an open copilot."""
        self.copilot, self.case = copilot, case
        self.last: Answer | None = None
        self.out = Console(highlight=False)
        self.progress = Console(stderr=True, highlight=False)
        self.commands: Mapping[str, tuple[str, Callable[[str], Awaitable[None]]]] = {
            "help": ("what can be typed", self._help),
            "triage": ("ALERT: take one alert to a ticket-ready draft", self._triage),
            "explain": ("TEXT: explain a command line, script or blob", self._explain),
            "evidence": ("[ID]: the rows that the last answer cites, or one of them", self._evidence),
            "show": ("ID: one row, query, claim or proposal, whole", self._show),
            "query": ("ID: one query: text, window, rows, what is missing", self._query),
            "why": ("CLAIM: what a claim rests on", self._why),
            "gaps": ("what is not known, and why", self._gaps),
            **self._bound(VIEWS),
            "pending": ("actions that wait for a person", self._pending),
            "approve": ("ID [NAME]: how to approve; a chat never does", self._approve),
            **self._bound(DEEDS),
            "report": ("the last answer as Markdown", self._report),
            "export": ("FORMAT [FILE]: the last answer in a format", self._export),
            "case": ("where this conversation is kept", self._about),
            "resume": ("ID: go on with another case", self._resume),
            "new": ("begin a new case", self._new),
            "exit": ("end the conversation", self._help),
        }

    def _bound(
        self, commands: Mapping[str, tuple[str, Command]]
    ) -> dict[str, tuple[str, Callable[[str], Awaitable[None]]]]:
        return {name: (about, partial(command, self)) for name, (about, command) in commands.items()}

    def greet(self) -> None:
        """Say where answers come from."""
        where = banner(self.copilot.model_name, self.copilot.estate.kind, self.copilot.estate.name)
        self.progress.print(where, soft_wrap=True)
        held = f"case {self.case} · " if self.case else ""
        self.progress.print(text(f"{held}/help lists commands, Ctrl-C stops a running question", "dim"))

    async def take(self, line: str) -> bool:
        """Do what one line says; False when it ends the conversation. A failure is told, and the chat goes on."""
        words = line.strip()
        if not words:
            return True
        try:
            if not words.startswith("/"):
                await self.ask(words)
                return True
            name, _, rest = words[1:].partition(" ")
            name = self._command(name.lower())
            if name == "exit":
                return False
            await self.commands[name][1](rest.strip())
        except TracehoundError as exc:
            self.progress.print(text(f"error: {exc}", "bold red"))
        return True

    def names(self, line: str) -> list[str]:
        """What can stand at the end of a line that is being typed: commands, or what the last answer names."""
        if line.startswith("/") and " " not in line:
            return [f"/{name}" for name in self.commands]
        if self.last is None:
            return []
        answer = self.last
        named = (
            [item.alias for item in answer.evidence],
            [claim.id for claim in answer.claims],
            [query.id for query in answer.queries],
            [proposal.id for proposal in answer.proposals],
            sorted({item.host for item in answer.evidence if item.host}),
            sorted({item.user for item in answer.evidence if item.user}),
        )
        return [name for names in named for name in names]

    def _command(self, typed: str) -> str:
        """The command that a word means: itself, or the only one that begins with it."""
        if typed in self.commands:
            return typed
        if typed == "quit":
            return "exit"
        near = [name for name in self.commands if typed and name.startswith(typed)]
        if len(near) > 1:
            raise UsageError(f"/{typed} may be {' or '.join(f'/{name}' for name in near)}; type one more letter")
        if not near:
            raise NotSupportedError(f"/{typed}; /help lists what is")
        return near[0]

    async def ask(self, question: str, **options: Any) -> None:
        """Answer one question in this case, by the options of `Copilot.stream`; Ctrl-C stops it and keeps what was found."""
        turn = asyncio.ensure_future(self._turn(question, options))
        with interrupts(turn.cancel):
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled() or _is_being_cancelled():
                    turn.cancel()
                    raise
                self._interrupted(question)

    async def _turn(self, question: str, options: Mapping[str, Any]) -> None:
        async for event in self.copilot.stream(question, case=self.case, **options):
            self.case = event.get("case", self.case)
            if event["type"] == "result":
                self.last = event["answer"]
                show_answer(self.out, event["answer"])
            elif (line := progress_line(event)) is not None:
                self.progress.print(line, no_wrap=True, overflow="ellipsis")

    def _interrupted(self, question: str) -> None:
        """Keep a question that was stopped before its answer, and say what of it is kept."""
        kept = ""
        if self.case is not None:
            with Case.open(self.copilot.home, self.case, wait=2.0) as case:
                case.add_question(question)
                case.add_traffic("interrupted", {"question": question})
                kept = f"; {len(case.all_evidence())} rows of evidence are kept in case {self.case}"
        self.progress.print(text(f"interrupted{kept}", "yellow"))

    def opened(self) -> Case:
        """The case, for reading.

        Raises:
            UsageError: there is none yet.
        """
        if self.case is None:
            raise UsageError("there is no case yet; ask a question first")
        return Case.open(self.copilot.home, self.case, write=False)

    def answer(self) -> Answer:
        """The last answer of the case.

        Raises:
            UsageError: there is none yet.
        """
        with self.opened() as case:
            answer = case.last_answer()
        if answer is None:
            raise UsageError("this case has no answer yet; ask a question first")
        return answer

    async def _help(self, rest: str) -> None:
        rows = [(f"/{name}", about) for name, (about, _) in self.commands.items()]
        self.out.print(listing([*rows, ("anything else", "is a question")], ("command", "")))

    async def _triage(self, rest: str) -> None:
        await self.ask(f"triage alert {_needed(rest, '/triage ALERT')}")

    async def _explain(self, rest: str) -> None:
        from ..tools.explain import explain

        for sentence in explain(_needed(rest, "/explain TEXT")).sentences:
            self.out.print(text(sentence))

    async def _evidence(self, rest: str) -> None:
        if rest:
            await self._show(rest)
            return
        cited = self.answer().evidence
        self.out.print(listing(list(map(_row, cited[:SHOWN])), ("", "time (UTC)", "platform", "host", "user", "event")))
        if len(cited) > SHOWN:
            self.out.print(text(f"{len(cited) - SHOWN} more; /show ID shows one", "dim"))

    async def _show(self, rest: str) -> None:
        name = _needed(rest, "/show ID")
        if name.upper().startswith("Q"):
            await self._query(name)
        elif name.upper().startswith("C"):
            await self._why(name)
        elif name.upper().startswith("A-"):
            self._show_proposal(name)
        else:
            with self.opened() as case:
                found = case.evidence(row_name(name))
            if found is None:
                raise UsageError(f"this case has no evidence {name}; /evidence lists what the last answer cites")
            self.out.print(evidence_block(found))

    def _show_proposal(self, name: str) -> None:
        proposal = self.copilot.desk.proposal(self.copilot.desk.approval(name))
        self.out.print(proposal_block(proposal, {}))

    async def _query(self, rest: str) -> None:
        name = _needed(rest, "/query ID").upper()
        with self.opened() as case:
            found = case.query(name)
            known = len(case.queries())
        if found is None:
            raise UsageError(f"this case has no query {name}; it has Q1 to Q{known}" if known else "no query ran yet")
        self.out.print(query_block(found))

    async def _why(self, rest: str) -> None:
        name = _needed(rest, "/why CLAIM").upper()
        answer = self.answer()
        found = next((claim for claim in answer.claims if claim.id == name), None)
        if found is None:
            raise UsageError(f"the last answer has no claim {name}; it has C1 to C{len(answer.claims)}")
        self.out.print(claim_block(found, {item.id: item for item in answer.evidence}))

    async def _gaps(self, rest: str) -> None:
        gaps = self.answer().gaps
        for gap in gaps:
            self.out.print(text(f"· {gap.text} [{gap.kind}] {', '.join(gap.queries)}"))
        if not gaps:
            self.out.print(text("no gap is known"))

    async def _pending(self, rest: str) -> None:
        waiting = self.copilot.desk.pending()
        for item in waiting:
            self.out.print(proposal_block(item, {}))
        if not waiting:
            self.out.print(text("nothing waits for a decision"))

    async def _approve(self, rest: str) -> None:
        name, _, by = rest.partition(" ")
        waiting = [item.id for item in self.copilot.desk.pending()]
        if name and name not in waiting:
            self.out.print(outcome_line(self.copilot.desk.outcome(name)))
            return
        for proposal in [name] if name else waiting or ["ID"]:
            self.out.print(text(f"tracehound approve {proposal} --by {by.strip() or 'NAME'}"))
        self.progress.print(text("a chat never approves; the person who decides runs this, with their own key", "dim"))

    def _noted(self) -> Answer:
        """The last answer with what analysts added since, as it is exported."""
        answer = self.answer()
        with self.opened() as case:
            return case.with_notes(answer)

    async def _report(self, rest: str) -> None:
        self.write(export(self._noted(), "md"))

    async def _export(self, rest: str) -> None:
        format_name, _, place = _needed(rest, "/export FORMAT [FILE]").partition(" ")
        if place.strip():
            _save(document(self._noted(), format_name), place.strip())
            self.progress.print(text(f"written to {place.strip()}", "dim"))
        else:
            self.write(export(self._noted(), format_name))

    def write(self, content: str) -> None:
        """Print a document as it is."""
        self.out.file.write(content.rstrip("\n") + "\n")  # an export is neutral already

    async def _about(self, rest: str) -> None:
        with self.opened() as case:
            self.out.print(text(f"case {case.id} in {case.folder}"))
            for number, asked in enumerate(case.questions(), 1):
                self.out.print(text(f"  {number}. {asked.body['text']}"))
            for note in case.notes():
                self.out.print(text(f"  note by {note.body['author']}: {note.body['text']}"))

    async def _resume(self, rest: str) -> None:
        self.case = _case(self.copilot.home, rest or None, resume=not rest)
        await self._about("")

    async def _new(self, rest: str) -> None:
        self.case = None
        self.progress.print(text("the next question begins a new case", "dim"))


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _needed(rest: str, usage: str) -> str:
    if not rest:
        raise UsageError(f"something is missing: {usage}")
    return rest


def _save(content: bytes, place: str) -> None:
    write_whole(Path(place).expanduser(), content)


def _row(item: Evidence) -> tuple[object, ...]:
    time = f"{item.time:%Y-%m-%d %H:%M:%S}" if item.time else ""
    return item.alias, time, item.platform, item.host or "", item.user or "", item.event_class
