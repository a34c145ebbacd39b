"""Tracehound inside another program, as the manual shows it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tracehound import Answer, Approver, Copilot, Settings, TracehoundError
from tracehound.evals.lab import Lab
from tracehound.knowledge.errors import ConfigurationError

pytestmark = pytest.mark.anyio
QUESTION = "show me lateral movement from WS-042 in the last day"


async def test_ask_stream_approve(desk_home: Path, lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = Lab.open(lab)
    async with Copilot(estate=held.estate(), model="offline") as copilot:
        answer = await copilot.ask(QUESTION)
        assert isinstance(answer, Answer)
        assert answer.to_markdown().startswith("# show me lateral movement")
        assert answer.model_dump(mode="json")["case"] == answer.case

        events = [event async for event in copilot.stream("which alerts are there on WS-042?", case=answer.case)]
        assert events[0]["type"] == "session"
        assert events[-1]["type"] == "result"
        assert events[-1]["answer"].case == answer.case

        (proposal,) = answer.proposals
        outcome = await copilot.approve(proposal.id, approver=Approver.open("lead", home=desk_home))
        assert outcome.status == "verified"
        again = await copilot.approve(proposal.id, approver=Approver.open("lead"))
        assert again.status == "verified"
    assert len(held.journal()) == 1
    assert capsys.readouterr() == ("", "")


async def test_tools_for_other_agents_change_nothing(desk_home: Path, lab: Path) -> None:
    held = Lab.open(lab)
    async with Copilot(estate=held.estate()) as copilot:
        tools = {tool.name: tool for tool in copilot.tools()}
        assert set(tools) == {"ask", "translate", "check_query", "explain", "search_runbooks"}

        async def call(name: str, **arguments: Any) -> Any:
            return await tools[name].ainvoke(arguments)

        assert "WS-042" in await call("ask", question=QUESTION)
        message = await tools["ask"].ainvoke(
            {"type": "tool_call", "id": "1", "name": "ask", "args": {"question": "which alerts are there on WS-042?"}}
        )
        assert isinstance(message.artifact, Answer)
        translated = await call("translate", question=QUESTION)
        assert translated["window"]["end"].startswith(held.clock.isoformat()[:16])
        assert (await call("check_query", language="kql", query="DeviceEvents | take 1"))["read_only"]
        assert "It was read, not run." in await call("explain", text="whoami /priv")
        assert len(await call("search_runbooks", words="phishing mail", most=2)) == 2
        with pytest.raises(TracehoundError, match="klingon"):
            await call("check_query", language="klingon", query="x")
    assert held.journal() == []


async def test_the_graph_can_be_composed(desk_home: Path, kestrel: Path) -> None:
    async with Copilot(estate=Lab.open(kestrel).estate()) as copilot:
        assert {"route", "scope", "think", "search", "verify", "respond"} <= set(copilot.graph.get_graph().nodes)
        assert json.dumps(copilot.graph.get_graph().to_json())


def test_live_vendors_need_settings(home: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Lab\.open\(\)\.estate\(\)"):
        Copilot.from_settings(Settings(environment={"TRACEHOUND_HOME": str(home)}, user_file=home / "none.toml"))
