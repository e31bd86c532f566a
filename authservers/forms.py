"""Setup > Authentication Servers: the form (seed ch. 5, SPEC 2.2)."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from cryptography import x509
from django import forms
from django.core.exceptions import ValidationError

from authservers.directories.base import DirectoryError
from authservers.directories.expressions import checked_attribute, checked_expression
from authservers.models import LOCAL, AuthenticationServer, User
from broker.core.addresses import name_problem
from broker.core.forms import ConfigForm, SecretField, Section, when

PORTS = {False: 389, True: 636}
KINDS = {"active_directory": "Active Directory"}
DIRECTORY_ID = re.compile(r"d-[0-9a-f]{8,63}|wsd-[0-9a-z]{8,63}")  # AWS API: DirectoryId (RULES 7)
OF_LOCAL = {"name", "unmatched", "active", "position", "in_domain_list", "notes"}
RECIPE = "https://aws.amazon.com/blogs/security/how-to-configure-ldaps-endpoint-for-simple-ad/"
UNENCRYPTED = [
    ("starttls", "Encrypt with StartTLS, on the same port"),
    ("plain", "Do not encrypt: passwords cross the network in the clear"),
]


class LinesField(forms.CharField):
    """Several short texts, one a line; its value is a list without blanks and repetitions."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """The list as lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """The lines as a list."""
        return list(dict.fromkeys(str(value or "").replace(",", " ").split()))

    def validate(self, value: Any) -> None:
        """An empty list is an answer unless one is needed."""
        if self.required and not value:
            raise ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value: Any) -> None:
        """None: what a line may be is said by the form."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared as lists."""
        return bool(list(initial or []) != self.to_python(data))


class AuthenticationServerForm(ConfigForm):
    """A directory people sign in with; the built-in local server has a few of these fields only."""

    kind = forms.ChoiceField(label="Type", choices=list(KINDS.items()))
    directory_ids = LinesField(
        label="AWS Directory ID",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "d-9067012345"}),
        help_text="One a line, as the AWS console shows it. A center needs one; several regions may share this server.",
    )

    class Meta:
        model = AuthenticationServer
        fields: ClassVar = [
            "name", "domain", "netbios", "kind", "directory_ids", "unmatched", "active", "position", "in_domain_list",
            "default_domain", "notes",
        ]  # fmt: skip
        widgets: ClassVar = {"notes": forms.Textarea(attrs={"rows": 3})}
        help_texts: ClassVar = {
            "domain": "The Active Directory domain, such as corp.example.com.",
            "netbios": "The short name in CORP\\alice. Leave it empty to read it from the directory.",
            "unmatched": "What somebody gets who signs in and fits no rule under Configuration > Assignments.",
            "active": "Switched off, nobody can sign in through this server; its users and their desktops stay.",
            "position": "Servers are tried in this order when somebody types no domain.",
        }

    sections = [
        Section("Connection Settings", "Where the directory is, and how the connection to it is protected.",
                ["kind", "address_by", "host", "port", "ldaps", "upgrade", "ca_pem", "directory_ids"]),
        Section("Search Settings", "An account that may read user records. Administrator rights are not needed.",
                ["search_user", "search_password", "base_dn", "user_filter"]),
        Section("User Login Search", "How the name that somebody types is found in the directory.",
                ["match_field", "query_groups", "netbios"]),
        Section("Options", "", ["unmatched", "active", "position", "in_domain_list", "default_domain", "notes"]),
    ]  # fmt: skip
    show_when = {"upgrade": when("ldaps", False)}

    def __init__(self, *args: Any, user: User | None = None, **kwargs: Any) -> None:
        self.user = user
        super().__init__(*args, **kwargs)
        if self.instance.kind == LOCAL:
            for name in set(self.fields) - OF_LOCAL:
                del self.fields[name]
            return
        self.fields["domain"].required = True
        stored = (self.instance.config or {}).get("security")
        if stored:
            self.initial.setdefault("ldaps", stored == "ldaps")
            self.initial.setdefault("upgrade", "plain" if stored == "plain" else "starttls")
        if self.instance._state.adding:
            self.initial.setdefault("position", AuthenticationServer.objects.count() + 1)

    def config_fields(self) -> Mapping[str, forms.Field]:
        """What a directory needs; the local server needs none of it."""
        return {} if self.instance.kind == LOCAL else DIRECTORY_FIELDS

    # One field.

    def clean_domain(self) -> str:
        """A DNS name, in lower case."""
        domain = str(self.cleaned_data["domain"]).lower().strip(".")
        if name_problem(domain) or "." not in domain:
            raise ValidationError("This is not a domain name. An example: corp.example.com")
        return domain

    def clean_host(self) -> str:
        """Host names or addresses, tried in their order."""
        hosts = str(self.cleaned_data["host"]).replace(",", " ").split()
        problems = [problem for problem in map(name_problem, hosts) if problem]
        if problems:
            raise ValidationError(problems)
        return ", ".join(hosts)

    def clean_ca_pem(self) -> str:
        """Certificates in PEM, and no private key among them."""
        text = str(self.cleaned_data["ca_pem"])
        if "PRIVATE KEY" in text:
            raise ValidationError("This contains a private key. Paste the certificate alone, and keep the key secret.")
        try:
            if text:
                x509.load_pem_x509_certificates(text.encode())
        except ValueError as error:
            raise ValidationError(
                "This is not a certificate in PEM form: it begins with -----BEGIN CERTIFICATE-----."
            ) from error
        return text

    def clean_user_filter(self) -> str:
        """An LDAP expression."""
        text = str(self.cleaned_data["user_filter"])
        return _said_by_directory(checked_expression, text) if text else ""

    def clean_match_field(self) -> str:
        """The name of an attribute."""
        return _said_by_directory(checked_attribute, str(self.cleaned_data["match_field"]))

    def clean_base_dn(self) -> str:
        """A distinguished name, or nothing for the whole domain."""
        text = str(self.cleaned_data["base_dn"])
        if text and not all("=" in part for part in re.split(r"(?<!\\),", text)):
            raise ValidationError("This is not a distinguished name. An example: OU=Staff,DC=corp,DC=example,DC=com")
        return text

    def clean_directory_ids(self) -> list[str]:
        """Well-formed, at one server only, and still there for the centers that use them."""
        ids: list[str] = self.cleaned_data["directory_ids"]
        wrong = [each for each in ids if not DIRECTORY_ID.fullmatch(each)]
        if wrong:
            raise ValidationError(f"“{wrong[0]}” is not an AWS Directory ID: it looks like d-0123456789.")
        other = AuthenticationServer.objects.exclude(pk=self.instance.pk).filter(directory_ids__overlap=ids).first()
        if other:
            shared = next(each for each in ids if each in other.directory_ids)
            raise ValidationError(f"{shared} belongs to the authentication server “{other}” already.")
        if self.instance.pk:
            held = self.instance.centers.exclude(directory_id="").exclude(directory_id__in=ids).first()
            if held:
                raise ValidationError(f"The center “{held}” uses {held.directory_id}; it must stay here.")
        return ids

    def clean_active(self) -> bool:
        """Nobody locks himself out."""
        active = bool(self.cleaned_data["active"])
        if not active and self.user and self.instance.pk and self.user.server_id == self.instance.pk:
            raise ValidationError("You signed in through this server yourself: switched off, you could not come back.")
        return active

    # Several fields.

    def clean(self) -> dict[str, Any]:
        """The port follows LDAPS where it was left alone; a password does not follow to another address."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if "ldaps" not in self.fields:
            return data
        changed = self.changed_data
        if "ldaps" in changed and "port" not in changed and data.get("port") == PORTS[not data["ldaps"]]:
            data["port"] = PORTS[bool(data["ldaps"])]
        if self.instance.pk and "host" in changed and not data.get("search_password"):
            self.add_error("search_password", "The address is another one: type the password again.")
        return data

    def instance_values(self) -> None:
        """`config` knows one word for the protection of the connection."""
        super().instance_values()
        config = self.instance.config
        if "ldaps" in config:
            encrypted, otherwise = config.pop("ldaps"), config.pop("upgrade", "starttls")
            config["security"] = "ldaps" if encrypted else otherwise

    def _get_validation_exclusions(self) -> set[str]:
        """There is one default domain: choosing this one takes it from the other, in save()."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded | {"default_domain"}

    def save(self, commit: bool = True) -> Any:
        """Store the row, as the only default where it is one."""
        if commit and self.instance.default_domain:
            AuthenticationServer.objects.exclude(pk=self.instance.pk).update(default_domain=False)
        return super().save(commit)


