"""Configuration > Pools."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from broker.core.pages import Action, Pages, needs
from pools import rules
from pools.forms import PoolForm
from pools.models import Pool
from pools.tables import DesktopTable, PoolTable
from pools.tree import in_order

SHOWN = 25


class PoolPages(Pages):
    """Pools as a tree."""

    model, area, form, table = Pool, "pools", PoolForm, PoolTable
    title, add_label = "Pools", "Create Pool"
    intro = "Groups of desktops that policies offer. A pool can be a subset of another."
    empty = "A pool names a group of desktops, so that a policy can offer one of them."
    search = ("name", "display_name", "notes")
    order = "name"
    refresh = 0
    form_template = "pools/form.html"
    actions = {
        "drain": Action("Drain", url=lambda row: reverse("drain", args=[row.pk]), help="Empty it, with a message")
    }

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """Pools with their place in the tree and their depth."""
        tree = in_order(Pool.objects.only("pk", "name", "parent_id", "is_root"))
        place = [When(pk=pool.pk, then=Value(number)) for number, (pool, _) in enumerate(tree)]
        depth = [When(pk=pool.pk, then=Value(deep)) for pool, deep in tree]
        return Pool.objects.prefetch_related("centers").annotate(
            place=Case(*place, default=Value(len(tree)), output_field=IntegerField()),
            depth=Case(*depth, default=Value(0), output_field=IntegerField()),
        )

    @classmethod
    def in_use(cls, row: Any) -> Sequence[tuple[str, str]]:
        """Its subsets, and the policies that offer it."""
        found = [(f"Pool “{child}”, a subset of it", cls.url("edit", child)) for child in row.children.all()]
        lines = [*row.lines.select_related("policy"), *row.backup_lines.select_related("policy")]
        policies = {line.policy_id: str(line.policy) for line in lines}
        return found + [(f"Policy “{name}”", reverse("policies:edit", args=[key])) for key, name in policies.items()]

    @classmethod
    def keep(cls, row: Any) -> str:
        """All Desktops stays."""
        return "All Desktops holds every desktop there is; all other pools are subsets of it." if row.is_root else ""

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """On a pool's page: its desktops and who uses it; on both forms: where the count of matches is asked."""
        draft = {"draft_url": reverse("pools:draft", args=[row.pk if row else 0])} if not (row and row.is_root) else {}
        if row is None:
            return draft
        found = rules.desktops(row).select_related("center").order_by("name")
        total = found.count()
        return {
            **draft, "used_by": cls.in_use(row), "desktops": DesktopTable(list(found[:SHOWN])), "total": total,
            "left_out": max(0, total - SHOWN), "desktops_url": f"{reverse('desktops:list')}?pool={row.pk}",
        }  # fmt: skip


@require_POST
@needs("pools.view")
def draft(request: HttpRequest, pk: int) -> HttpResponse:
    """How many desktops the form as it is now describes; saves nothing."""
    pool = get_object_or_404(Pool, pk=pk, is_root=False) if pk else None  # All Desktops has no definition to try
    form = PoolForm(request.POST, instance=pool)
    form.is_valid()
    count = None if set(form.errors) - {"name", "display_name", "notes"} else form.draft().count()
    return render(request, "pools/_draft.html", {"count": count})
