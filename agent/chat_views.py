"""The chat's views of a case: drawn from the last answer, or counted over all of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..knowledge.errors import TamperError, UsageError
from .rendering import listing, text, timeline_table

if TYPE_CHECKING:
    from ..tools.evidence.process_tree import Process
    from .chat import Chat

Command = Callable[["Chat", str], Awaitable[None]]
MOST_NAMES = 12


async def timeline(chat: "Chat", rest: str) -> None:
    """The lanes of time, and the entries in words."""
    from .drawing import lanes

    answer = chat.answer()
    if (drawn := lanes(answer.timeline)) is not None:
        chat.out.print(drawn)
    chat.out.print(timeline_table(answer.timeline, {item.id: item for item in answer.evidence}))


async def graph(chat: "Chat", rest: str) -> None:
    """Logons and connections between places."""
    from ..tools.evidence.movement import movement
    from .drawing import graph_view

    answer = chat.answer()
    found = movement(answer)
    if not found.moves:
        chat.out.print(text("the last answer tells of no logon or connection between two places"))
        return
    chat.out.print(graph_view(found, {item.id: item for item in answer.evidence}))


async def tree(chat: "Chat", rest: str) -> None:
    """The processes, and what each did; of one host when it is named."""
    from ..tools.evidence.process_tree import process_tree
    from .drawing import tree_view

    answer = chat.answer()
    found = process_tree(answer)
    if rest:
        found = tuple(process for process in found if process.host.lower() == rest.lower())
    if not found:
        where = f" on {rest}" if rest else ""
        chat.out.print(text(f"the last answer tells of no process{where}"))
        return
    # Of one host the positions of parents change, since the others are gone.
    chat.out.print(tree_view(_again(found), {item.id: item for item in answer.evidence}))


def _again(processes: "tuple[Process, ...]") -> "list[Process]":
    stack: list[int] = []
    placed: list[Process] = []
    for place, process in enumerate(processes):
        del stack[process.depth :]
        placed.append(replace(process, parent=stack[-1] if stack else None))
        stack.append(place)
    return placed


async def hypotheses(chat: "Chat", rest: str) -> None:
    """What could explain the evidence, and what speaks against each."""
    from ..tools.evidence.hypotheses import weigh
    from .drawing import hypotheses_view

    answer = chat.answer()
    if not answer.timeline:
        raise UsageError("the last answer tells of nothing that could be weighed; ask what happened first")
    chat.out.print(hypotheses_view(weigh(answer, chat.copilot.library), {item.id: item for item in answer.evidence}))


async def context(chat: "Chat", rest: str) -> None:
    """What the next question takes over from the case."""
    with chat.opened() as case:
        window, asked = case.window(), case.questions()
        rows = [("case", case.id), ("questions", str(len(asked))), ("queries", str(len(case.queries())))]
        rows.append(
            ("window", f"{window.start:%Y-%m-%d %H:%M:%SZ} to {window.end:%Y-%m-%d %H:%M:%SZ}" if window else "none")
        )
        for kind, names in case.entities().items():
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            rows.append((kind, ", ".join(names[:MOST_NAMES]) + more))
    chat.out.print(listing(rows, ("", ""), head=False))


async def cost(chat: "Chat", rest: str) -> None:
    """What each answer of the case cost, and all of them."""
    with chat.opened() as case:
        answers = case.answers()
    if not answers:
        raise UsageError("this case has no answer yet; ask a question first")
    heads = ("", "question", "model calls", "tokens in", "tokens out", "queries", "seconds")
    spent = [
        (used.model_calls, used.input_tokens, used.output_tokens, used.queries, used.wall_ms)
        for used in (answer.usage for answer in answers)
    ]
    asked = [(str(number), answer.question) for number, answer in enumerate(answers, 1)]
    whole = tuple(map(sum, zip(*spent, strict=True)))
    lines = [
        (*named, *map(str, used[:4]), f"{used[4] / 1000:.1f}")
        for named, used in zip([*asked, ("", "all")], [*spent, whole], strict=True)
    ]
    chat.out.print(listing(lines, heads))


async def handoff(chat: "Chat", rest: str) -> None:
    """What the next shift must know: state, what was ruled out, what waits, what to ask next."""
    from .handing_over import hand_over

    with chat.opened() as case:
        case_id = case.id
    content, _ = hand_over(chat.copilot.home, case_id, chat.copilot.desk, chat.copilot.library)
    chat.write(content)


async def replay(chat: "Chat", rest: str) -> None:
    """Every view of the case, made again from what was kept and compared with what it was."""
    from ..tools.evidence.case import verify_case
    from ..tools.evidence.replay import replay as rebuilt

    with chat.opened() as case:
        case_id = case.id
    problems = verify_case(chat.copilot.home, case_id)
    if problems:
        raise TamperError(f"case {case_id} was changed, so its views are not rebuilt: {problems[0]}")
    views = rebuilt(chat.copilot.home, case_id)
    rows = [(view.answer, view.format, view.sha256[:16], view.state) for view in views]
    chat.out.print(listing([[str(cell) for cell in row] for row in rows], ("answer", "format", "sha256", "state")))
    different = sum(view.state == "differs" for view in views)
    chat.progress.print(text(f"{different} of {len(views)} views differ" if different else "none differs", "dim"))


async def tools(chat: "Chat", rest: str) -> None:
    """What answers are made with: platforms, hunts, the model, and the tools that other agents get."""
    copilot = chat.copilot
    platforms = ", ".join(sorted(platform.value for platform in copilot.estate.platforms))
    rows = [
        ("platforms", platforms),
        ("model", copilot.model_name),
        ("hunts", f"{len(copilot.library.all())}; /hunt WORDS finds one"),
        *((f"tool {tool.name}", tool.description.partition("\n")[0]) for tool in copilot.tools()),
    ]
    chat.out.print(listing(rows, ("", ""), head=False))


VIEWS: Mapping[str, tuple[str, Command]] = {
    "timeline": ("the timeline of the last answer, drawn and in words", timeline),
    "graph": ("logons and connections between places", graph),
    "tree": ("[HOST]: the processes, who started whom, and what they did", tree),
    "hyp": ("competing hypotheses, and the search that could refute the leader", hypotheses),
    "context": ("what the next question takes over from the case", context),
    "cost": ("what the answers of the case cost", cost),
    "handoff": ("what the next shift must know, as Markdown", handoff),
    "replay": ("every view of the case, made again and compared", replay),
    "tools": ("what answers are made with", tools),
}
"""Commands that show, with what they show."""
