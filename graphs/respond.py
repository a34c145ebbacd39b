"""One response action: wait for a person, then report what became of it.

The graph is not the authority. `approve` does nothing but wait; whether an answer counts is for the ledger to say, and
the action is carried out by the executor process that the decision starts. State carries an approval id and nothing
that could name a target.
"""

from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from .state import Deps


class Reply(BaseModel):
    """What a person's decision brings back into the graph; the ledger holds the decision itself."""

    verdict: Literal["decided"] = "decided"


class ResponseState(TypedDict, total=False):
    """State of one action."""

    approval_id: str
    outcomes: list[dict[str, Any]]


class ResponseUpdate(TypedDict, total=False):
    """What one action adds to the investigation."""

    outcomes: list[dict[str, Any]]


async def approve(state: ResponseState) -> Command[Literal["execute"]]:
    """Wait for a person. Every resume runs this again from its first line, so it has no effect of its own."""
    interrupt({"approval_id": state["approval_id"]}, response_schema=Reply)
    return Command(goto="execute")


async def execute(state: ResponseState, runtime: Runtime[Deps]) -> ResponseUpdate:
    """Read from the ledger what the executor did; the call to the vendor is made by that process, once."""
    outcome = runtime.context.desk.outcome(state["approval_id"])
    return {"outcomes": [outcome.model_dump(mode="json")]}


def response_graph() -> CompiledStateGraph[ResponseState, Deps, ResponseState, ResponseUpdate]:
    """Approve -> execute for one action, a subgraph so that each action moves on by itself."""
    graph = StateGraph(ResponseState, context_schema=Deps, output_schema=ResponseUpdate)
    graph.add_node("approve", approve)
    graph.add_node("execute", execute)  # no retry policy and no cache: an action is never repeated by the graph
    graph.add_edge(START, "approve")
    graph.add_edge("execute", END)
    return graph.compile()
