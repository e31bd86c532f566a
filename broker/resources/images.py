"""Resources > Images: the custom bundles that scans found, and what desktops are deployed from (SPEC 4.2)."""

from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django import forms
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from broker.core.filters import PageFilter
from broker.core.forms import PageForm
from broker.core.pages import Action, Pages, note
from broker.core.tables import BriefColumn, CodeColumn, LinkColumn, NameColumn, NumberColumn, PageTable, TimeColumn
from broker.core.templatetags.usher import badge, status
from centers.models import Center, Desktop, Image

CORE = {"true": True, "false": False, "unknown": None}
CORE_WORDS = {True: "Yes", False: "No", None: "Unknown"}
CORE_CHOICES = [("unknown", "Unknown"), ("true", "Yes"), ("false", "No")]


def deploy_address(image: Image) -> str:
    """The Deploy page of the image's center, with this image chosen."""
    return f"{reverse('centers:deploy', args=[image.center_id])}?{urlencode({'image': image.pk})}"


class CoreField(forms.TypedChoiceField):
    """Yes, No or Unknown: AWS does not say which bundles are Core (seed ch. 4)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=CORE_CHOICES, coerce=CORE.get, empty_value=None, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        """As the drop-down's entry."""
        return {True: "true", False: "false", None: "unknown"}.get(value, value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared as entries."""
        return bool(self.prepare_value(initial) != (data or "unknown"))


class ImageForm(PageForm):
    """The one thing that we know better than AWS."""

    is_core = CoreField(
        label="Core (BYOP)",
        help_text="AWS does not tell Core bundles from others; “core” or “byop” in the name is taken as a hint.",
    )

    class Meta:
        model = Image
        fields: ClassVar = ["is_core"]


class ImageTable(PageTable):
    """One row a bundle."""

    optional = ("center", "image_ref", "owner", "used_by", "updated_at")

    name = NameColumn()
    center = LinkColumn(lambda row: reverse("centers:edit", args=[row.center_id]), order_by="center__name")
    ref = CodeColumn(verbose_name="Bundle id")
    image_ref = CodeColumn(verbose_name="Image id")
    compute_type = BriefColumn(verbose_name="Compute type")
    volumes = BriefColumn(accessor="pk", verbose_name="Root and user volume", order_by=("root_gb", "user_gb"))
    is_core = tables.Column(verbose_name="Core (BYOP)", empty_values=())
    state = tables.Column(verbose_name="State", empty_values=())
    owner = BriefColumn(verbose_name="Owner")
    used_by = NumberColumn(verbose_name="Desktops")
    updated_at = TimeColumn(verbose_name="Updated")

    def value_center(self, record: Image) -> str:
        """The name in files."""
        return str(record.center)

    def render_volumes(self, record: Image) -> str:
        """Both sizes."""
        return f"{record.root_gb or '–'} + {record.user_gb or '–'} GB"

    def value_state(self, record: Image) -> str:
        """The word in files."""
        return "Missing" if record.missing else record.state

    def render_is_core(self, record: Image) -> SafeString:
        """A badge for what is known."""
        return badge(CORE_WORDS[record.is_core], {True: "good", False: "", None: "warn"}[record.is_core])

    def value_is_core(self, record: Image) -> str:
        """The word in files."""
        return CORE_WORDS[record.is_core]

    def render_state(self, record: Image) -> SafeString:
        """What AWS says of it, or that it is gone."""
        if record.missing:
            return status("problem", "Missing", "The last scan did not find it.")
        return status(
            "running" if record.state in {"", "AVAILABLE"} else "moving", (record.state or "Available").capitalize()
        )


class ImageFilter(PageFilter):
    """Center, and whether it is Core."""

    center = django_filters.ModelChoiceFilter(
        queryset=Center.objects.order_by("name"), label="Center", empty_label="Any"
    )
    is_core = django_filters.ChoiceFilter(choices=CORE_CHOICES, label="Core (BYOP)", method="core")

    class Meta:
        model = Image
        fields: ClassVar[list[str]] = []

    def core(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Yes, no, or not known."""
        return queryset.filter(is_core=CORE[value])


def set_core(value: bool | None) -> Any:
    """Mark an image as Core, or not."""

    def do(request: Any, image: Image) -> str:
        changes = {"is_core": (CORE_WORDS[image.is_core], CORE_WORDS[value])}
        with transaction.atomic():
            Image.objects.filter(pk=image.pk).update(is_core=value)
            note(request, "updated", image, changes)
        return f"{image} is {'a Core (BYOP)' if value else 'no Core'} image."

    return do


class ImagePages(Pages):
    """Custom bundles."""

    model, area, form, table, filterset = Image, "images", ImageForm, ImageTable, ImageFilter
    title = "Images"
    intro = "The custom bundles that scans found in your centers; desktops are deployed from them."
    empty = "Images are found by scanning a center. For Amazon WorkSpaces they are the custom bundles of its account."
    search = ["name", "ref", "image_ref", "description"]
    can_delete = False
    form_template = "resources/image.html"
    actions = {
        "deploy": Action(
            "Deploy", url=deploy_address, row=True, permission="view", applies=lambda row: not row.missing
        ),
        "core": Action("Mark as Core (BYOP)", set_core(True), bulk=True, applies=lambda row: row.is_core is not True),
        "not_core": Action(
            "Mark as not Core", set_core(False), bulk=True, applies=lambda row: row.is_core is not False
        ),
    }

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """Images with their center and how many desktops came from them."""
        living = ~Q(desktops__availability=Desktop.Availability.DELETED)
        return Image.objects.select_related("center").annotate(used_by=Count("desktops", filter=living))

    @classmethod
    def permits(cls, request: Any, action: Action) -> bool:
        """Deploying is a center's business."""
        if action.url is deploy_address:
            return bool(request.user.has_perm("centers.edit"))
        return super().permits(request, action)
