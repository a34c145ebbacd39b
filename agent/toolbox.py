"""The copilot as LangChain tools, for other agents. None of them changes anything: a proposal waits for a person."""

from typing import TYPE_CHECKING, Any

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, Field

from ..tools.explain import explain as read
from .checking import check_report, read_language
from .shelves import open_retrieval
from .translation import Translator

if TYPE_CHECKING:
    from .copilot import Copilot


class Ask(BaseModel):
    """Arguments of `ask`."""

    question: str = Field(description="A question about an incident, in plain words, with hosts, accounts and a time.")
    case: str | None = Field(default=None, description="Id of a case to go on with, from an earlier answer.")


class Translate(BaseModel):
    """Arguments of `translate`."""

    question: str = Field(description="The question to write in the vendors' query languages.")
    now: str | None = Field(default=None, description="What `now` means, as an ISO time in UTC.")


class CheckQuery(BaseModel):
    """Arguments of `check_query`."""

    language: str = Field(description="fql, cql, s1ql or kql.")
    query: str = Field(description="The text to check.")
    collection: str | None = Field(default=None, description="The table, repository or endpoint that it is for.")


class Explain(BaseModel):
    """Arguments of `explain`."""

    text: str = Field(description="A command line, script or encoded blob. It is read, never run.")


class SearchRunbooks(BaseModel):
    """Arguments of `search_runbooks`."""

    words: str = Field(description="What the procedure is about.")
    most: int = Field(default=3, ge=1, le=10, description="How many sections at most.")


def toolbox(copilot: "Copilot") -> list[BaseTool]:
    """Tools over an open copilot.

    `ask` gives Markdown to the calling model and the `Answer` as the message's artifact; the others give plain data.
    Our errors reach the caller as `TracehoundError`.
    """
    translator = Translator(copilot.settings)

    async def ask(question: str, case: str | None = None) -> tuple[str, Any]:
        answer = await copilot.ask(question, case=case)
        return answer.to_markdown(), answer

    def translate(question: str, now: str | None = None) -> dict[str, Any]:
        return translator.translate(question, now=now or copilot.estate.now().isoformat())

    def check_query(language: str, query: str, collection: str | None = None) -> dict[str, Any]:
        return check_report(read_language(language), query, collection)

    def explain(text: str) -> list[str]:
        return list(read(text).sentences)

    def search_runbooks(words: str, most: int = 3) -> list[dict[str, Any]]:
        found = open_retrieval(copilot.settings).search(words, most, kind="runbook")
        return [{"id": hit.id, "title": hit.title, "section": hit.section, "text": hit.text} for hit in found]

    return [
        StructuredTool.from_function(
            coroutine=ask,
            name="ask",
            description="Investigate: answer a question about an incident with a timeline that cites its evidence.",
            args_schema=Ask,
            response_format="content_and_artifact",
        ),
        StructuredTool.from_function(
            translate,
            name="translate",
            description="Write a question in the query languages of every platform; sends nothing.",
            args_schema=Translate,
        ),
        StructuredTool.from_function(
            check_query,
            name="check_query",
            description="Check a query: grammar, schema, types, and that it only reads. Sends nothing.",
            args_schema=CheckQuery,
        ),
        StructuredTool.from_function(
            explain,
            name="explain",
            description="Explain what a command line, script or encoded blob does, without running it.",
            args_schema=Explain,
        ),
        StructuredTool.from_function(
            search_runbooks,
            name="search_runbooks",
            description="Find the sections of runbooks that fit.",
            args_schema=SearchRunbooks,
        ),
    ]
