"""The form of Deploy (seed ch. 6; RULES 27, 28)."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import F, QuerySet
from django.db.models.functions import Lower

from authservers.models import User
from broker.core.forms import PlainForm, Section, when
from centers.models import Center, Desktop, Image

# Auto stop is not offered: WorkSpaces Core bundles do not support it (seed ch. 6).
RUNNING_MODES = [("MANUAL", "Manual – billed hourly"), ("ALWAYS_ON", "Always on – billed monthly")]
COMPUTE_TYPES = [
    "VALUE", "STANDARD", "PERFORMANCE", "POWER", "POWERPRO", "GENERALPURPOSE_4XLARGE", "GENERALPURPOSE_8XLARGE",
    "GRAPHICS_G4DN", "GRAPHICSPRO_G4DN",
]  # fmt: skip
KMS_KEY = re.compile(
    r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[\w/-]{1,256}|alias/[\w/-]{1,250}|[0-9a-fA-F-]{36}"
)
ONE_EACH = "Amazon WorkSpaces gives each user one WorkSpace in a directory."


class DeployForm(PlainForm):
    """What to make, and for whom."""

    image = forms.ModelChoiceField(
        Image.objects.none(),
        label="Images",
        empty_label="Choose…",
        error_messages={"invalid_choice": "This image is gone from AWS, or not ready. Choose another one."},
    )
    core = forms.BooleanField(
        label="This is a WorkSpaces Core (BYOP) bundle",
        error_messages={"required": "Confirm that it is one, or choose another image."},
        help_text="Its name does not say so. In the AWS console such a bundle has the client protocol BYOP.",
    )
    user = forms.ModelChoiceField(
        User.objects.none(),
        label="User",
        empty_label="Choose…",
        help_text=ONE_EACH,
        error_messages={"invalid_choice": "This user is not, or no longer, one of this center's. Choose another one."},
    )
    running_mode = forms.ChoiceField(
        label="Running mode",
        choices=RUNNING_MODES,
        help_text="WorkSpaces Core bundles do not support Auto stop. Power control plans start and stop Manual ones.",
    )
    deletable = forms.BooleanField(
        label="Allow this desktop to be permanently deleted from disk",
        required=False,
        help_text="By hand in Resources > Desktops and by release plans, with everything on its volumes.",
    )
    root_gb = forms.IntegerField(label="Root volume (GB)", required=False, min_value=80, max_value=2000)
    user_gb = forms.IntegerField(label="User volume (GB)", required=False, min_value=10, max_value=2000)
    compute_type = forms.ChoiceField(
        label="Compute type",
        required=False,
        choices=[("", "As the image says"), *[(each, each) for each in COMPUTE_TYPES]],
    )
    encryption_key = forms.CharField(
        label="KMS key",
        required=False,
        max_length=400,
        help_text="Encrypts both volumes; ARN, alias or id. Empty: not encrypted.",
    )

    sections = [
        Section("", fields=["image", "core", "user", "running_mode", "deletable"]),
        Section("Advanced", "Fixed when the WorkSpace is made. Empty means: as the image says.",
                ["root_gb", "user_gb", "compute_type", "encryption_key"]),
    ]  # fmt: skip

    def __init__(self, data: Any, *, center: Center, initial: Any = None) -> None:
        super().__init__(data, initial=initial)
        self.center = center
        taken = (
            Desktop.objects.filter(center=center)
            .exclude(availability=Desktop.Availability.DELETED)
            .exclude(bound_user="")
        )
        self.taken = {
            desktop.bound_user.lower(): desktop for desktop in taken.only("bound_user", "name", "display_name", "ref")
        }
        self.offer_images(deployable(center))
        self.offer_users(User.objects.filter(server=center.server_id, is_active=True, gone_at=None).exclude(sam=""))
        self.fields["deletable"].initial = center.new_deletable

    def offer_images(self, images: QuerySet[Image]) -> None:
        """Those that are marked as Core first; the others ask for a confirmation."""
        field: Any = self.fields["image"]
        field.queryset = images
        field.label_from_instance = lambda image: (
            f"{image.name} ({image.ref})" + ("" if image.is_core else " – not marked as Core")
        )
        self.show_when = {"core": when("image", *[image.pk for image in images if not image.is_core])}  # type: ignore[misc]  # depends on the rows

    def offer_users(self, users: QuerySet[User]) -> None:
        """The loaded users; those who have a WorkSpace here say so."""
        field: Any = self.fields["user"]
        field.queryset = users.order_by(Lower("display_name"), "login")
        field.label_from_instance = self.named

    def named(self, user: User) -> str:
        """ "Alice Adams (alice)"."""
        name = f"{user.display_name} ({user.sam})" if user.display_name else user.sam
        return f"{name} – has a WorkSpace" if user.sam.lower() in self.taken else name

    @property
    def advanced(self) -> bool:
        """Whether the closed part has something to say."""
        names = self.sections[1].fields
        return self.is_bound and any(self.chosen(name) or name in self.errors for name in names)

    def clean_user(self) -> User:
        """Somebody who has none in this directory yet."""
        user: User = self.cleaned_data["user"]
        held = self.taken.get(user.sam.lower())
        if held and held.ref is None:
            raise ValidationError(f"A WorkSpace for {user} is being deployed already.")
        if held:
            raise ValidationError(f"{user} has the WorkSpace “{held}” ({held.ref}) already. {ONE_EACH}")
        return user

    def clean_encryption_key(self) -> str:
        """A key of AWS KMS."""
        key = str(self.cleaned_data["encryption_key"]).strip()
        if key and not KMS_KEY.fullmatch(key):
            raise ValidationError("This is not a KMS key. An example: alias/aws/workspaces")
        return key

    def ordered(self) -> dict[str, Any]:
        """The fields of an Order."""
        given = dict(self.cleaned_data)
        given.pop("core", None)
        return {name: value or 0 if name in {"root_gb", "user_gb"} else value for name, value in given.items()}


def deployable(center: Center) -> QuerySet[Image]:
    """Images that AWS would take now, those marked as Core first (RULES 27)."""
    ready = Image.objects.filter(center=center, missing=False, state="AVAILABLE")
    return ready.order_by(F("is_core").desc(nulls_last=True), "name")
