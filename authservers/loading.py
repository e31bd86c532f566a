"""Loading people: asked of the directory outside any transaction, then kept in one (seed ch. 6)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from django.db import IntegrityError, transaction

from authservers import scopes
from authservers.directories.base import Person
from authservers.models import AuthenticationServer, User
from authservers.people import keep
from authservers.services import directory
from broker.core import audit, words


@dataclass
class Loaded:
    """What became of a wish to load people."""

    users: list[User] = field(default_factory=list)
    known: int = 0
    gone: int = 0
    troubles: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """ "3 users loaded; 1 of them was known and is up to date now." """
        parts = [f"{words.count(len(self.users), 'user')} loaded"]
        if self.known:
            parts.append(f"{self.known} of them {'was' if self.known == 1 else 'were'} known and brought up to date")
        if self.gone:
            parts.append(f"{words.count(self.gone, 'user')} could not be found in the directory any more")
        return "; ".join(parts) + "."


def load(server: AuthenticationServer, guids: Sequence[str]) -> Loaded:
    """Insert or update these people. Raises DirectoryError, and then nobody was loaded."""
    source = directory(server)
    found = list(scopes.by_guid(source, list(guids)))
    groups = source.group_sids_of([person.dn for person in found]) if found else {}
    complete = [replace(person, group_sids=groups.get(person.dn, ())) for person in found]
    return store(server, complete, gone=len(set(guids)) - len(complete))


@transaction.atomic
def store(server: AuthenticationServer, people: Sequence[Person], gone: int) -> Loaded:
    """Keep them, one by one: a person whose login clashes does not stop the others."""
    known = User.objects.filter(server=server, guid__in=[each.guid for each in people])
    before = set(known.values_list("guid", flat=True))
    done = Loaded(gone=gone)
    for person in people:
        login = login_of(server, person)
        if not login:
            done.troubles.append(f"{person.display_name} has no {server.config['match_field']} and was left out.")
            continue
        try:
            done.users.append(keep(server, person, login))
            done.known += person.guid in before
        except IntegrityError:
            done.troubles.append(f"{login} was left out: another user of this server has this login name.")
    audit.record("admin.users_loaded", f"{done.sentence} {words.listed(done.users, most=20)}".strip(), subject=server)
    return done


def login_of(server: AuthenticationServer, person: Person) -> str:
    """What this person types to sign in: the server's match field."""
    field_name = str(server.config.get("match_field") or "sAMAccountName")
    if field_name.lower() == "samaccountname":
        return person.sam
    return next(iter(person.values(field_name)), "")
