"""The HTML report in a real browser: what it shows, what it can be worked with, and what it never does."""

import json
import re
from base64 import b64decode
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tracehound.tools.evidence.records import Answer
from tracehound.tools.evidence.report.html import environment, render, to_html

Make = Callable[..., Answer]
SHOWN = "[...document.querySelectorAll('.entry:not([hidden])')].length"
TAB, SHIFT = 9, 8

HOSTILE: list[str] = json.loads((Path(__file__).parent / "hostile.json").read_text(encoding="utf-8"))


@pytest.fixture
def page(tmp_path: Path) -> Callable[[str], Path]:
    def write(content: str) -> Path:
        place = tmp_path / "report.html"
        place.write_text(content, encoding="utf-8")
        return place

    return write


@pytest.fixture
def opened(tab: Any, page: Any, made: Make) -> Callable[..., Any]:
    """A tab that shows the report of some entries."""

    def show(entries: int = 12, text: Any = "whoami.exe", width: int = 1400) -> Any:
        tab.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        tab.open(page(to_html(made(entries, text))))
        tab.settle()
        return tab

    return show


def test_filters_narrow_the_list_and_the_drawing(opened: Any) -> None:
    tab = opened(12, text=lambda n: f"value{n}.exe")
    assert tab.run(SHOWN) == 14
    assert tab.run("document.getElementById('shown').textContent") == "14 of 14 entries shown"

    def tick(group: str, name: str) -> int:
        tab.run(
            f"[...document.querySelectorAll('fieldset')].find(f => f.textContent.startsWith('{group}'))"
            ".querySelectorAll('label')"
            f".forEach(l => {{ if (l.textContent.startsWith('{name}')) l.querySelector('input').click() }})"
        )
        tab.settle()
        return int(tab.run(SHOWN))

    hosts = "[...document.querySelectorAll('.entry:not([hidden]) .place')].map(e => e.textContent)"
    first = tick("Host", "SRV-1")
    assert 0 < first < 14
    assert set(tab.run(hosts)) == {"SRV-1"}
    both = tick("Host", "WS-3")
    assert both > first
    assert set(tab.run(hosts)) == {"SRV-1", "WS-3"}
    tactic = tick("Tactic", "Execution")
    assert 0 < tactic < both
    assert set(tab.run("[...document.querySelectorAll('.entry:not([hidden]) .tactic')].map(e => e.textContent)")) == {
        "Execution"
    }
    platform = tick("Platform", "falcon")
    assert platform <= tactic
    assert tab.run("document.querySelectorAll('.mark:not(.off)').length") == platform

    tab.run("document.querySelector('button[type=reset]').click()")
    tab.settle()
    assert tab.run(SHOWN) == 14
    tab.run("document.getElementById('words').focus()")
    tab.send("Input.insertText", text="RAN value6.exe")
    tab.settle()
    assert tab.run(SHOWN) == 1
    assert tab.run("document.querySelector('.entry:not([hidden])').textContent.includes('Step 6')")
    assert tab.run(
        "[...document.querySelectorAll('.day')].every(d => d.hidden || d.querySelector('.entry:not([hidden])'))"
    )
    assert tab.complaints == []


def test_a_citation_shows_its_row_and_its_query_on_focus_and_on_hover(opened: Any) -> None:
    tab = opened(12, text=lambda n: f"value{n}.exe")
    card = "document.getElementById('card').textContent"
    assert "Point at or focus" in tab.run(card)
    tab.run("document.querySelector('#entry-3 a.cite').focus()")
    tab.settle()
    shown = tab.run(card)
    for words in (
        "process.cmd_line", '"value3.exe"', f"{3:064x}", "As the vendor sent it", "Query Q1", "cql, falcon", "Window",
        "2026-11-01 08:00:00Z to 2026-11-02 08:00:00Z", "incomplete: value4.exe",
    ):  # fmt: skip
        assert words in shown, words
    assert tab.run("document.getElementById('inspected').textContent") == "Row E3"
    tab.hover("#entry-5 a.cite")
    tab.settle()
    assert "value5.exe" in tab.run(card)
    assert tab.run(
        "document.querySelectorAll('[id]').length === new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"
    )
    assert tab.complaints == []


