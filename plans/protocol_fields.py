"""The fields that a protocol has in the form of a protocol plan."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from gateways.models import Gateway, GatewayCluster
from plans import dcv
from plans.fields import TaggedText, tag_errors, tag_list, template_errors
from plans.models import PORTS, ProtocolChoice
from plans.rdp import DEFAULT_RDP_TEMPLATE

Protocol = ProtocolChoice.Protocol
Way = Gateway | GatewayCluster
PRIORITIES = [("", "Do not use"), *((number, str(number)) for number in range(1, 7))]
# Who the user is on the desktop, where the viewer signs them in.
SIGN_IN: dict[str, tuple[str, ...]] = {
    Protocol.HTML5_RDP: ("sso_user", "sso_domain"),
    Protocol.HTML5_SCREEN: ("sso_user", "sso_domain"),
    Protocol.HTML5_VNC: ("sso_user",),
    Protocol.HTML5_SSH: ("sso_user",),
}
TEMPLATES: dict[str, str] = {Protocol.RDP: DEFAULT_RDP_TEMPLATE, Protocol.DCV: dcv.DEFAULT_DCV_TEMPLATE}
ABOUT: dict[str, str] = {
    Protocol.HTML5_RDP: "The desktop in the browser's page. Without sound, printers, drives and USB.",
    Protocol.HTML5_SCREEN: "The same, drawn by the gateway: for desktops that HTML5 RDP shows badly. It takes far more "
    "of the gateway's memory and processor.",
    Protocol.HTML5_SSH: "A terminal in the browser's page.",
    Protocol.DCV: "A .dcv file, for desktops whose Usher Agent finds Amazon DCV installed; others are passed over.",
}


FIRST = "The protocol with 1 is tried first, then the next one that can be had."


class WayField(forms.TypedChoiceField):
    """A gateway, or a gateway cluster."""

    def __init__(self, ways: dict[str, Way], *, needed: bool, **kwargs: Any) -> None:
        self.ways = ways
        groups = (("Gateways", Gateway), ("Gateway clusters", GatewayCluster))
        choices: list[Any] = [("", "Choose a gateway" if needed else "None: connect directly")]
        for title, model in groups:
            found = [(key, str(way)) for key, way in ways.items() if isinstance(way, model)]
            choices += [(title, found)] if found else []
        super().__init__(choices=choices, coerce=ways.__getitem__, empty_value=None, required=False, **kwargs)


def ways() -> dict[str, Way]:
    """What a connection may go through, by the value of its entry."""
    gateways = {f"gateway-{each.pk}": each for each in Gateway.objects.order_by("name")}
    clusters = {f"cluster-{each.pk}": each for each in GatewayCluster.objects.order_by("name")}
    return {**gateways, **clusters}


def starts(protocol: str) -> bool:
    """Whether a new plan uses it: the file, which needs nothing."""
    return protocol == Protocol.RDP


def made(protocol: str, before: str, through: dict[str, Way]) -> dict[str, forms.Field]:
    """All fields of one protocol; without a gateway there is none to choose."""
    found: dict[str, forms.Field] = {
        "priority": forms.TypedChoiceField(
            choices=PRIORITIES, coerce=int, empty_value=None, required=False, initial=1, label=f"{before}Priority",
            help_text=ABOUT.get(protocol, "") or FIRST,
        ),
        "template": TaggedText(
            dcv.template_errors if protocol == Protocol.DCV else template_errors, 14 if protocol == Protocol.RDP else 6,
            initial=TEMPLATES.get(protocol, ""), label=f"{before}Configuration file", help_text=tag_list(),
        ),
        "command_line": TaggedText(
            tag_errors, 2, max_length=1000, label=f"{before}Command line parameters",
            help_text="Given to the viewer on the user's device. The same dynamic tags.",
        ),
        "port": forms.IntegerField(
            min_value=1, max_value=65535, required=False, label=f"{before}Port",
            help_text=f"Where the desktop listens. Empty: {PORTS[protocol]}.",
        ),
        "sign_in": forms.BooleanField(
            required=False, initial=True, label=f"{before}Sign the user in",
            help_text="With the password of the sign-in, which is kept while it lasts and never reaches the browser. "
            "Whoever signed in without one is asked for it. Otherwise the desktop asks.",
        ),
        "sso_user": tagged(f"{before}User", "{USER}"),
        "sso_domain": tagged(f"{before}Domain", "{DOMAIN}"),
    }  # fmt: skip
    if through:
        needed = protocol in SIGN_IN
        about = "A gateway that is down is passed over: then the protocol with the next priority is used."
        found["gateway"] = WayField(through, needed=needed, label=f"{before}Gateway", help_text=about)
    return found


def tagged(label: str, initial: str) -> forms.CharField:
    """A name with dynamic tags."""
    return forms.CharField(
        label=label, initial=initial, required=False, max_length=255, validators=[check_tags],
        help_text="As whom. Dynamic tags as in a configuration file, such as {USER}, {DOMAIN}, {HOSTNAME}, {EMAIL}.",
    )  # fmt: skip


def check_tags(text: str) -> None:
    """Refuse unknown tags."""
    errors = tag_errors(text)
    if errors:
        raise ValidationError(errors)


def value_of(row: ProtocolChoice | None, protocol: str, name: str) -> Any:
    """What a stored plan says; a protocol without a row is not used."""
    if row is None:
        blank = {
            "template": TEMPLATES.get(protocol, ""),
            "sign_in": True,
            "sso_user": "{USER}",
            "sso_domain": "{DOMAIN}",
        }
        return blank.get(name)
    if name == "gateway":
        way = row.through
        return None if way is None else f"{'cluster' if row.cluster_id else 'gateway'}-{way.pk}"
    return getattr(row, name)
