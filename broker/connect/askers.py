"""For whom offers are made: the few facts of a person and of their client that policies can ask for."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Q

from authservers.models import User
from broker.connect.models import PortalSession
from broker.core.clock import now
from centers.models import Desktop
from policies import locations


@dataclass(frozen=True, slots=True)
class Asker:
    """Ids and texts only, so that somebody who never signed in can be asked for, too.

    `person`: attribute in lower case -> values; `client`: as in policies/locations.py, empty where none is known.
    """

    user_id: int
    server_id: int
    sam: str
    person: Mapping[str, Sequence[str]] = field(default_factory=dict)
    client: Mapping[str, str] = field(default_factory=dict)
    moment: datetime = field(default_factory=now)
    counted: dict[int, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, user: User, portal: PortalSession | None = None, client: Mapping[str, str] | None = None) -> "Asker":
        """The asker that a user is, at the client of a portal session or at the one described."""
        sam = (user.sam or user.login).lower()
        return cls(user.pk or 0, user.server_id, sam, record(user), client or client_of(portal))

    def values(self, rule: Mapping[str, Any]) -> Sequence[str]:
        """What a row of a desktop filter compares with: its text, or what this person or client has of an attribute."""
        named = str(rule["value"]).strip()
        match rule.get("kind", "text"):
            case "user":
                return self.person.get(named.lower(), ())
            case "client":
                known = self.client.get(named.lower(), "")
                return [known] if known else ()
        return [str(rule["value"])]

    @property
    def salt(self) -> int:
        """A number by which this person meets the centers in an order of their own, the same at every look."""
        return zlib.crc32(f"{self.server_id}:{self.sam}".encode()) % 65_536 + 1

    def centers(self) -> Mapping[int, tuple[int, int]]:
        """Center -> how many of its desktops are assigned, and how many are to be had: one statement, asked once."""
        if not self.counted:
            there = Desktop.objects.exclude(availability=Desktop.Availability.DELETED).order_by()
            rows = there.values_list("center_id").annotate(
                lent_ones=Count("pk", filter=Q(lent=True)),
                free_ones=Count("pk", filter=Q(lent=False, availability=Desktop.Availability.AVAILABLE)),
            )
            self.counted.update({center: (lent, free) for center, lent, free in rows})
        return self.counted


def record(user: User) -> dict[str, Sequence[str]]:
    """A person's directory record as it was last read, and the columns that every person has."""
    own = {"login": user.login, "name": user.display_name, "email": user.email, "domain": user.netbios}
    found: dict[str, Sequence[str]] = {name: [value] for name, value in own.items() if value}
    for name, value in user.attributes.items():
        found[str(name).lower()] = [str(each) for each in value] if isinstance(value, list) else [str(value)]
    return found


def client_of(portal: PortalSession | None) -> Mapping[str, str]:
    """What is known of the client behind a portal session."""
    row = portal.client if portal else None
    if portal is None or row is None:
        return {"ip": portal.address} if portal and portal.address else {}
    return locations.described(row.user_agent, portal.address, row.language)
