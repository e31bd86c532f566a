"""Setup > Centers > Deploy: a new WorkSpace for a user (seed ch. 6).

The intent is written first, and a job does it (RULES 25).
"""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse

from authservers.models import User
from broker.connect.happenings import Happening, happened
from broker.core import audit
from broker.core.clock import now
from broker.core.filters import key
from broker.core.jobs import Wish, enqueue
from broker.core.models import ref
from broker.core.pages import SeeOther, needs
from broker.resources.deploy_form import DeployForm
from centers.models import Center, Desktop, Image
from centers.pages import CenterPages
from plans.engine import Event
from pools.services import Terms, lend_this


@dataclass(frozen=True, slots=True)
class Order:
    """One WorkSpace to make."""

    center: Center
    image: Image
    user: User
    running_mode: str
    deletable: bool
    root_gb: int = 0
    user_gb: int = 0
    compute_type: str = ""
    encryption_key: str = ""

    def payload(self) -> dict[str, Any]:
        """The request as the deploy job reads it (broker.connect.deploy)."""
        return {
            "bundle": self.image.ref, "user_name": self.user.sam, "running_mode": self.running_mode,
            "workspace_name": "", "root_gb": self.root_gb, "user_gb": self.user_gb, "compute_type": self.compute_type,
            "encryption_key": self.encryption_key, "tags": {},
        }  # fmt: skip


@transaction.atomic
def request_deployment(order: Order) -> Desktop:
    """Write the intent: desktop, policy assignment, job. Raises IntegrityError where one is under way for this user."""
    name = f"{order.image.name} – {order.user.sam}"
    desktop = Desktop.objects.create(
        ref=None,
        center=order.center,
        name=name,
        display_name=name,
        bound_user=order.user.sam,
        image=order.image,
        bundle_ref=str(order.image.ref),
        running_mode=order.running_mode,
        compute_type=order.compute_type or order.image.compute_type,
        root_gb=order.root_gb or order.image.root_gb,
        user_gb=order.user_gb or order.image.user_gb,
        deletable=order.deletable,
        scan_assigned=True,
        power=Desktop.Power.STARTING,
        power_since=now(),
        first_seen_at=now(),
    )
    assignment = lend_this(order.user, desktop, Terms(origin="deploy", reason="deployed for this user"))
    if assignment is not None:
        happened(Happening(desktop, Event.ASSIGNED, assignment.opened_at, assignment))
    enqueue(Wish("deploy", ref(desktop), str(desktop), payload=order.payload(), key=f"deploy:{desktop.pk}"))
    audit.record(
        "deploy.requested",
        f"{order.image.name} for {order.user} in {order.center}, {order.running_mode}.",
        subject=order.center,
        user=order.user,
        desktop=desktop,
    )
    return desktop


@needs("centers.edit")
def deploy(request: HttpRequest, pk: int) -> HttpResponse:
    """The form, and the wish it makes."""
    center = get_object_or_404(Center.objects.select_related("server"), pk=pk)
    chosen = {"image": image} if (image := key(request.GET.get("image"))) else None
    form = DeployForm(request.POST if request.method == "POST" else None, center=center, initial=chosen)
    if request.method == "POST" and form.is_valid():
        try:
            desktop = request_deployment(Order(center=center, **form.ordered()))
        except IntegrityError:
            form.add_error("user", f"A WorkSpace for {form.cleaned_data['user']} is being deployed already.")
        else:
            messages.success(
                request, f"Deploying {desktop}. It takes AWS about 20 minutes; the desktop is assigned already."
            )
            may_look = request.user.has_perm("desktops.view")
            return SeeOther(reverse("desktops:list") if may_look else CenterPages.url("list"))
    context = CenterPages.context(
        request, center, form=form, form_title=f"Deploy a WorkSpace in {center}", save_label="Deploy",
        cancel_url=CenterPages.url("list"),
    )  # fmt: skip
    return render(request, "centers/deploy.html", context)


urlpatterns = [path("<int:pk>/deploy/", deploy, name="deploy")]
