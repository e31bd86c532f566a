"""Call the URL of a plan: plain GET, tags replaced and quoted, 5 s, three tries (SPEC 3.4)."""

import http.client
import urllib.error
import urllib.request
from datetime import timedelta

from authservers.models import User
from broker.connect import tags
from broker.connect.actions import standing
from broker.core import audit
from broker.core.db import assert_outside
from broker.core.jobs import Done, Failed, Kind, Later, Moot, Result
from broker.core.models import Job
from plans.engine import Due
from plans.tags import render_url

TIMEOUT = 5.0
TRIES = 3


def run(job: Job) -> Result:
    """Call it; an answer of 400 or more, or none, is tried again twice."""
    desktop, against = standing(job)
    if against is not None or desktop is None:
        return against or Moot("The desktop is gone.")
    due = Due.from_json(job.payload["due"])
    user = User.objects.filter(pk=job.payload.get("user")).first()
    url = render_url(due.detail, tags.values(desktop, user))
    assert_outside()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="GET"), timeout=TIMEOUT) as answer:  # noqa: S310 - http(s) only, checked by the form
            audit.record("plan.job_executed", f"Called the URL of plan {due.plan}: {answer.status}.", desktop=desktop)
            return Done(f"It answered {answer.status}.")
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        why = f"The URL did not answer well: {error}"
        return Later(why) if job.tries < TRIES else Failed(why)


KIND = Kind(run=run, lease=timedelta(seconds=40), gives_up=True)
