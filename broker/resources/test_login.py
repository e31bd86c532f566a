"""Resources > Users > Test Login (seed ch. 7): who somebody is, what they are offered, and why not more."""

import json
from dataclasses import asdict
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from authservers.models import AuthenticationServer
from broker.connect.explain import explain
from broker.connect.report import Report
from broker.connect.verdicts import OFFERED
from broker.core import audit
from broker.core.forms import PlainForm
from broker.core.net import is_address
from broker.core.pages import needs
from broker.resources.users.pages import UserPages
from policies.models import Location


class TestLoginForm(PlainForm):
    """Whom to test, and from where."""

    __test__ = False  # pytest: this is no test

    login = forms.CharField(label="User Name", max_length=255)
    server = forms.ModelChoiceField(
        AuthenticationServer.objects.none(),
        label="Domain",
        required=False,
        empty_label="Any",
        help_text="Any asks the active authentication servers in their order, as a sign-in does.",
    )
    location = forms.ModelChoiceField(
        Location.objects.none(), label="Client location", required=False, empty_label="All",
        help_text="Where the person would sign in from. Assignment rules may depend on it.",
    )  # fmt: skip
    address = forms.CharField(
        label="Or the client's IP address",
        required=False,
        help_text="The location is then found by the rules of the locations.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        server, location = self.fields["server"], self.fields["location"]
        assert isinstance(server, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        assert isinstance(location, forms.ModelChoiceField)  # noqa: S101
        server.queryset = AuthenticationServer.objects.filter(active=True).order_by("position", "name")
        location.queryset = Location.objects.all()

    def clean_address(self) -> str:
        """An IP address or nothing."""
        text = str(self.cleaned_data["address"]).strip()
        if text and not is_address(text):
            raise forms.ValidationError(f"“{text}” is not an IP address.")
        return text


@needs("users.view")
def test_login(request: HttpRequest) -> HttpResponse:
    """The form, and below it the report; with `format` the report as a file."""
    posted = request.method == "POST"
    form = TestLoginForm(request.POST) if posted else TestLoginForm(initial=request.GET.dict())
    report = reported(form.cleaned_data) if posted and form.is_valid() else None
    if report is not None:
        audit.record("admin.test_login", f"Test Login of {report.login}: {report.verdict}")
        if request.POST.get("format"):
            return as_file(report, request.POST["format"])
    context = UserPages.context(request, form=form, report=report, offered=OFFERED, data=form.data if posted else {})
    return render(request, "resources/test_login.html", {**context, "title": "Test Login"})


test_login.__test__ = False  # type: ignore[attr-defined]  # pytest: this is no test


def reported(said: dict[str, Any]) -> Report:
    """The report for what the form says; an address goes before a location."""
    return explain(said["server"], said["login"], said["address"] or said["location"])


def as_file(report: Report, kind: str) -> HttpResponse:
    """The report for support: JSON, or text."""
    name = f"test-login-{report.at:%Y%m%d-%H%M%S}"
    if kind == "json":
        body = json.dumps({"summary": report.verdict, **asdict(report)}, indent=2, default=str)
        answer = HttpResponse(body, content_type="application/json")
    else:
        answer = HttpResponse(
            render_to_string("resources/test_login.txt", {"report": report}), content_type="text/plain; charset=utf-8"
        )
    answer["Content-Disposition"] = f'attachment; filename="{name}.{"json" if kind == "json" else "txt"}"'
    return answer
