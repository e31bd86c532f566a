"""Setup > Gateways and Gateway Clusters: the forms (seed ch. 5, SPEC 2.3). Saving a gateway registers with it."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from broker.core.addresses import name_problem, with_port
from broker.core.forms import PageForm, Section
from gateways import checks, registration
from gateways.client import Trouble, Unreachable
from gateways.models import Gateway, GatewayCluster, SourceFilter
from gateways.registration import Met

FILTER_HELP = "Which clients may use the port that is opened for them, and which port that is."
PORT_ALLOWED = " Add :port if not 443."


def source_filter(help_text: str = FILTER_HELP) -> forms.TypedChoiceField:
    """The choice of both forms."""
    return forms.TypedChoiceField(
        label="Method of source-IP filtering", coerce=int, choices=SourceFilter.choices, help_text=help_text
    )


def place(text: str) -> str:
    """A name or address, with or without port. Raises ValidationError."""
    try:
        problem = name_problem(text) if "/" in text else name_problem(with_port(text, registration.PORT)[0])
    except ValueError as error:
        raise ValidationError(str(error)) from error
    if problem:
        raise ValidationError(problem)
    return text


class GatewayForm(PageForm):
    """A gateway. Its first word is heard before anything is saved: a refusal stands beside the address.

    One that is down is saved all the same: it may be started later, and *Register* asks it again.
    """

    use_src_ip = source_filter()
    forward_to = forms.CharField(
        label="Forwarding to", required=False, disabled=True,
        help_text="Under which address the gateway reaches this broker; it forwards the sign-in pages from there.",
    )  # fmt: skip

    class Meta:
        model = Gateway
        fields: ClassVar = ["name", "address", "address_private", "use_src_ip", "cluster", "notes"]
        widgets: ClassVar = {"notes": forms.Textarea(attrs={"rows": 3})}
        help_texts: ClassVar = {
            "address": f"What users' clients connect to.{PORT_ALLOWED}",
            "address_private": (
                f"Optional. The broker talks to the gateway here; display traffic never does.{PORT_ALLOWED}"
            ),
            "cluster": "Plans may name the cluster in place of one of its gateways.",
        }

    sections = [
        Section("", fields=["name", "address", "address_private"]),
        Section("Options", "", ["use_src_ip", "cluster", "forward_to", "notes"]),
    ]

    met: Met | None = None
    silence = ""  # why nothing answered

    def prepare(self) -> None:
        """What does not apply is gone: the cluster without any, the broker's address before it is known."""
        super().prepare()
        self.initial["forward_to"] = self.instance.forward_to
        if not self.instance.forward_to:
            self.fields.pop("forward_to", None)
        if not GatewayCluster.objects.exists():
            self.fields.pop("cluster", None)

    def clean_address(self) -> str:
        """What clients connect to, and what a browser's address bar shows when pages are forwarded."""
        return place(str(self.cleaned_data["address"]).strip())

    def clean_address_private(self) -> str:
        """Where the broker calls it."""
        address = str(self.cleaned_data["address_private"]).strip()
        return place(address) if address else ""

    def _post_clean(self) -> None:
        super()._post_clean()
        moved = {"address", "address_private"} & set(self.changed_data)
        if not self.errors and not getattr(self, "stepped", False) and (moved or not self.instance.public_key):
            self.say_hello()

    def say_hello(self) -> None:
        """Outside of any transaction, up to 3 seconds where nothing answers."""
        field = "address_private" if self.instance.address_private else "address"
        self.before = registration.pins(self.instance)
        try:
            self.met = registration.introduce(self.instance)
        except Unreachable as error:
            self.silence = str(error)
        except Trouble as error:
            self.add_error(field, str(error))

    def save(self, commit: bool = True) -> Any:
        """The row, and what its gateway said; heartbeats write to other columns of it at the same time."""
        row: Gateway = self.instance
        if row._state.adding:
            super().save(commit)
        else:
            learnt = registration.PINNED if self.met else ()
            row.save(update_fields=[*(name for name in self.Meta.fields if name in self.fields), *learnt])
        if self.silence:
            checks.lost(row, self.silence)
        elif self.met:
            registration.note(row, self.before)
            checks.found(row)
        return row


class GatewayClusterForm(PageForm):
    """A cluster: which of its gateways carries a connection."""

    use_src_ip = source_filter()

    class Meta:
        model = GatewayCluster
        fields: ClassVar = ["name", "address", "use_src_ip", "balance", "notes"]
        widgets: ClassVar = {"notes": forms.Textarea(attrs={"rows": 3})}
        help_texts: ClassVar = {
            "address": "Of the load balancer in front of all gateways. The other two methods use each gateway's own.",
            "balance": "“All gateways” opens each connection on every gateway, as nobody knows which one comes.",
        }

    sections = [
        Section("", fields=["name", "balance", "address"]),
        Section("Options", "", ["use_src_ip", "notes"]),
    ]

    def clean_address(self) -> str:
        """A name or address."""
        address = str(self.cleaned_data["address"]).strip()
        return place(address) if address else ""

    def clean(self) -> dict[str, Any]:
        """Behind a load balancer there is one address, and one port that is the same everywhere."""
        given = super().clean() or {}
        if given.get("balance") == GatewayCluster.Balance.ALL and not given.get("address"):
            self.add_error("address", "The load balancer's address is needed: clients connect to it.")
        return given
