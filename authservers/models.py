"""Authentication servers and the people they know."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth import get_backends
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from broker.core.fields import EncryptedJSONField

LOCAL = "local"


class AuthenticationServer(models.Model):
    """A place that verifies passwords: the built-in local server, or a directory."""

    class Unmatched(models.TextChoices):
        DEFAULT = "default", "Default policy"
        REFUSE = "refuse", "No access"

    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.CharField("Authentication Server name", max_length=100, unique=True)
    kind = models.CharField("Type", max_length=30, default="active_directory")
    domain = models.CharField("Domain", max_length=255, blank=True)
    netbios = models.CharField("NetBIOS name", max_length=15, blank=True)
    position = models.PositiveIntegerField("Position", default=1)
    active = models.BooleanField("Active", default=True)
    in_domain_list = models.BooleanField("Show in the domain list of the sign-in page", default=True)
    default_domain = models.BooleanField("Default domain of the sign-in page", default=False)
    unmatched = models.CharField("People without a rule", max_length=10, choices=Unmatched, default=Unmatched.DEFAULT)
    directory_ids = ArrayField(
        models.CharField(max_length=70), verbose_name="AWS Directory ID", default=list, blank=True
    )
    config = models.JSONField(default=dict, blank=True, help_text="host, port, security, search and login settings")
    secrets = EncryptedJSONField()
    groups = models.JSONField(default=list, blank=True, help_text="[{sid, name, dn}] as last read from the directory")
    groups_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    trouble = models.TextField(blank=True, help_text="Why it did not answer when last asked.")
    notes = models.TextField("Notes", max_length=4095, blank=True)

    class Meta:
        ordering: ClassVar = ["position", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["default_domain"], condition=Q(default_domain=True), name="one_default_domain"
            ),
            models.UniqueConstraint(fields=["kind"], condition=Q(kind="local"), name="one_local_server"),
        ]

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    """People by their key."""

    def get_by_natural_key(self, username: str | None) -> "User":
        """The user with this key (`<server>:<login>`)."""
        return self.get(key=username)


class User(AbstractBaseUser):
    """A person. `key` is `<server id>:<login in lower case>`, since a login is unique within its server only."""

    key = models.CharField(max_length=280, unique=True)
    server = models.ForeignKey(AuthenticationServer, models.PROTECT, related_name="users")
    login = models.CharField("Login name", max_length=255)
    display_name = models.CharField("Name", max_length=255, blank=True)
    email = models.EmailField("E-mail", blank=True, max_length=320)
    sam = models.CharField("sAMAccountName", max_length=255, blank=True)
    upn = models.CharField("User principal name", max_length=255, blank=True)
    netbios = models.CharField("NetBIOS domain", max_length=15, blank=True)
    sid = models.CharField("Security identifier", max_length=190, blank=True)
    guid = models.CharField("Object GUID", max_length=40, blank=True)
    dn = models.TextField("Distinguished name", blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    group_sids = ArrayField(models.CharField(max_length=190), default=list, blank=True)
    groups_at = models.DateTimeField(null=True, blank=True)
    last_location = models.BigIntegerField(null=True, blank=True, help_text="The location of the last sign-in.")
    last_sign_in_at = models.DateTimeField("Last sign-in", null=True, blank=True)
    created_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField("Active", default=True)
    must_change_password = models.BooleanField(default=False)
    must_agree = models.BooleanField(default=False, help_text="The licence agreement is still to be accepted.")
    gone_at = models.DateTimeField(null=True, blank=True, help_text="When the directory no longer knew this person.")
    notes = models.TextField("Notes", max_length=4095, blank=True)
    last_login = None
    role: Any  # the role of the sign-in, put here per request (policies.backends)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "key"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering: ClassVar = ["login"]
        constraints: ClassVar = [
            models.UniqueConstraint("server", Lower("login"), name="one_user_per_login_and_server"),
            models.UniqueConstraint(fields=["server", "sid"], condition=~Q(sid=""), name="one_user_per_sid"),
        ]
        indexes: ClassVar = [
            GinIndex(fields=["group_sids"], name="user_groups"),
            models.Index(Lower("sam"), name="user_sam"),
            models.Index(Lower("upn"), name="user_upn"),
        ]

    def __str__(self) -> str:
        return self.display_name or self.login

    @property
    def windows_name(self) -> str:
        """`NETBIOS\\name`, or the bare name of a local user."""
        return f"{self.netbios}\\{self.sam or self.login}" if self.netbios else self.login

    def has_perm(self, perm: str, obj: object | None = None) -> bool:
        """Whether the user's role grants `<area>.view` or `<area>.edit` (answered by policies.backends)."""
        return self.is_active and any(backend.has_perm(self, perm, obj) for backend in backends())


def backends() -> list[Any]:
    """The authentication backends named in the settings."""
    return list(get_backends())


def key_of(server_id: int, login: str) -> str:
    """The unique key of a login at a server."""
    return f"{server_id}:{login.strip().lower()}"
