"""Setup > Gateways: the form (seed ch. 5, SPEC 2.3)."""

from typing import ClassVar

from django import forms
from django.core.exceptions import ValidationError

from broker.core.addresses import name_problem, with_port
from broker.core.forms import PageForm, Section
from gateways.models import Gateway


class GatewayForm(PageForm):
    """A gateway's two addresses."""

    use_src_ip = forms.TypedChoiceField(
        label="Method of source-IP filtering",
        coerce=int,
        choices=Gateway.Filter.choices,
        help_text="Which clients may use the port that is opened for them, and which port that is.",
    )

    class Meta:
        model = Gateway
        fields: ClassVar = ["name", "address", "address_private", "use_src_ip", "notes"]
        widgets: ClassVar = {"notes": forms.Textarea(attrs={"rows": 3})}
        help_texts: ClassVar = {
            "address": "What users' clients connect to.",
            "address_private": (
                "Optional. The broker talks to the gateway here; display traffic never does. Add :port if not 443."
            ),
        }

    sections = [
        Section("", fields=["name", "address", "address_private"]),
        Section("Options", "", ["use_src_ip", "notes"]),
    ]

    def clean_address(self) -> str:
        """A name or address; the port of a connection is the gateway's choice."""
        address = str(self.cleaned_data["address"]).strip()
        problem = name_problem(address)
        if problem:
            raise ValidationError(problem)
        return address

    def clean_address_private(self) -> str:
        """A name or address, with or without port."""
        address = str(self.cleaned_data["address_private"]).strip()
        if not address:
            return ""
        try:
            problem = name_problem(address) if "/" in address else name_problem(with_port(address, 443)[0])
        except ValueError as error:
            raise ValidationError(str(error)) from error
        if problem:
            raise ValidationError(problem)
        return address
