"""The forms of sign-in and first use."""

from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password

from authservers.models import AuthenticationServer, User


def active_servers() -> list[AuthenticationServer]:
    """Who may be asked for a password, in order."""
    return list(AuthenticationServer.objects.filter(active=True).order_by("position", "pk"))


@dataclass(frozen=True, slots=True)
class Typed:
    """What the form of the sign-in page holds."""

    login: str
    password: str = field(repr=False)
    domain: str = ""
    servers: tuple[AuthenticationServer, ...] | None = None  # the active ones, where the form has read them


class SignInForm(forms.Form):
    """The first form of the product."""

    login = forms.CharField(
        label="User name",
        max_length=255,
        widget=forms.TextInput(
            {"autocomplete": "username", "autofocus": True, "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    password = forms.CharField(
        label="Password",
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
    )
    domain = forms.ChoiceField(label="Domain", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.servers = active_servers()
        listed = [server for server in self.servers if server.in_domain_list]
        choices = [(str(server.pk), server.domain or server.name) for server in listed]
        if len(choices) < 2:
            del self.fields["domain"]
            return
        listing = self.fields["domain"]
        assert isinstance(listing, forms.ChoiceField)  # noqa: S101 - for mypy
        listing.choices = [("", "Any domain"), *choices]
        listing.initial = next((str(server.pk) for server in listed if server.default_domain), "")

    def typed(self) -> Typed:
        """What was typed, once it is valid."""
        held = self.cleaned_data
        return Typed(held["login"], held["password"], held.get("domain", ""), tuple(self.servers))


class ChangePasswordForm(SignInForm):
    """A sign-in with a new password for the directory, whose own rules judge it."""

    new = forms.CharField(
        label="New password", strip=False, widget=forms.PasswordInput({"autocomplete": "new-password"}), max_length=127
    )
    again = forms.CharField(
        label="New password again",
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        max_length=127,
    )
    why = forms.CharField(required=False, max_length=20, widget=forms.HiddenInput())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].label = "Current password"
        self.fields["password"].widget.attrs["autofocus"] = True
        for name in ("login", "domain"):
            if name in self.fields:
                self.fields[name].widget = forms.HiddenInput()

    def clean(self) -> dict[str, Any]:
        """Both new ones the same, and not the current one."""
        data = super().clean() or {}
        if data.get("new") and data["new"] == data.get("password"):
            self.add_error("new", "Choose another password than the one you have.")
        elif data.get("new") and data.get("again") and data["new"] != data["again"]:
            self.add_error("again", "The two passwords differ.")
        return data


class NewPasswordForm(forms.Form):
    """A new local password, and the licence agreement where it is still to be accepted."""

    password = forms.CharField(
        label="New password", strip=False, widget=forms.PasswordInput({"autocomplete": "new-password"}), max_length=1024
    )
    again = forms.CharField(
        label="Repeat the new password",
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        max_length=1024,
    )
    agree = forms.BooleanField(label="I have read and accept the License Agreement")

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        if not user.must_agree:
            del self.fields["agree"]

    def clean_password(self) -> str:
        """Long enough, not common, and not the old one."""
        password = str(self.cleaned_data["password"])
        validate_password(password, self.user)
        if self.user.check_password(password):
            raise forms.ValidationError("Choose another password than the one you have.")
        return password

    def clean(self) -> dict[str, Any]:
        """Both fields the same."""
        data = super().clean() or {}
        if data.get("password") and data.get("again") and data["password"] != data["again"]:
            self.add_error("again", "The two passwords differ.")
        return data
