"""Setup > Centers."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import BooleanField, Case, Count, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from broker.core import audit, words
from broker.core.clock import now
from broker.core.models import Job
from broker.core.pages import Action, Pages, Refused
from centers import checks
from centers.forms import CenterForm
from centers.models import Center, Desktop, Image
from centers.services import ask_for_scan
from centers.tables import CenterTable


def scan(request: HttpRequest, center: Center) -> str:
    """Scan as soon as a worker is free."""
    if Job.objects.filter(key=f"poll:{center.pk}", state=Job.State.RUNNING).exists():
        raise Refused(f"{center} is scanning now; what AWS has appears when that scan ends.")
    with transaction.atomic():  # a scan that is planned already is locked and moved forward
        ask_for_scan(center)
        audit.record("center.scan_requested", "Scan requested.", actor=request.user, subject=center)
    return f"Scan of {center} begins. Its desktops and images appear as they are found."


def test(request: HttpRequest, center: Center) -> str:
    """Ask AWS now, and say the first thing that is wrong."""
    findings = checks.look(center)
    center.save(update_fields=["config"])
    trouble = checks.problem(findings)
    audit.record("admin.center_tested", trouble or "It works.", actor=request.user, subject=center)
    if trouble:
        raise Refused(trouble)
    return " ".join(each.text for each in findings)


def alive(center: Center) -> QuerySet[Desktop]:
    """Its desktops that AWS still has."""
    return center.desktops.exclude(availability=Desktop.Availability.DELETED)


def counted(rows: QuerySet[Any]) -> Coalesce:
    """How many of these rows a center has, without a join that multiplies."""
    grouped = rows.filter(center=OuterRef("pk")).order_by().values("center").annotate(number=Count("pk"))
    return Coalesce(Subquery(grouped.values("number")), 0)


def tokens(center: Center) -> QuerySet[Any]:
    """Its enrolment tokens, newest first, each with whether its time is up and how many machines came with it."""
    expired = Case(When(expires_at__lte=now(), then=True), default=False, output_field=BooleanField())
    found: QuerySet[Any] = center.enrolment_tokens.annotate(count=Count("machines"), expired=expired)
    return found.order_by("-created_at")


class CenterPages(Pages):
    """The AWS accounts, regions and directories that desktops come from."""

    model, area = Center, "centers"
    form, table = CenterForm, CenterTable
    title, add_label = "Centers", "Add Center"
    intro = "Where desktops come from: one Amazon WorkSpaces directory in one region each."
    empty = "A center tells the broker which WorkSpaces and bundles exist, and starts, stops and deploys them."
    search = ("name", "region", "directory_id", "server__name")
    form_template = "centers/form.html"
    actions = {
        "deploy": Action("Deploy", url=lambda row: reverse("centers:deploy", args=[row.pk]), row=True),
        "scan": Action("Scan", scan, row=True, bulk=True, help="Asks AWS for all WorkSpaces and bundles now."),
        "test": Action("Test", test, help="Checks credentials, directory and bundles."),
    }

    @classmethod
    def queryset(cls) -> QuerySet[Center]:
        """With the numbers of the list."""
        machines = Desktop.objects.exclude(availability=Desktop.Availability.DELETED)
        images = Image.objects.filter(missing=False)
        return Center.objects.select_related("server").annotate(machines=counted(machines), bundles=counted(images))

    @classmethod
    def in_use(cls, row: Center) -> list[tuple[str, str]]:
        """Its desktops, and the pools that name it."""
        found = [(f"Pool “{pool}”", reverse("pools:edit", args=[pool.pk])) for pool in row.pools.all()]
        count = alive(row).count()
        if count:
            found.append((words.count(count, "desktop"), f"{reverse('desktops:list')}?center={row.pk}"))
        return found

    @classmethod
    def delete_page(cls, request: HttpRequest, pk: Any) -> HttpResponse:
        """Rows of deleted desktops and their closed assignments go with their center; the log stays."""
        with transaction.atomic():
            center = Center.objects.filter(pk=pk).first()
            if request.method == "POST" and center and not cls.in_use(center):
                for desktop in center.desktops.all():
                    desktop.assignments.exclude(closed_at=None).delete()
                    desktop.delete()
            return super().delete_page(request, pk)

    @classmethod
    def saved(cls, request: HttpRequest, row: Center, created: bool) -> None:
        """The first scan, or one with the new settings, at once."""
        ask_for_scan(row)

    @classmethod
    def after_save(cls, row: Center) -> str:
        """Where the check had something to say, the center's page says it."""
        levels = {level for level, _ in row.config.get("findings", [])}
        return cls.url("edit", row) if levels - {"ok"} else cls.url("list")

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the last Test found, and who may enrol agents here."""
        if row is None:
            return {}
        checked = row.config.get("checked_at")
        return {
            "center": row,
            "findings": row.config.get("findings", []),
            "checked_at": datetime.fromisoformat(checked) if checked else None,
            "tokens": tokens(row),
        }
