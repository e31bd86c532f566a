"""The form of a person: local people are ours to change, those of a directory only as far as we decide about them."""

from typing import Any, ClassVar

from django import forms
from django.contrib.auth.password_validation import password_validators_help_texts, validate_password

from authservers.models import LOCAL, AuthenticationServer, User, key_of
from broker.connect.closing import shut_out
from broker.connect.setup import local_server
from broker.core.clock import now
from broker.core.context import current
from broker.core.forms import PageForm, SecretField, Section
from broker.resources.users.rights import is_administrator, last_administrator
from broker.resources.users.rows import close_sessions
from policies.backends import beyond
from policies.models import Access, Policy, Role

SESSION_CLOSERS = frozenset({"is_active", "role", "password"})  # RULES 22: these end what is open at once
SIGN_IN = ("login", "must_change_password", "role", "policy", "is_active")  # of an administrator: with roles.edit only
OURS = ("login", "display_name", "email", "password", "password_again", "must_change_password")


class UserForm(PageForm):
    """A local user, or what we decide about somebody of a directory."""

    password = SecretField(label="Password", required=False)
    password_again = SecretField(label="Password again", required=False)
    role = forms.ModelChoiceField(
        Role.objects.order_by("name"),
        label="Role",
        required=False,
        empty_label="By the assignment rules",
        help_text="A role given here goes before the assignment rules.",
    )
    policy = forms.ModelChoiceField(
        Policy.objects.order_by("name"),
        label="Policy",
        required=False,
        empty_label="By the assignment rules",
        help_text="A policy given here goes before the assignment rules.",
    )

    class Meta:
        model = User
        fields: ClassVar = ["login", "display_name", "email", "must_change_password", "is_active", "notes"]
        widgets: ClassVar = {"notes": forms.Textarea(attrs={"rows": 3})}
        labels: ClassVar = {"must_change_password": "Ask for a new password at the next sign-in", "is_active": "Active"}
        help_texts: ClassVar = {
            "login": "What is typed as User name when signing in.",
            "is_active": "Whoever is not active cannot sign in; taking it away signs them out at once.",
        }

    sections: ClassVar = [
        Section("User", "", ["login", "display_name", "email"]),
        Section("Password", "", ["password", "password_again", "must_change_password"]),
        Section("Access", "", ["role", "policy", "is_active"]),
        Section("Notes", "", ["notes"]),
    ]

    def __init__(self, *args: Any, editor: User | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.editor = editor
        self.me = editor.pk if editor else None
        self.local = self.instance._state.adding or self.instance.server.kind == LOCAL
        if not self.local:
            for name in OURS:
                del self.fields[name]
        else:
            self.prepare_password()
        own = Access.objects.filter(user=self.instance).first() if self.instance.pk else None
        if own is not None:
            self.initial.update({"role": own.role_id, "policy": own.policy_id})
        if editor and not editor.has_perm("roles.edit") and self.instance.pk and is_administrator(self.instance):
            self.protect()

    def protect(self) -> None:
        """Whoever may not change roles does not change how an administrator gets in (DESIGN 11)."""
        for name in set(SIGN_IN) & set(self.fields):
            self.fields[name].disabled = True
        self.fields["role"].help_text = "Only somebody who may change roles changes how an administrator signs in."
        for name in {"password", "password_again"} & set(self.fields):
            del self.fields[name]

    def prepare_password(self) -> None:
        """A new person needs one; later it is only replaced."""
        adding = self.instance._state.adding
        for name in ("password", "password_again"):
            self.fields[name].required = self.fields[name].widget.is_required = adding
            self.fields[name].initial = None
            self.initial.pop(name, None)
        rules = " ".join(password_validators_help_texts())
        self.fields["password"].help_text = rules if adding else f"Leave it blank to keep the present one. {rules}"

    def clean_login(self) -> str:
        """A login is unique among local people, whatever its case."""
        login = str(self.cleaned_data["login"]).strip()
        server = self.server()
        if User.objects.filter(server=server, login__iexact=login).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("Another local user has this login name.")
        return login

    def clean_is_active(self) -> bool:
        """Nobody locks themselves out."""
        active = bool(self.cleaned_data["is_active"])
        if not active and self.instance.pk and self.instance.pk == self.me:
            raise forms.ValidationError("You cannot disable yourself.")
        return active

    def clean_role(self) -> Role | None:
        """Nobody gives more rights than they have."""
        role: Role | None = self.cleaned_data["role"]
        if role and self.editor and role.pk != self.initial.get("role") and beyond(self.editor, role):
            raise forms.ValidationError("This role may do more than yours, so you cannot give it.")
        return role

    def clean(self) -> dict[str, Any]:
        """Both passwords are the same, and good enough; somebody is left who administers."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        role, active = cleaned.get("role"), cleaned.get("is_active", True)
        if self.instance.pk and last_administrator(self.instance) and not (active and role and role.admin_ui):
            self.add_error("is_active" if role and role.admin_ui else "role", "This is the last local administrator.")
        typed = cleaned.get("password", "")
        if typed != cleaned.get("password_again", ""):
            self.add_error("password_again", "The two passwords are not the same.")
        elif typed:
            try:
                validate_password(typed, self.instance)
            except forms.ValidationError as problem:
                self.add_error("password", problem)
        return cleaned

    def server(self) -> AuthenticationServer:
        """Where this person belongs."""
        return local_server() if self.instance._state.adding else self.instance.server

    def instance_values(self) -> None:
        """The columns that no field shows. Nothing is saved yet."""
        person: User = self.instance
        if not self.local:
            return
        login = self.cleaned_data.get("login")
        if person._state.adding:
            person.server, person.created_at = self.server(), now()
        if login:
            person.key, person.sam = key_of(person.server_id, login), login
        if self.cleaned_data.get("password"):
            person.set_password(self.cleaned_data["password"])

    def save(self, commit: bool = True) -> Any:
        """The person, and what was given to them directly."""
        person = super().save(commit)
        role, policy = self.cleaned_data.get("role"), self.cleaned_data.get("policy")
        if role or policy:
            Access.objects.update_or_create(user=person, defaults={"role": role, "policy": policy})
        else:
            Access.objects.filter(user=person).delete()
        if self.ends_sessions():
            end = close_sessions if person.is_active else shut_out
            end(person, f"changed by {current().actor_name or 'an administrator'}")
        return person

    def changes(self) -> dict[str, tuple[Any, Any]]:
        """A password only says that it was set."""
        found = super().changes()
        found.pop("password_again", None)
        return found

    def ends_sessions(self) -> bool:
        """Whether what was changed closes this person's sessions at once (RULES 22)."""
        return self.instance.pk != self.me and bool(SESSION_CLOSERS & set(self.changed_data))
