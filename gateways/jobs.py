"""The gateways' kinds of jobs."""

from datetime import timedelta

from broker.core.clock import now
from broker.core.jobs import Done, Kind, Moot, Result
from broker.core.models import Job
from gateways import beats, closing
from gateways.checks import EVERY, check
from gateways.models import Gateway

GIVEN_UP = timedelta(minutes=2)  # sessions of a gateway that says nothing for so long count as ended


def status(job: Job) -> Result:
    """Is it there? Asked again in half a minute."""
    gateway = Gateway.objects.filter(pk=int(job.subject.partition(":")[2])).first()
    if gateway is None:
        return Moot("The gateway is gone.")
    said = check(gateway)
    if gateway.heard_at and gateway.heard_at < now() - GIVEN_UP:
        beats.silent(gateway)
    return Done(said, again_at=now() + EVERY)


HANDLERS = {
    "gateway_status": Kind(run=status, lease=timedelta(seconds=45)),
    "port_close": Kind(run=closing.run, lease=timedelta(seconds=60), deadline=timedelta(days=1), gives_up=True),
}
