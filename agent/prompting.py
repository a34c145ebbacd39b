"""Where the chat's lines come from: a terminal with history, completion and keys, or standard input."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Names = Callable[[str], Sequence[str]]
"""What the last word of a line may become."""

PROMPT = "tracehound> "


async def lines(history: Path, names: Names) -> AsyncIterator[str]:
    """The analyst's lines until there are no more; at a terminal an interrupt at an empty line ends them."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        # Nothing else goes on while a line is awaited, so the read may block; an interrupt must end it at once.
        while line := _read():
            yield line
        return
    prompt = _prompt(history, names)
    while True:
        try:
            line = await prompt()
        except (EOFError, KeyboardInterrupt):
            return
        yield line


def _read() -> str:
    with _handler(signal.default_int_handler):
        return sys.stdin.readline()


def _prompt(history: Path, names: Names) -> Callable[[], Awaitable[str]]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    class Completions(Completer):
        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
            word = document.get_word_before_cursor(WORD=True)
            for name in names(document.text_before_cursor):
                if name.lower().startswith(word.lower()):
                    yield Completion(name, start_position=-len(word))

    keys = KeyBindings()

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt())

    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(history)), key_bindings=keys, completer=Completions(), complete_while_typing=False
    )
    return lambda: session.prompt_async(PROMPT)


@contextmanager
def interrupts(stop: Callable[[], Any]) -> Iterator[None]:
    """While the block runs, Ctrl-C calls `stop` in the event loop instead of ending the program."""
    loop = asyncio.get_running_loop()
    with _handler(lambda *_: loop.call_soon_threadsafe(stop)):
        yield


@contextmanager
def _handler(handle: Callable[[int, Any], Any]) -> Iterator[None]:
    try:
        before = signal.signal(signal.SIGINT, handle)
    except ValueError:  # not in the main thread: whoever runs this owns the interrupt
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
