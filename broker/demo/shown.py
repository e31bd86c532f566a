"""What the demo page shows: the card's values, and the simulated desktops with what can be done there now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.demo.aws import constants
from broker.demo.desktops.client import DesktopsAway, ask
from broker.demo.directory import seed
from broker.demo.places import DirectoryFacts, NoWorld, directories
from broker.demo.walk import steps
from broker.embedded.instance import ADMINISTRATOR, PEOPLE, PEOPLES_PASSWORD
from centers.models import Center, Desktop
from pools.models import Assignment

STATES = {
    "AVAILABLE": "running",
    "STOPPED": "stopped",
    "ERROR": "problem",
    "UNHEALTHY": "warning",
    "IMPAIRED": "warning",
}
LAB_PEOPLE = tuple(person[0] for person in seed.LAB)


@dataclass(frozen=True)
class Place:
    """One of the two directories on the card: what its forms ask, label by label."""

    title: str
    configured: bool
    server: list[tuple[str, str]]
    center: list[tuple[str, str]]
    ca_pem: str
    people: str


@dataclass(frozen=True)
class Row:
    """One simulated desktop."""

    machine: Mapping[str, Any]
    desktop: Desktop | None
    shape: str
    agent: tuple[str, str]
    who: str
    sessions: list[str] = field(default_factory=list)
    can: list[tuple[str, str]] = field(default_factory=list)


def accounts() -> list[tuple[str, str, str]]:
    """(name, password, what for): the accounts that the start prints."""
    people = [(name, PEOPLES_PASSWORD, "a user of corp.example.test") for name in PEOPLE]
    return [
        (*ADMINISTRATOR, "the administrator"),
        ("priya", PEOPLES_PASSWORD, "an administrator by her group"),
        *people,
    ]


def places(data: Path) -> dict[str, Any]:
    """The card: `lab` with the `walk`, and `corp`. Empty where the simulated world has written nothing down."""
    try:
        known = directories(data)
        found: dict[str, Any] = {name.lower(): place(facts) for name, facts in known.items()}
        return found | ({"walk": steps(known["LAB"])} if "LAB" in known else {})
    except (NoWorld, OSError):
        return {}


def place(facts: DirectoryFacts) -> Place:
    """One directory's values under the labels of the forms."""
    lab = facts.netbios == "LAB"
    name = "Lab directory" if lab else "Corp directory"
    server = [
        ("Authentication Server name", name),
        ("Domain", facts.domain),
        ("Hostname or IP address", facts.host),
        ("Port", str(facts.ldaps_port)),
        ("AWS Directory ID", facts.directory_id),
        ("User name", facts.search_user),
        ("Password", facts.search_password),
    ]
    center = [
        ("Name", "WorkSpaces lab" if lab else "WorkSpaces us-east-1"),
        ("Region", constants.REGION),
        ("Access Key ID", constants.ACCESS_KEY),
        ("Secret Access Key", constants.SECRET_KEY),
    ]
    configured = Center.objects.filter(directory_id=facts.directory_id).exists()
    people = ", ".join(LAB_PEOPLE if lab else PEOPLE)
    return Place(facts.domain, configured, server, center, facts.ca_pem, people)


def rows(data: Path) -> list[Row] | None:
    """The simulated desktops, those of the second directory too; None where their program is not running."""
    try:
        machines = ask(data, "state")
    except DesktopsAway:
        return None
    known = Desktop.objects.filter(ref__in=[each["id"] for each in machines]).select_related("center__server")
    by_ref = {str(each.ref): each for each in known}
    held = Assignment.objects.filter(desktop__in=known, closed_at=None).select_related("user", "desktop")
    owners = {str(each.desktop.ref): each.user.windows_name for each in held}
    machines.sort(key=lambda each: (not each["on"], str(by_ref.get(each["id"], each["name"]))))
    return [row(each, by_ref.get(each["id"]), owners.get(each["id"], "")) for each in machines]


def row(machine: Mapping[str, Any], desktop: Desktop | None, owner: str) -> Row:
    """One machine as the page shows it; `owner` is the Windows name of whom it is assigned to."""
    shape = STATES.get(str(machine["state"]), "moving")
    who = owner or str(machine["aws_user"])
    sessions = [in_words(each) for each in machine["sessions"]]
    return Row(
        machine, desktop, shape, agent_of(machine), who, sessions, possible(machine, who) if machine["on"] else []
    )


def agent_of(machine: Mapping[str, Any]) -> tuple[str, str]:
    """A status shape and a word for the machine's agent."""
    if not machine["on"]:
        return "stopped", "Off"
    if machine["trouble"]:
        return "warning", "Not approved" if "not_approved" in machine["trouble"] else "In trouble"
    return ("running", "Registered") if machine["registered"] else ("moving", "Registering")


def in_words(session: Mapping[str, Any]) -> str:
    """ "CORP\\bob: connected, locked"."""
    state = "connected" if session["connected"] else "disconnected"
    flags = [word for word in ("locked", "idle") if session[word]]
    return f"{session['user']}: {', '.join([state, *flags])}"


def possible(machine: Mapping[str, Any], who: str) -> list[tuple[str, str]]:
    """(action, label) of what the person in front of it can do now."""
    sessions = machine["sessions"]
    if not sessions:
        return [("login", f"Log in as {who}")] if who else []
    if len(sessions) > 1:
        return []
    session = sessions[0]
    if not session["connected"]:
        return [("reconnect", "Reconnect"), ("logout", "Log out")]
    screen = ("unlock", "Unlock") if session["locked"] else ("lock", "Lock")
    idle = ("active", "Come back") if session["idle"] else ("idle", "Idle for 10 minutes")
    return [("logout", "Log out"), ("disconnect", "Disconnect"), screen, idle]
