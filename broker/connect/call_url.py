"""Call the URL of a plan: plain GET, tags replaced and quoted, 5 s, three tries (SPEC 3.4).

A redirect is an answer and is not followed. Link-local addresses are refused: there clouds keep the keys of a machine.
"""

import http.client
import socket
import urllib.error
import urllib.request
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

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


class Stay(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for the answer."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """What was answered."""
        return fp

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


OPENER = urllib.request.build_opener(Stay)


def refuse_link_local(url: str) -> None:
    """Look the host up; raises OSError where it is a link-local address or none at all, ValueError for a bad port."""
    parts = urlsplit(url)
    for found in socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM):
        address = ip_address(str(found[4][0]).partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        if (mapped or address).is_link_local:
            raise OSError(f"{parts.hostname} is a link-local address, which is never called")


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
        refuse_link_local(url)
        with OPENER.open(urllib.request.Request(url, method="GET"), timeout=TIMEOUT) as answer:  # noqa: S310 - http(s) only, checked by the form
            audit.record("plan.job_executed", f"Called the URL of plan {due.plan}: {answer.status}.", desktop=desktop)
            return Done(f"It answered {answer.status}.")
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        why = f"The URL did not answer well: {error}"
        return Later(why) if job.tries < TRIES else Failed(why)


KIND = Kind(run=run, lease=timedelta(seconds=40), gives_up=True)
