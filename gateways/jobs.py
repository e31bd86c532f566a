"""The gateways' kinds of jobs."""

from datetime import timedelta

from broker.core.clock import now
from broker.core.jobs import Done, Kind, Moot, Result
from broker.core.models import Job
from gateways.models import Gateway
from gateways.services import EVERY, check


def run(job: Job) -> Result:
    """Is it there? Asked again in a minute."""
    gateway = Gateway.objects.filter(pk=int(job.subject.partition(":")[2])).first()
    if gateway is None:
        return Moot("The gateway is gone.")
    return Done(check(gateway), again_at=now() + EVERY)


HANDLERS = {"gateway_status": Kind(run=run, lease=timedelta(seconds=45))}
