"""Jobs in words: what one is for, and why it still waits. Pure."""

from datetime import datetime, timedelta

LATE = timedelta(minutes=5)

KINDS: dict[str, str] = {
    "poll": "scan the center",
    "poll_power_state": "look at the power states",
    "wait_for_start": "see whether it has started",
    "wait_for_stop": "see whether it has stopped",
    "check_status": "wake its agent",
    "pool_stats": "serve who waits for a desktop",
    "gateway_status": "ask the gateway how it is",
    "provision": "make desktops for the pool",
    "deploy": "have AWS create it",
    "delete_desktop": "delete from disk",
    "assign": "assign to whoever logged in past the broker",
    "release": "release to the pool",
    "logout": "log the user out",
    "lock": "lock the session",
    "disconnect": "disconnect the session",
    "message": "show a message",
    "call_url": "call a URL",
    "session_start": "call a URL: somebody signed in",
    "port_close": "tell the gateway what is closed",
    "tunnel_closed": "see what a closed connection means",
    "session_expire": "end the sign-ins that a change of rules ended",
    "housekeeping": "tidy up",
}
OPS: dict[str, str] = {"start": "start", "stop": "shut down", "reboot": "restart", "rebuild": "rebuild"}


def asked_for(kind: str, op: str = "") -> str:
    """What a job does, as one would ask for it: "shut down"."""
    return (OPS.get(op) if op else None) or KINDS.get(kind) or kind.replace("_", " ")


def why_waiting(  # noqa: PLR0913 - the clock and the workers are arguments, so that it stays pure
    run_at: datetime, reason: str, now: datetime, *, worker_alive: bool = True, rival: str = "", batch: bool = False
) -> str:
    """Why a pending job has not run: its own reason, its time, another job of its kind, or the workers."""
    if run_at > now:
        return reason or "Its time has not come."
    if not worker_alive:
        return "It is due, but no worker has been heard for a minute: is one running?"
    if rival:
        return f"It is due and waits for {rival}, which does the same thing now."
    if now - run_at > LATE:
        return "It is late: the workers have had more urgent things to do." + (
            f" Last time: {reason}" if reason else ""
        )
    return (
        "It is due: it waits a second for others that one call can do, too."
        if batch
        else "It is due: a worker takes it in a moment."
    )
