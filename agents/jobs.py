"""Jobs about agents."""

from datetime import timedelta

from agents.models import Agent, AgentCommand
from agents.waking import WITHIN, wake
from broker.core.clock import now
from broker.core.jobs import Done, Kind, Moot, Result
from broker.core.models import Job


def check_status(job: Job) -> Result:
    """Wake an agent whose poll is not held, as there is a command for it. It polls by itself in any case."""
    agents = Agent.objects.select_related("desktop").filter(approved=True, revoked_at=None)
    agent = agents.filter(pk=job.payload.get("agent")).exclude(desktop=None).first()
    if agent is None:
        return Moot("The agent is gone.")
    if not AgentCommand.objects.filter(agent=agent, fetched_at=None, done_at=None, expires_at__gt=now()).exists():
        return Moot("It has fetched its commands already.")
    return Done(wake(agent).detail)


HANDLERS = {
    "check_status": Kind(run=check_status, lease=timedelta(seconds=WITHIN + 30), deadline=timedelta(minutes=5)),
}
