"""What a control code of the Service Control Manager means for the agent. Pure.

PRESHUTDOWN comes before Windows ends the sessions and the network, with minutes to spare; the agent accepts that and
not SHUTDOWN, which comes when little works any more. SESSIONCHANGE makes it look at the sessions at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

STOPPED, START_PENDING, STOP_PENDING, RUNNING = 1, 2, 3, 4  # dwCurrentState

CONTROL_STOP, CONTROL_INTERROGATE, CONTROL_POWER, CONTROL_SESSION, CONTROL_PRESHUTDOWN = 1, 4, 13, 14, 15
CONTROL_UPGRADE = 128  # our own, by the installer: the STOP that follows is for an upgrade
SUSPEND, RESUME, RESUME_AUTOMATIC = 0x4, 0x7, 0x12  # PBT_APMSUSPEND, PBT_APMRESUMESUSPEND, PBT_APMRESUMEAUTOMATIC

# SERVICE_ACCEPT_STOP, _POWEREVENT, _SESSIONCHANGE, _PRESHUTDOWN
ACCEPTED = 0x1 | 0x40 | 0x80 | 0x100

NO_ERROR, NOT_IMPLEMENTED = 0, 120  # ERROR_CALL_NOT_IMPLEMENTED


@dataclass(frozen=True)
class Standing:
    """Where the service is; `reason` is why it stops (RULES 19), "" before anybody said so."""

    state: int = START_PENDING
    reason: str = ""
    ordered: str = ""  # shutdown or restart, where the broker told us to do it
    upgrade: bool = False


@dataclass(frozen=True)
class Reaction:
    """The standing now, the answer to Windows, and what the agent does about it."""

    standing: Standing
    answer: int = NO_ERROR
    look: bool = False  # at the sessions, at once
    sleep: bool = False  # the machine suspends: say so before it does
    awake: bool = False
    stop: bool = False


def react(standing: Standing, control: int, event: int = 0) -> Reaction:
    """What a control code does. A second order to stop changes nothing."""
    if control == CONTROL_INTERROGATE:
        return Reaction(standing)
    if control == CONTROL_SESSION:
        return Reaction(standing, look=True)
    if control == CONTROL_POWER:
        return Reaction(standing, sleep=event == SUSPEND, awake=event in (RESUME, RESUME_AUTOMATIC))
    if control == CONTROL_UPGRADE:
        return Reaction(replace(standing, upgrade=True))
    if control in (CONTROL_STOP, CONTROL_PRESHUTDOWN):
        return _stop(standing, control)
    return Reaction(standing, NOT_IMPLEMENTED)


def _stop(standing: Standing, control: int) -> Reaction:
    if standing.state in (STOP_PENDING, STOPPED):
        return Reaction(standing)
    if control == CONTROL_PRESHUTDOWN:
        reason = standing.ordered or "shutdown"  # Windows does not say whether it will start again
    else:
        reason = "upgrade" if standing.upgrade else "service"
    return Reaction(replace(standing, state=STOP_PENDING, reason=reason), stop=True)
