"""A bare LangGraph graph that makes the calls of an investigation and nothing else: no check, evidence or claims."""

import operator
from collections.abc import Sequence
from typing import Annotated, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Send

from ...tools.languages.query import Query
from ...tools.vendors.estate import Estate


class Fetch(TypedDict):
    """One query to send: its round and its place there."""

    round: int
    place: int


class Progress(TypedDict):
    """Where the graph is, and how many rows came back."""

    round: int
    rows: Annotated[int, operator.add]


def bare_graph(
    estate: Estate, rounds: Sequence[Sequence[Query]]
) -> CompiledStateGraph[Progress, None, Progress, Progress]:
    """A graph that sends these queries, round after round, through the estate's own clients."""

    async def fetch(state: Fetch) -> dict[str, int]:
        query = rounds[state["round"]][state["place"]]
        reader = estate.reader(query.platform)
        assert reader is not None
        return {"rows": len((await reader.run(query)).rows)}

    def fan_out(state: Progress) -> list[Send] | str:
        number = state["round"]
        if number == len(rounds):
            return END
        return [Send("fetch", Fetch(round=number, place=place)) for place in range(len(rounds[number]))]

    def gather(state: Progress) -> dict[str, int]:
        return {"round": state["round"] + 1}

    graph = StateGraph(Progress)
    graph.add_node("begin", lambda state: {})
    graph.add_node("fetch", fetch, input_schema=Fetch)
    graph.add_node("gather", gather)
    graph.add_edge(START, "begin")
    graph.add_conditional_edges("begin", fan_out, ["fetch", END])
    graph.add_edge("fetch", "gather")
    graph.add_conditional_edges("gather", fan_out, ["fetch", END])
    return graph.compile()
