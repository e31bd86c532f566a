"""The timeline of a desktop and of a person: pages with an address that can be shared, and a file."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render

from agents.models import Agent
from authservers.models import User
from broker.connect import outlook, plans_in_force
from broker.connect.future import Line, Outlook, Reader, line
from broker.core.clock import now
from broker.core.models import Job, ref
from broker.core.pages import needs
from broker.core.tables import harmless
from broker.resources.desktops.pages import DesktopPages
from broker.resources.desktops.rows import agent_of, desktops, holding
from broker.resources.timeline.merge import Item, Origin, Page, Place, page
from broker.resources.timeline.sources import SOURCES, Scope, Window
from broker.resources.users.pages import UserPages
from pools.models import Assignment

SIZE = 50
FILE_PAGE, FILE_ROWS = 1_000, 10_000
SHOWN = {
    Origin.AWS: ("AWS", "cloud"),
    Origin.AGENT: ("Agent", "desktop"),
    Origin.GATEWAY: ("Gateway", "gateway"),
    Origin.BROKER: ("Broker", "job"),
}


@needs("desktops.view")
@needs("log.view")
def of_desktop(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything that happened to a desktop, and what will."""
    row = get_object_or_404(desktops(), pk=pk)
    agent: Agent | None = agent_of(row)
    scope = Scope(
        log=Q(desktop_ref=ref(row)), agent=agent.pk if agent else None, jobs=Q(subject=ref(row)),
        launches=Q(desktop=row), places=Q(launch__desktop=row), agent_since=agent.registered_at if agent else None,
    )  # fmt: skip

    def coming() -> Outlook:
        return outlook.of(row, holding(row), plans_in_force.of(row, holding(row)))

    return shown(request, row, scope, coming, DesktopPages)


@needs("users.view")
@needs("log.view")
def of_user(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything that a person did and had, and what will happen to what they have."""
    person = get_object_or_404(User, pk=pk)
    theirs = [ref(each) for each in Assignment.objects.filter(user=person).only("pk").order_by("-pk")[:FILE_PAGE]]
    scope = Scope(
        log=Q(user_ref=ref(person)),
        agent=None,
        jobs=Q(context__in=theirs),
        launches=Q(user=person),
        places=Q(user=person),
        by_desktop=False,
    )

    def coming() -> Outlook:
        jobs = Job.objects.filter(context__in=theirs, state__in=outlook.OPEN).order_by("run_at", "pk")
        return Outlook([named(job, line(outlook.waiting_of(job), Reader(str(person)))) for job in jobs])

    return shown(request, person, scope, coming, UserPages)


def named(job: Job, words: Line) -> Line:
    """A line that also says which desktop it is about."""
    return replace(words, said=f"{words.said}: {job.subject_name}")


def shown(request: HttpRequest, row: Any, scope: Scope, coming: Any, pages: Any) -> HttpResponse:
    """The page, or the file."""
    origins = [each for each in request.GET.getlist("origin") if each in set(Origin)]
    if request.GET.get("format") == "csv":
        return as_file(row, scope, origins)
    before = Place.parse(request.GET.get("before", ""))
    found = part(scope, Window(SIZE + 1, before, origins))
    context = {
        "pages": pages, "list_url": pages.url("list"), "object": row, "object_url": pages.page_url(row),
        "title": f"Timeline of {row}", "page": found, "outlook": Outlook() if before else coming(),
        "items": [(item, *SHOWN[item.origin]) for item in found.items], "first": before is None,
        "chips": list(chips(request.GET, origins)), "narrowed": bool(origins),
        "older": query(request.GET, before=found.older) if found.older else "",
        "newest": query(request.GET, before=""), "file": query(request.GET, before="", format="csv"),
    }  # fmt: skip
    template = "resources/_timeline.html" if request.headers.get("HX-Request") else "resources/timeline.html"
    return render(request, template, context)


def part(scope: Scope, window: Window) -> Page:
    """One page of the list: one query for each source."""
    return page([source(scope, window) for source in SOURCES], window.limit - 1, window.origins)


def query(given: QueryDict, **changes: str) -> str:
    """The query string with some fields changed; "" takes one away."""
    changed = given.copy()
    for name, value in changes.items():
        changed.pop(name, None)
        if value:
            changed[name] = value
    return f"?{changed.urlencode()}"


def chips(given: QueryDict, origins: list[str]) -> Iterator[tuple[str, str, str, bool]]:
    """A chip for each origin: label, icon, the address that takes it in or out, and whether it is in."""
    for origin, (label, icon) in SHOWN.items():
        others = [each for each in origins if each != origin]
        changed = given.copy()
        changed.pop("before", None)
        changed.setlist("origin", others if origin in origins else [*origins, origin])
        yield label, icon, f"?{changed.urlencode()}", origin in origins


def as_file(row: Any, scope: Scope, origins: list[str]) -> HttpResponse:
    """The newest rows as a file that is safe to open in a spreadsheet."""
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="timeline-{row.pk}-{now():%Y%m%d-%H%M}.csv"'
    writer = csv.writer(answer)
    writer.writerow(["Time", "Received", "Origin", "What", "Note", "By", "About"])
    for item in newest(scope, origins):
        writer.writerow([
            item.at.isoformat(), (item.heard or item.at).isoformat(), SHOWN[item.origin][0], harmless(item.said),
            harmless(item.note), harmless(item.by), harmless(", ".join(name for name, _ in item.about)),
        ])  # fmt: skip
    return answer


def newest(scope: Scope, origins: list[str]) -> Iterator[Item]:
    """Page after page, up to the rows that a file has at most."""
    before: Place | None = None
    for _ in range(FILE_ROWS // FILE_PAGE):
        found = part(scope, Window(FILE_PAGE + 1, before, origins))
        yield from found.items
        before = Place.parse(found.older)
        if before is None:
            return
