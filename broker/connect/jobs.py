"""Job kinds of the runtime."""

from datetime import timedelta

from broker.connect import (
    actions,
    call_url,
    deploy,
    housekeeping,
    inventory,
    launches,
    power,
    queue,
    rogues,
    session_expire,
    session_start,
    tunnel_closed,
)  # fmt: skip
from broker.core.jobs import Kind

ROWS = timedelta(seconds=30)  # the lease of what asks nobody outside
SESSION = Kind(run=actions.run_session_command, lease=ROWS, deadline=timedelta(minutes=30), rows_only=True)

HANDLERS: dict[str, Kind] = {
    "poll": inventory.KIND,
    "wait_for_start": launches.KIND,
    "wait_for_stop": launches.KIND,
    "pool_stats": queue.KIND,
    "power": power.KIND,
    "deploy": deploy.KIND,
    "assign": Kind(run=rogues.assign, lease=ROWS, rows_only=True),
    "release": Kind(run=actions.run_release, lease=ROWS, rows_only=True),
    "logout": SESSION,
    "lock": SESSION,
    "disconnect": SESSION,
    "delete_desktop": Kind(run=actions.run_delete),
    "call_url": call_url.KIND,
    "housekeeping": housekeeping.KIND,
    "session_expire": session_expire.KIND,
    "session_start": session_start.KIND,
    "tunnel_closed": tunnel_closed.KIND,
}
