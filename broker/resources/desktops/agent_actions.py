"""What an administrator can do with the agent of a desktop. Each answers with a sentence, or raises Refused."""

from django.http import HttpRequest

from agents import services
from agents.models import Agent
from agents.waking import wake
from broker.core import audit
from broker.core.pages import Action, Refused
from broker.resources.desktops.rows import agent_of
from centers.models import Desktop


def test_agent(request: HttpRequest, row: Desktop) -> str:
    """Call the agent's port now, signed, and say what came of it."""
    said = wake(agent(row))
    audit.record("agent.tested", said.detail, actor=request.user, desktop=row, subject=row)
    if not said.ok:
        raise Refused(f"{said.detail} Without it everything works, but commands wait for the agent's next poll.")
    return said.detail


def rotate_key(request: HttpRequest, row: Desktop) -> str:
    """Void the key; the agent asks for a new one by its enrolment token."""
    services.rotate_key(agent(row))
    return f"The key of the agent of {row} is void. It registers again with its enrolment token."


def revoke_agent(request: HttpRequest, row: Desktop) -> str:
    """End the agent, and let the next one wait for approval."""
    services.revoke(agent(row), str(request.user))
    return f"The agent of {row} is revoked. The next one that registers waits under Waiting agents."


def agent(row: Desktop) -> Agent:
    """The agent that counts; raises Refused where there is none."""
    found = agent_of(row)
    if found is None:
        raise Refused(f"No agent was ever heard from {row}.")
    found.desktop = row
    return found


def has_agent(row: Desktop) -> bool:
    """Whether these actions apply."""
    return agent_of(row) is not None


ACTIONS = {
    "test_agent": Action("Test agent", test_agent, applies=has_agent, help="Calls the agent's port now."),
    "rotate_key": Action(
        "Rotate agent key",
        rotate_key,
        bulk=True,
        applies=has_agent,
        confirm="The key ends at once; the agent registers again with the enrolment token that its image holds.",
    ),
    "revoke_agent": Action(
        "Revoke agent",
        revoke_agent,
        bulk=True,
        danger=True,
        applies=has_agent,
        confirm="Nothing that the agent says counts from now on, and who is logged in is no longer known. "
        "The next agent that registers for the desktop waits for your approval.",
    ),
}