def test_everything_is_reached_by_keyboard_alone(opened: Any) -> None:
    tab = opened(4)
    tab.key("Tab", TAB)
    assert tab.run("document.activeElement.textContent") == "Skip to the answer"
    tab.key("Enter", 13, "\r")
    assert tab.run("document.activeElement.id") == "main"
    visited: list[str] = []
    describe = (
        "(e => e.tagName + ' ' + (e.getAttribute('href') || e.id || e.value || e.getAttribute('aria-label') || ''))"
        "(document.activeElement)"
    )
    for _ in range(160):
        tab.key("Tab", TAB)
        visited.append(tab.run(describe))
        if visited[-1] == "DIV card":
            break
    assert [name for name in visited if name.startswith("A #row-")][:2] == ["A #row-1", "A #row-2"]
    assert "INPUT words" in visited
    assert any(name.startswith("INPUT h0") for name in visited)
    assert "DIV Drawn timeline" in visited
    assert "DIV card" in visited
    assert not any("#entry-" in name for name in visited), "marks of the drawing would make hundreds of stops"
    assert len(visited) == len([name for name in visited if name != "BODY "])

    tab.run("document.querySelector('.choice input').focus()")
    tab.key(" ", 32, " ")
    tab.settle()
    assert tab.run(SHOWN) < 6
    tab.key(" ", 32, " ")
    tab.settle()
    tab.run("document.querySelector('#entry-2 a.cite').focus()")
    tab.key("Enter", 13, "\r")
    tab.settle()
    assert tab.run("document.querySelector('#r2').open")
    assert tab.run("location.hash") == "#row-2"
    assert tab.run("getComputedStyle(document.querySelector('#r2 summary')).outlineStyle !== undefined")


