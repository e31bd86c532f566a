"""The forms of sign-in and first use."""

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password

from authservers.models import AuthenticationServer, User


def active_servers() -> list[AuthenticationServer]:
    """Who may be asked for a password, in order."""
    return list(AuthenticationServer.objects.filter(active=True).order_by("position", "pk"))


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
        field = self.fields["domain"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - for mypy
        field.choices = [("", "Any domain"), *choices]
        default = next((str(server.pk) for server in listed if server.default_domain), "")
        field.initial = default


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
