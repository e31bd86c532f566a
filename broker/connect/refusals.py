"""Why a launch whose way was opened leads nowhere any more, in words for its user."""

from django.utils.timezone import localtime

from broker.connect import rights, strangers
from broker.connect.launching import UP
from broker.connect.models import Launch
from broker.connect.steps import LIMITS, Step
from broker.core.clock import now

OUTDATED = "That connection file is no longer valid. Press the button below to take a new file."
USED = "The connection file of {at} has been used. Press the button below to take a new file."
NOT_UP = "The desktop does not run any more. Press the button below: it is started, and you get a new file."
OVER = "This connection has ended. Press the button on your desktop's card for a new one."
ANEW = "You have connected to this desktop from another window."
RELEASED = "This desktop is no longer yours: {why}."
STOPPED = "The desktop does not run any more. Press the button on its card: it is started, and you are connected."
NO_RIGHT = "Your right to log on to this desktop has run out. Press the button on its card: it is renewed."
OCCUPIED = "Somebody else is logged in to this desktop just now. Press the button on its card to see what can be done."


def no_file(launch: Launch) -> str:
    """Why no file is handed out, or "": before the way is open, after the login, and when its time is over."""
    if not opened(launch) or launch.assignment.closed_at is not None:
        return OUTDATED
    if launch.ended_at is not None and launch.opened_at and launch.ended_at > launch.opened_at:
        return USED.format(at=localtime(launch.file_at or launch.opened_at).strftime("%H:%M"))
    if launch.opened_at and now() - launch.opened_at > LIMITS[Step.CONNECTING]:
        return OUTDATED
    return "" if runs(launch) else NOT_UP


def no_viewer(launch: Launch) -> str:
    """Why the browser gets no token, or "". A launch lasts as long as the desktop is its user's: whoever reloads the
    page goes on where they were."""
    if launch.assignment.closed_at is not None:
        return RELEASED.format(why=launch.assignment.close_reason)
    if launch.step == Step.CANCELLED:
        return ANEW
    if not opened(launch):
        return OVER
    if not runs(launch):
        return STOPPED
    if not rights.confirmed(launch.desktop, launch.assignment):
        return NO_RIGHT
    return OCCUPIED if strangers.others(launch.desktop, launch.user) else ""


def opened(launch: Launch) -> bool:
    """Whether its way is open, or was."""
    return launch.step in (Step.CONNECTING, Step.DONE) and launch.opened_at is not None


def runs(launch: Launch) -> bool:
    """Whether the desktop can be reached, by the last look."""
    desktop = launch.desktop
    return desktop.power in UP and not desktop.wish and bool(desktop.destination)
