"""One sentence for each desktop: why is it not offered, why is it still hers, what happens next. No statement."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings

from broker.connect.future import in_brief
from broker.connect.verdicts import UNDEFINED
from broker.resources.desktops.rows import AgentAxis, agent_axis, agent_of, holding, lasting, listed, live, next_due
from centers.models import Center, Desktop

Power = Desktop.Power
WISHES = {
    "start": "start it",
    "stop": "stop it",
    "reboot": "reboot it",
    "rebuild": "rebuild it",
    "delete": "delete it",
}


def sentence(row: Desktop) -> str:
    """What to know about this row, and what comes next."""
    return " ".join(part for part in (why(row), then(row), switches(row) or keeps_running(row)) if part)


def why(row: Desktop) -> str:
    """The first thing that keeps a desktop from being offered, or whose it is, or that it is free."""
    for check in CHECKS:
        said = check(row)
        if said:
            return said
    if row.power in {Power.STOPPED, Power.STOPPING}:
        return "Free, and stopped: offered by policies that have one of its pools and offer stopped desktops."
    return "Free: offered by every policy that has one of its pools."


def then(row: Desktop) -> str:
    """What the plans will do next, and what holds them."""
    found = next_due(row)
    if found is None:
        return ""
    due, held = found
    owner = holding(row)
    zone = ZoneInfo(settings.TIME_ZONE)
    said = in_brief(due, due.at.astimezone(zone), str(owner.user) if owner else "somebody")
    return f"Next: {said}" + (f" ({held})." if held else ".")


def switches(row: Desktop) -> str:
    """What keeps plans from acting on what somebody holds or on what waits (RULES 13)."""
    if holding(row) is None and next_due(row) is None:
        return ""
    if row.plans_off:
        return "Plans do not act on it."
    if row.center.observe_only:
        return f"{row.center} only observes: no plan acts."
    return f"Plans are frozen at {row.center}: they wait." if row.center.freeze_plans else ""


def keeps_running(row: Desktop) -> str:
    """Why a machine that nobody sits at is not stopped."""
    if row.power != Power.RUNNING or row.wish or live(row) or next_due(row):
        return ""
    return f"Keeps running: {'it is Always On' if row.running_mode == 'ALWAYS_ON' else 'no plan is about to stop it'}."


def gone(row: Desktop) -> str:
    """It is no more, or perhaps no more."""
    if row.availability == Desktop.Availability.DELETED:
        return "Deleted. The row stays for its history."
    if row.availability == Desktop.Availability.MISSING:
        return "The last scan did not find it at AWS; after a second scan without it, it counts as deleted."
    return ""


def moving(row: Desktop) -> str:
    """It is on its way."""
    if row.ref is None:
        return "AWS is creating it; its id is not known yet."
    if row.wish in WISHES:
        return f"AWS was asked to {WISHES[row.wish]}{asked(row.wish_at)}."
    return ""


def asked(at: datetime | None) -> str:
    """How long ago AWS was asked."""
    return f"{lasting(at).removeprefix(' for')} ago" if lasting(at) else " just now"


def broken(row: Desktop) -> str:
    """AWS says that it does not work."""
    if row.power == Power.ERROR:
        return f"In error: {row.error_message or row.error_code or 'AWS gives no reason'}"
    if row.power == Power.UNHEALTHY:
        return "AWS finds it unhealthy: only its user may try it. A reboot often helps."
    if row.power in {Power.MAINTENANCE, Power.SUSPENDED}:
        return f"Not offered while AWS works on it ({row.raw_state or row.get_power_display()})."
    if row.power == Power.UNKNOWN:
        return f"Not offered: the broker does not know the state “{row.raw_state}”." if row.raw_state else (
            "Not offered: its power state is not known yet. Refresh its status."
        )  # fmt: skip
    return ""


def unavailable(row: Desktop) -> str:
    """Somebody took it out of the offers."""
    if row.availability != Desktop.Availability.UNAVAILABLE:
        return ""
    return f"Not offered: marked as unavailable{': ' + row.unavailable_reason if row.unavailable_reason else '.'}"


def held(row: Desktop) -> str:
    """Whose it is, and what that means."""
    owner = holding(row)
    if owner is None:
        return ""
    strangers = [each for each in live(row) if each.user_id != owner.user_id]
    if strangers:
        return f"Assigned to {owner.user}, but {listed(strangers)} has a session on it."
    if owner.used_at is None and not live(row):
        return f"Assigned to {owner.user}, who has not logged in to it yet."
    return (
        f"Assigned to {owner.user}."
        if next_due(row)
        else f"Stays with {owner.user} until a plan or a person releases it."
    )


def intruder(row: Desktop) -> str:
    """Somebody is on a desktop that nobody holds."""
    return f"{listed(live(row))} has a session on it, though it is assigned to nobody." if live(row) else ""


def kept_back(row: Desktop) -> str:
    """What the center, its AWS mode or a switch makes of it."""
    if not row.center.offer_desktops:
        return f"Not offered: {row.center} offers no desktops."
    if row.plans_off:
        return "Not offered: plans do not act here, it is used to build an image."
    if row.running_mode == "AUTO_STOP":
        return "Not offered: AWS stops AUTO_STOP WorkSpaces by itself. Set its running mode to Manual."
    bound = row.bound_user if row.bound_user != UNDEFINED else ""
    if bound and row.center.offer_bound == Center.Bound.OWNER:
        return f"Free, and offered to {bound} only: AWS bound it to this user."
    return ""


def silent(row: Desktop) -> str:
    """Its agent should be heard and is not (RULES 20)."""
    agent = agent_of(row)
    if agent is None or row.power != Power.RUNNING or agent_axis(row) is not AgentAxis.UNREACHABLE:
        return ""
    return f"Its Usher Agent is silent{lasting(agent.last_seen)}: plans wait until it is heard again."


CHECKS: list[Callable[[Desktop], str]] = [
    gone,
    moving,
    broken,
    unavailable,
    silent,
    held,
    intruder,
    kept_back,
]