def test_the_page_is_read_aloud_in_an_order_that_makes_sense(opened: Any) -> None:
    tab = opened(8)
    assert tab.run("document.documentElement.lang") == "en"
    levels = tab.run("[...document.querySelectorAll('h1, main h2, main h3')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    nodes = tab.send("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    for role in (
        "main",
        "navigation",
        "complementary",
        "banner",
        "contentinfo",
        "form",
        "searchbox",
    ):
        assert role in roles, role
    named = ("link", "button", "checkbox", "searchbox", "region", "image")
    silent = [
        node["role"]["value"]
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in named and not node.get("name", {}).get("value", "").strip()
    ]
    assert silent == []


CONTRAST = r"""
(() => {
  const channel = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const read = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]));
  const ground = (node) => { const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(read(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]); };
  const bad = {};
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || node.closest("svg")) continue;
    const shades = [light(over(read(getComputedStyle(node).color), ground(node))), light(ground(node))];
    const [one, two] = shades.sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < 4.5) bad[node.tagName + "." + node.className] = ratio.toFixed(2);
  }
  return bad;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(opened: Any, scheme: str) -> None:
    tab = opened(12)
    tab.prefer(scheme)
    tab.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    tab.run("document.querySelector('#entry-2 a.cite').focus()")
    tab.settle()
    ground = tab.run("getComputedStyle(document.documentElement).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert brightness < 60 if scheme == "dark" else brightness > 230
    assert tab.run(CONTRAST) == {}


def test_on_paper_everything_is_there(opened: Any) -> None:
    tab = opened(12, text=lambda n: f"value{n}.exe")
    tab.run(
        "document.getElementById('words').value = 'value6.exe';"
        "document.getElementById('filters').dispatchEvent(new Event('input'))"
    )
    tab.settle()
    assert tab.run(SHOWN) == 1
    tab.prefer(media="print")
    seen = "e => e.checkVisibility({contentVisibilityAuto: true})"
    assert tab.run(f"[...document.querySelectorAll('.entry')].every({seen})")
    assert tab.run(f"[...document.querySelectorAll('.record .held pre, #claims td')].every({seen})")
    assert not tab.run(f"['.filters', '.inspector', '.toc'].some(s => ({seen})(document.querySelector(s)))")
    assert tab.run("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    paper = b64decode(tab.send("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert paper.startswith(b"%PDF")
    assert len(paper) > 20_000


def test_it_fits_a_phone(opened: Any) -> None:
    tab = opened(12, text="A-very-long-host-name-without-a-break.corp.example-" * 3, width=375)
    assert tab.run("document.documentElement.scrollWidth") <= 375
    tab.run("document.querySelector('#entry-2 a.cite').focus()")
    tab.settle()
    box = tab.run("(b => [b.top, b.bottom, b.width])(document.getElementById('inspector').getBoundingClientRect())")
    assert box[0] > 300
    assert box[1] <= 901
    assert box[2] <= 375
    tab.key("Escape", 27)
    tab.settle()
    assert not tab.run("document.getElementById('inspector').checkVisibility()")


def test_without_scripts_all_but_the_filters_works(tab: Any, page: Any, made: Make) -> None:
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(page(to_html(made(8, lambda n: f"value{n}.exe"))))
    document = tab.send("DOM.getDocument", depth=0)["root"]["nodeId"]

    def node(selector: str) -> int:
        return int(tab.send("DOM.querySelector", nodeId=document, selector=selector)["nodeId"])

    def box(selector: str) -> list[float] | None:
        """Corners of an element that is drawn; the browser gives none of one that is not."""
        tree = tab.send("DOMSnapshot.captureSnapshot", computedStyles=[], includeDOMRects=True)
        strings, layout = tree["strings"], tree["documents"][0]
        backend = tab.send("DOM.describeNode", nodeId=node(selector))["node"]["backendNodeId"]
        place = layout["nodes"]["backendNodeId"].index(backend)
        del strings
        held = layout["layout"]["nodeIndex"]
        return layout["layout"]["bounds"][held.index(place)] if place in held else None

    assert box(".filters") is None
    assert box(".entry") is not None
    assert box(".inspector") is None
    before = box("#row-2 pre")
    tab.send("DOM.focus", nodeId=node("#entry-2 a.cite"))
    tab.key("Shift", 16)  # focus by keyboard, not by pointer
    shown, query = box("#row-2"), box("#query-1")
    assert shown != before
    assert shown is not None
    assert shown[3] > 50
    assert query is not None
    assert query[3] > 20
    tab.key("Enter", 13, "\r")
    tab.send("Page.getFrameTree")
    assert tab.send("Page.getNavigationHistory")["entries"][-1]["url"].endswith("#row-2")
    assert tab.complaints == []


def test_hostile_strings_stay_text(tab: Any, page: Any, made: Make) -> None:
    assert len(HOSTILE) == 100
    tab.send(
        "Page.addScriptToEvaluateOnNewDocument",
        source="window.alert = () => { window.fired = (window.fired || 0) + 1 }",
    )
    for start in range(0, 100, 10):
        file = page(to_html(made(30, lambda n, start=start: HOSTILE[(start + n) % 100])))
        tab.open(file)
        tab.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        tab.run("document.querySelectorAll('main a.cite').forEach(a => a.focus())")
        tab.settle()
        assert tab.run("window.fired || 0") == 0
        assert (
            tab.run(
                "document.querySelectorAll('script, style, iframe, img, object, embed, base, link, video, form').length"
            )
            == 3
        )
        assert set(tab.requests) == {file.as_uri()}
        assert tab.complaints == []


def test_with_the_defences_off_the_strings_would_have_fired(tab: Any, page: Any, made: Make) -> None:
    tab.send(
        "Page.addScriptToEvaluateOnNewDocument",
        source="window.alert = () => { window.fired = (window.fired || 0) + 1 }",
    )
    answer = made(30, lambda n: HOSTILE[n % 24])
    unescaped = render(answer, environment(autoescape=False))
    open_door = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", unescaped)
    tab.open(page(open_door))
    tab.settle()
    assert tab.run("window.fired || 0") > 0, "neither escaped nor under a policy, the strings run"

    # The policy is a second wall: with escaping off alone, the strings are markup, and still nothing runs.
    tab.open(page(unescaped))
    tab.settle()
    assert tab.run("window.fired || 0") == 0
    assert any("ContentSecurityPolicy" in said or "Content Security Policy" in said for said in tab.complaints)


def test_requests_would_be_seen(tab: Any, page: Any) -> None:
    tab.open(page("<img src=http://127.0.0.1:9/pixel.png>"))
    tab.settle()
    assert "http://127.0.0.1:9/pixel.png" in tab.requests


def test_five_hundred_entries_stay_usable(opened: Any) -> None:
    tab = opened(500, text=lambda n: f"value{n}.exe")
    assert tab.run(SHOWN) == 502
    tab.run("document.getElementById('words').focus()")
    tab.send("Input.insertText", text="value77.exe")
    tab.settle()
    assert tab.run(SHOWN) == 1
    assert tab.requests == [tab.requests[0]]
