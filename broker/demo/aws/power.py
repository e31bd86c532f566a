"""Start, stop, reboot, rebuild: each with the state preconditions of SPEC 13.2, item by item."""

from collections.abc import Callable, Iterable
from typing import Any

from broker.demo.aws.account import Account
from broker.demo.aws.errors import ItemError
from broker.demo.aws.world import Step, Workspace

Params = dict[str, Any]
Answer = dict[str, Any]
Change = Callable[[Account, Workspace, float], None]

STOPPABLE = ("AVAILABLE", "IMPAIRED", "UNHEALTHY", "ERROR")
REBOOTABLE = ("AVAILABLE", "UNHEALTHY", "REBOOTING")
REBUILDABLE = ("AVAILABLE", "ERROR", "UNHEALTHY", "STOPPED", "REBOOTING")
_HEALED = {"error_code": "", "error_message": ""}


def start_workspaces(account: Account, params: Params) -> Answer:
    """AWS API: StartWorkspaces."""
    return each(account, params["StartWorkspaceRequests"], _start)


def stop_workspaces(account: Account, params: Params) -> Answer:
    """AWS API: StopWorkspaces."""
    return each(account, params["StopWorkspaceRequests"], _stop)


def reboot_workspaces(account: Account, params: Params) -> Answer:
    """AWS API: RebootWorkspaces."""
    return each(account, params["RebootWorkspaceRequests"], _reboot)


def rebuild_workspaces(account: Account, params: Params) -> Answer:
    """AWS API: RebuildWorkspaces: one per call (botocore's model), and a new address afterwards (RULES 3)."""
    return each(account, params["RebuildWorkspaceRequests"], _rebuild)


def each(account: Account, requests: Iterable[Params], change: Change) -> Answer:
    """Apply `change` to every item; refusals become `FailedRequests`."""
    failed = []
    with account.at_present() as now:
        for request in requests:
            ref = request.get("WorkspaceId", "")
            try:
                change(account, _known(account, ref, now), now)
            except ItemError as error:
                failed.append({"WorkspaceId": ref, "ErrorCode": error.code, "ErrorMessage": error.message})
    return {"FailedRequests": failed}


def _known(account: Account, ref: str, now: float) -> Workspace:
    row = account.workspaces.get(ref)
    if row is None or row.visible_from > now:
        raise ItemError("ResourceNotFound.Workspace", f"The WorkSpace {ref} could not be found.")
    return row


def _start(account: Account, row: Workspace, now: float) -> None:
    _not_always_on(row, "started")
    _in_state(row, ("STOPPED",), "started")
    if row.on_its_way:  # accepted a moment ago, the state has not moved yet
        return
    moves = now + account.timings.power_lag
    row.plan(Step(moves, "STARTING"), Step(moves + account.timings.starting, "AVAILABLE"))


def _stop(account: Account, row: Workspace, now: float) -> None:
    _not_always_on(row, "stopped")
    _in_state(row, STOPPABLE, "stopped")
    if row.on_its_way:
        return
    moves = now + account.timings.power_lag
    stopped = {"connected": False, **_HEALED}
    row.plan(Step(moves, "STOPPING"), Step(moves + account.timings.stopping, "STOPPED", stopped))


def _reboot(account: Account, row: Workspace, now: float) -> None:
    _in_state(row, REBOOTABLE, "rebooted")
    if row.on_its_way and row.state != "REBOOTING":
        return
    moves = now + account.timings.power_lag
    healed = {"connected": False, **_HEALED}
    row.plan(Step(moves, "REBOOTING"), Step(moves + account.timings.rebooting, "AVAILABLE", healed))


def _rebuild(account: Account, row: Workspace, now: float) -> None:
    _in_state(row, REBUILDABLE, "rebuilt")
    ends = "STOPPED" if row.state == "STOPPED" else "AVAILABLE"
    row.state = "REBUILDING"
    reborn = {"ip_address": account.new_address(), "connected": False, **_HEALED}
    row.plan(Step(now + account.timings.rebuilding, ends, reborn))


def _not_always_on(row: Workspace, done: str) -> None:
    if row.running_mode == "ALWAYS_ON":
        raise ItemError(
            "OperationNotSupportedException",
            f"WorkSpace {row.id} cannot be {done}: its running mode is ALWAYS_ON.",
        )


def _in_state(row: Workspace, states: tuple[str, ...], done: str) -> None:
    if row.state not in states:
        raise ItemError(
            "InvalidResourceStateException",
            f"WorkSpace {row.id} cannot be {done} while its state is {row.state}; it must be {', '.join(states)}.",
        )
