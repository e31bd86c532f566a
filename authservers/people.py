"""What a directory says of a person, kept in the user's row (RULES 6)."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q

from authservers.directories.base import Person
from authservers.models import AuthenticationServer, User, key_of
from authservers.services import judge_again
from broker.core.clock import now


@transaction.atomic
def keep(
    server: AuthenticationServer, person: Person, login: str = "", signed_in: Mapping[str, Any] | None = None
) -> User:
    """Insert or update the row of a person, with the columns of a sign-in where there is one.

    The login is the sAMAccountName unless the server matches another field. Who is in other groups than before is
    judged anew, also where they are signed in already (RULES 22).
    """
    name = login or person.sam
    user = known(server, person, name) or User(server=server, created_at=now())
    read, regrouped = now(), user.pk and set(user.group_sids) != set(person.group_sids)
    user.key, user.login = key_of(server.pk, name), name
    user.display_name, user.email = person.display_name[:255], person.email[:320]
    user.sam, user.upn, user.netbios = person.sam[:255], person.upn[:255], server.netbios
    user.sid, user.guid, user.dn = person.sid, person.guid, person.dn
    user.attributes = dict(person.attributes)
    user.group_sids, user.groups_at = list(person.group_sids), read
    user.gone_at = None
    for column, value in (signed_in or {}).items():
        setattr(user, column, value)
    if not user.password:
        user.set_unusable_password()
    user.save()
    if regrouped:
        judge_again(server, "their groups have changed", user)
    return user


@transaction.atomic
def heard(server: AuthenticationServer, person: Person) -> None:
    """Keep what a directory says of somebody who is not let in, if we know them: it holds for what is open, too."""
    if known(server, person, person.sam) is not None:
        keep(server, person)


def known(server: AuthenticationServer, person: Person, name: str) -> User | None:
    """The row of this person: by SID, so that a rename keeps it, else by login."""
    rows = User.objects.select_for_update(no_key=True).filter(server=server)
    same_sid = Q(sid=person.sid) if person.sid else Q(pk__in=[])
    found = list(rows.filter(same_sid | Q(key=key_of(server.pk, name))))
    return next((each for each in found if person.sid and each.sid == person.sid), found[0] if found else None)
