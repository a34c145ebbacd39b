import pytest

from tracehound.graphs.orders import action_of, words
from tracehound.graphs.routing import route_of, speaks_of_something_else

ORDERS = {
    "isolate PC-7 now": "isolate_host",
    "PC-7 is done for, cut it off the network please": "isolate_host",
    "the DC was roasted last week, just isolate DC-9 until we know more": "isolate_host",
    "disconnect PC-7 from the LAN": "isolate_host",
    "please release PC-7": "release_host",
    "her token leaked. kill her sessions, all of them": "revoke_sessions",
    "sign ann out everywhere": "revoke_sessions",
    "pull that mail from pay@evil.test out of every mailbox": "remove_mail",
    "purge the phishing messages from all inboxes": "remove_mail",
    "kill process 4711 on PC-7": "kill_process",
}
QUESTIONS = [
    "did anyone kill a process on PC-7",
    "was the session of ann terminated by an attacker",
    "which mails were deleted from the mailbox of bob?",
    "who contained PC-7 yesterday?",
    "did the attacker delete messages from his inbox?",
    "is host PC-7 isolated?",
    "when was PC-7 cut off the network",
    "lateral movement from PC-7 in the last day",
]


@pytest.mark.parametrize(("text", "action"), ORDERS.items())
def test_an_order_is_routed_to_the_action_that_it_means(text: str, action: str) -> None:
    assert (route_of(text), action_of(text)) == ("respond", action)


@pytest.mark.parametrize("text", QUESTIONS)
def test_a_question_about_an_act_is_no_order(text: str) -> None:
    assert route_of(text) == "search"


def test_every_action_is_reached_by_some_words() -> None:
    assert {act.action for act in words().acts} >= set(ORDERS.values())


@pytest.mark.parametrize(
    ("text", "elsewhere"),
    [
        ("book me a train to Lyon, the hotel that bob likes", True),
        ("what is the weather in Oslo", True),
        ("did bob open the hotel invoice attachment", False),
        ("what did bob do yesterday", False),
    ],
)
def test_other_walks_of_life_are_told_apart(text: str, elsewhere: bool) -> None:
    assert speaks_of_something_else(text) is elsewhere