def _said_by_directory(check: Any, text: str) -> str:
    try:
        return str(check(text))
    except DirectoryError as error:
        raise ValidationError(error.message) from error


DIRECTORY_FIELDS: Mapping[str, forms.Field] = {
    "address_by": forms.ChoiceField(label="Specify address using", choices=[("host", "Hostname or IP address")]),
    "host": forms.CharField(
        label="Hostname or IP address",
        max_length=1000,
        help_text="Several are separated by commas and tried in this order.",
    ),
    "ldaps": forms.BooleanField(
        label="Encrypt connection to authentication server using SSL (LDAPS)",
        required=False,
        help_text="The port becomes 636. Edit it again where your directory uses another.",
    ),
    "port": forms.IntegerField(label="Port", initial=389, min_value=1, max_value=65535),
    "upgrade": forms.ChoiceField(
        label="Without LDAPS",
        choices=UNENCRYPTED,
        initial="starttls",
        help_text=(
            "Not encrypting lets everybody on the way read your users' passwords. Simple AD has no LDAPS of its own: "
            f'<a href="{RECIPE}" target="_blank" rel="noopener">a load balancer in front of it gives it one</a>.'
        ),
    ),
    "ca_pem": forms.CharField(
        label="CA certificate",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "placeholder": "-----BEGIN CERTIFICATE-----"}),
        help_text="The authority that signed the directory's certificate, in PEM. Empty: those this machine trusts.",
    ),
    "search_user": forms.CharField(
        label="User name", max_length=400, help_text="As name, name@domain, DOMAIN\\name or distinguished name."
    ),
    "search_password": SecretField(label="Password"),
    "base_dn": forms.CharField(
        label="Starting sub-tree",
        required=False,
        max_length=1000,
        help_text="Only people below it are known, as OU=Staff,DC=corp,DC=example,DC=com. Empty: the whole domain.",
    ),
    "user_filter": forms.CharField(
        label="Filter", required=False, max_length=2000, help_text="Only people who fit it, such as (department=Sales)."
    ),
    "match_field": forms.CharField(
        label="Match Login name against this field",
        initial="sAMAccountName",
        max_length=64,
        help_text="The attribute that holds what people type as their user name.",
    ),
    "query_groups": forms.BooleanField(
        label="Query for group information",
        required=False,
        initial=True,
        help_text="Assignments and Load users can then choose by group.",
    ),
}
