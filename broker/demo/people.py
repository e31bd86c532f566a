"""Which simulated machine somebody means, and who logs in to it: names that people know, looked up in the broker."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Q

from authservers.models import User
from broker.demo.desktops.client import ask
from centers.models import Desktop
from pools.models import Assignment

ACTIONS = ("login", "logout", "disconnect", "reconnect", "lock", "unlock", "idle", "active")


class Unclear(Exception):
    """A name fits nothing, or several things; the text is for the person who typed it."""


@dataclass(frozen=True)
class Wish:
    """What shall happen on which desktop. `user` "" is the one it belongs to, or the one who is logged in."""

    name: str
    action: str
    user: str = ""
    seconds: int = 0


def carry_out(data: Path, wish: Wish) -> str:
    """Do it; a sentence about what was done. Raises Unclear, DesktopsAway or DesktopsRefused."""
    desktop = desktop_named(wish.name, running(data))
    name = str(desktop.ref) if desktop else wish.name
    more: dict[str, Any] = {"seconds": wish.seconds} if wish.action == "idle" else {}
    if wish.action == "login" or wish.user:
        user, sid = account(desktop, wish.user)
        more |= {"user": user} | ({"sid": sid} if wish.action == "login" else {})
    return str(ask(data, wish.action, name, **more))


def running(data: Path) -> set[str]:
    """The ids of the machines that are switched on. Raises DesktopsAway."""
    return {str(each["id"]) for each in ask(data, "state") if each["on"]}


def desktop_named(name: str, on: set[str]) -> Desktop | None:
    """The desktop by any of its names, or by its user; None where the broker knows none. Raises Unclear."""
    bare = name.rpartition("\\")[2]
    own = Q(ref=name) | Q(name__iexact=name) | Q(display_name__iexact=name) | Q(computer_name__iexact=name)
    theirs = Q(bound_user__iexact=bare) | Q(pk__in=lent_to(bare))
    living = (
        Desktop.objects.select_related("center").exclude(availability=Desktop.Availability.DELETED).exclude(ref=None)
    )
    found = list(living.filter(own)) or list(living.filter(theirs))
    if len(found) > 1:
        found = [each for each in found if each.ref in on] or found
    if len(found) > 1:
        raise Unclear(f"{name} may mean {', '.join(f'{each} ({each.ref})' for each in found)}: give the id.")
    return found[0] if found else None


def lent_to(login: str) -> list[int]:
    """The desktops that somebody with this login has."""
    held = Assignment.objects.filter(Q(user__login__iexact=login) | Q(user__sam__iexact=login), closed_at=None)
    return list(held.values_list("desktop_id", flat=True))


def account(desktop: Desktop | None, user: str) -> tuple[str, str]:
    """Windows name and SID: of the named person, else of whom the desktop is assigned to, else of its AWS user.

    What nobody knows is passed on as it is (a local account, somebody who was never loaded).
    """
    if desktop is None:
        return user, ""
    people = User.objects.filter(server=desktop.center.server_id)
    assigned = Assignment.objects.filter(desktop=desktop, closed_at=None).select_related("user").first()
    wanted = user or (assigned.user.sam or assigned.user.login if assigned else desktop.bound_user)
    domain, slash, bare = wanted.rpartition("\\")
    person = people.filter(Q(sam__iexact=bare) | Q(upn__iexact=wanted)).first()
    if person and (not slash or domain.casefold() == person.netbios.casefold()):
        return person.windows_name, person.sid
    if slash or not wanted or "@" in wanted:
        return wanted, ""
    return f"{desktop.center.server.netbios}\\{wanted}" if desktop.center.server.netbios else wanted, ""
