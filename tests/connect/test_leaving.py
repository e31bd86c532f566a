"""What a card says will happen when its user leaves: in "you" words, and only what can happen."""

from datetime import timedelta

from broker.connect import leaving
from plans.engine import Action, Event, Step

STOP = Step(Event.LOGGED_OUT, Action.STOP, timedelta(minutes=10), "Stop")
RELEASE = Step(Event.DISCONNECTED, Action.RELEASE, timedelta(hours=1), "Release")
LOG_OUT = Step(Event.RELEASED, Action.LOG_OUT, timedelta(), "Release")
CALL = Step(Event.LOGGED_OUT, Action.CALL_URL, timedelta(), "Release", "https://example.test/")


def test_what_follows_a_release_is_left_out_where_nothing_releases() -> None:
    """The user hears instead that the desktop stays theirs."""
    assert leaving.in_words([LOG_OUT, STOP]) == ["It is shut down 10 minutes after you log out.", "It stays yours."]


def test_a_plan_that_releases_says_so_and_what_follows() -> None:
    """In the order in which a session meets them; calls to URLs are nothing to the user."""
    assert leaving.in_words([LOG_OUT, CALL, RELEASE]) == [
        "It goes back to its pool 1 hour after you disconnect.",
        "You are logged out when it goes back.",
    ]


def test_plans_that_do_nothing_say_nothing() -> None:
    """Not even that the desktop is kept: the section is not shown."""
    assert leaving.in_words([CALL]) == []
