"""Job kinds of the runtime."""

from datetime import timedelta

from broker.connect import actions, call_url, deploy, housekeeping, inventory, launches, power, queue, session_expire
from broker.core.jobs import Kind

SESSION = Kind(run=actions.run_session_command, deadline=timedelta(minutes=30))

HANDLERS: dict[str, Kind] = {
    "poll": inventory.KIND,
    "wait_for_start": launches.KIND,
    "wait_for_stop": launches.KIND,
    "check_status": queue.KIND,
    "power": power.KIND,
    "deploy": deploy.KIND,
    "release": Kind(run=actions.run_release),
    "logout": SESSION,
    "lock": SESSION,
    "disconnect": SESSION,
    "delete_desktop": Kind(run=actions.run_delete),
    "call_url": call_url.KIND,
    "housekeeping": housekeeping.KIND,
    "session_expire": session_expire.KIND,
}
