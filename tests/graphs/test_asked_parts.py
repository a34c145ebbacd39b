"""What a question asks in its parts, which addresses it means, and whether it leans on the question before it."""

import pytest

from tracehound.graphs.clauses import MOST, PLAIN, asked_by_parts, clauses
from tracehound.graphs.references import leans
from tracehound.graphs.scoping import meant_addresses
from tracehound.graphs.think import Candidate
from tracehound.tools.library import HuntLibrary


def test_a_question_falls_into_what_it_asks() -> None:
    assert clauses("phishing mail, typed password: when?") == ("phishing mail", "typed password")
    assert clauses("who signed in from abroad") == ()


def test_each_part_adds_the_hunt_that_it_clearly_asks_for() -> None:
    library = HuntLibrary.load()
    scores = {"the password reset": ("identity.password-change", PLAIN), "the spray": ("identity.password-spray", 0.9)}

    def near(part: str) -> list[Candidate]:
        hunt, score = scores.get(part, ("cloud.secrets", PLAIN - 0.01))
        return [Candidate(library.get(hunt), score, True)]

    question = "the password reset or the spray, and something else entirely"
    assert set(asked_by_parts(question, ("identity.password-spray",), near)) == {"identity.password-change"}
    assert len(asked_by_parts(question, (), near)) <= MOST


@pytest.mark.parametrize(
    ("question", "named", "meant"),
    [
        (
            "from 203.0.113.4 to 203.0.113.6",
            ("203.0.113.4", "203.0.113.6"),
            {"203.0.113.4", "203.0.113.5", "203.0.113.6"},
        ),
        ("calls from addresses other than 192.0.2.10", ("192.0.2.10",), set()),
        ("192.0.2.1 and 192.0.2.9", ("192.0.2.1", "192.0.2.9"), {"192.0.2.1", "192.0.2.9"}),
        ("from 10.0.0.0 to 10.9.0.0", ("10.0.0.0", "10.9.0.0"), {"10.0.0.0", "10.9.0.0"}),
        ("from 10.0.0.9 to 10.0.0.1", ("10.0.0.9", "10.0.0.1"), {"10.0.0.9", "10.0.0.1"}),
    ],
)
def test_addresses_that_are_meant(question: str, named: tuple[str, ...], meant: set[str]) -> None:
    assert set(meant_addresses(question, named)) == meant


def test_a_question_leans_on_the_one_before() -> None:
    assert leans("and was that rolled back at some point?")
    assert leans("which other holes are open")
    assert not leans("who clicked the link")
