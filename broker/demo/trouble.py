"""The switches that make the simulated AWS account misbehave, so that people can see how the broker copes."""

from typing import Any

from broker import env
from broker.demo.desktops.calls import Away, Refused, Site

CHOICES: dict[str, tuple[str, dict[str, Any] | None]] = {
    "none": ("Works as it should", None),
    "throttle": ("Refuses every call: too many requests (throttling)", {"kind": "throttle"}),
    "slow": ("Answers each call 4 seconds late", {"kind": "slow", "seconds": 4}),
    "fail": ("Fails with an internal error", {"kind": "fail", "status": 500}),
    "no_start": (
        "Refuses to start WorkSpaces",
        {
            "kind": "refuse",
            "operation": "StartWorkspaces",
            "code": "OperationNotSupportedException",
            "message": "The demo's switch refuses to start WorkSpaces.",
        },
    ),
    "no_capacity": (
        "Refuses new WorkSpaces: the quota is reached",
        {
            "kind": "refuse",
            "operation": "CreateWorkspaces",
            "code": "ResourceLimitExceeded.Workspaces",
            "message": "The demo's switch says that the quota of WorkSpaces is reached.",
        },
    ),
}


class NoAccount(Exception):
    """The simulated account does not answer, or did not take the switch."""


def account() -> Site:
    """The simulated account."""
    return Site(env.text("AWS_ENDPOINT_URL_WORKSPACES"))


def chosen() -> str | None:
    """The trouble that is on; None where the account does not answer."""
    try:
        switches = account().call("GET", "/_usher/switches")
    except (Away, Refused):
        return None
    for name, (_, body) in CHOICES.items():
        if body and switches and all(switches[0].get(key) == value for key, value in body.items()):
            return name
    return "none"


def choose(name: str) -> str:
    """Switch to one trouble, or to none; what it is, in words. Raises NoAccount."""
    words, body = CHOICES.get(name, CHOICES["none"])
    try:
        account().call("DELETE", "/_usher/switches")
        if body:
            account().call("POST", "/_usher/switches", body)
    except (Away, Refused) as error:
        raise NoAccount("The simulated AWS account does not answer.") from error
    return words
