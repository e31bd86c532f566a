"""Resources > Sessions, declared: four lists that share their head."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from broker.connect.models import DesktopSession, PortalSession, QueuePlace
from broker.core.pages import Action, Pages
from broker.resources.sessions import actions
from broker.resources.sessions.rows import is_live, is_stuck, places, sessions, sign_ins, ways
from broker.resources.sessions.tables import (
    QueueFilter,
    QueueTable,
    SessionFilter,
    SessionTable,
    SignInFilter,
    SignInTable,
    is_open,
)
from broker.resources.sessions.ways import WayFilter, WayTable
from broker.resources.sessions.ways import is_open as is_open_way
from gateways.models import Tunnel

TABS = (
    ("On desktops", "sessions:list"),
    ("Sign-ins to the broker", "sign_ins:list"),
    ("Waiting for a desktop", "places:list"),
    ("Through gateways", "ways:list"),
)


class TabPages(Pages):
    """A list under one of the tabs; its rows have no page."""

    area = "sessions"
    title = "Sessions"
    can_delete = False
    list_template = "resources/sessions.html"

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The tabs, this one marked."""
        return {"tabs": [(label, reverse(name), name == cls.url_name("list")) for label, name in TABS]}


class SessionPages(TabPages):
    """Sessions of operating systems, as agents tell them."""

    model, table, filterset = DesktopSession, SessionTable, SessionFilter
    intro = "Who is on which desktop now, since when, and from where. Sessions that ended are there when you filter."
    empty = "As soon as somebody logs in to a desktop that has the Usher Agent, the session is listed here."
    search = ["user_name", "user__login", "user__display_name", "desktop__name", "desktop__display_name"]
    order = "-started_at"
    actions = {
        "message": Action("Send message", actions.on_a_form, permission="execute", bulk=True, applies=is_live),
        "lock": Action(
            "Lock", actions.ask_agent("lock", "is being locked"), permission="execute", bulk=True, applies=is_live
        ),
        "disconnect": Action(
            "Disconnect", actions.ask_agent("disconnect", "is being disconnected"), permission="execute", bulk=True,
            danger=True, confirm=actions.question("disconnects"), applies=is_live,
        ),
        "logout": Action(
            "Log out", actions.ask_agent("logout", "is being logged out"), permission="execute", bulk=True, danger=True,
            confirm=actions.question("logs out, and what is not saved is lost, of"), applies=is_live,
        ),
        "clear": Action(
            "Clear stuck session", actions.clear, permission="execute", bulk=True, danger=True, applies=is_stuck,
            confirm="The broker forgets these sessions. Do this only if the machine is known to have nobody on it.",
        ),
    }  # fmt: skip

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """Sessions with all that a row shows."""
        return sessions()


class SignInPages(TabPages):
    """Sessions of the portal."""

    model, table, filterset, namespace = PortalSession, SignInTable, SignInFilter, "sign_ins"
    intro = "Who is signed in to the broker. A sign-in that ends ends nothing on desktops."
    empty = "Everybody who signs in to the broker is listed here."
    search = ["user__login", "user__display_name", "address"]
    order = "-opened_at"
    actions = {
        "sign_out": Action("Sign out", actions.sign_out, bulk=True, danger=True, applies=is_open),
    }

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """Sign-ins with all that a row shows."""
        return sign_ins()


class WayPages(TabPages):
    """What goes through gateways."""

    model, table, filterset, namespace = Tunnel, WayTable, WayFilter, "ways"
    intro = "Who is connected through which gateway, and who was: by which protocol, from where, and how it ended."
    empty = "As soon as somebody connects in the browser or by a gateway's port, the connection is listed here."
    search = ["gateway_name", "client_ip", "destination", "close_reason"]
    order = "-opened_at"
    actions = {
        "end": Action(
            "End", actions.end_way, permission="execute", bulk=True, danger=True, applies=is_open_way,
            confirm="These people are cut off at once. Their sessions on the desktops go on.",
        ),
    }  # fmt: skip

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """Ways with all that a row shows."""
        return ways()


class QueuePages(TabPages):
    """Who waits for a desktop of a full pool."""

    model, table, filterset, namespace = QueuePlace, QueueTable, QueueFilter, "places"
    intro = "Who waits because a pool has no free desktop, first come, first served."
    empty = "Whoever presses Connect while a pool has no free desktop gets a place in the queue, and is listed here."
    search = ["user__login", "user__display_name", "line__pool__name"]
    order = "since"

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """Places with all that a row shows."""
        return places()
