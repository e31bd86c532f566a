"""The password of a sign-in: kept while it lives, opened by the browser's half and the server's together only."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from broker.connect import credentials, housekeeping, portals
from broker.connect.models import PortalSession
from broker.connect.vault import HALF, Locked, seal, unseal
from broker.core.clock import now
from broker.core.fields import cipher
from broker.core.models import Job, LogEntry
from tests import make

SECRET = "Tr0ub4dor&3-ünusual"


@given(st.text(max_size=200), st.text(max_size=60))
def test_both_halves_open_it_again(password: str, bound: str) -> None:
    cookie, stored = seal(password, bound)
    assert unseal(cookie, stored, bound) == password


def test_what_is_stored_says_nothing_without_the_cookie() -> None:
    cookie, stored = seal(SECRET, "7:abc")
    assert SECRET.encode() not in stored
    for guess in ("", "AAAA", cookie[:-1], cookie + "A", "ü" * 43, seal(SECRET, "7:abc")[0]):
        with pytest.raises(Locked):
            unseal(guess, stored, "7:abc")


@pytest.mark.parametrize("place", [0, HALF, HALF + 12, -1])
def test_a_changed_byte_anywhere_locks_it(place: int) -> None:
    cookie, stored = seal(SECRET, "7:abc")
    changed = bytearray(stored)
    changed[place] ^= 1
    with pytest.raises(Locked):
        unseal(cookie, bytes(changed), "7:abc")
    with pytest.raises(Locked):
        unseal(cookie, stored[:20], "7:abc")


def test_it_opens_only_for_the_sign_in_that_it_was_sealed_for() -> None:
    cookie, stored = seal(SECRET, "7:abc")
    with pytest.raises(Locked):
        unseal(cookie, stored, "8:abc")


@pytest.fixture
def signed_in(db: Any, client: Client) -> Client:
    make.defaults()
    person = make.user("bob")
    person.set_password(SECRET)
    person.save()
    assert client.post("/", {"login": "bob", "password": SECRET}).status_code == 302
    return client


def recalled(client: Client, **cookies: str) -> str:
    request = RequestFactory().post("/")
    request.COOKIES = {name: each.value for name, each in client.cookies.items()} | cookies
    return credentials.recall(request, PortalSession.objects.latest("pk"), 1)


def test_a_sign_in_by_the_form_fills_the_vault(signed_in: Client) -> None:
    cookie = signed_in.cookies[credentials.COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/launches/")
    assert recalled(signed_in) == SECRET
    assert recalled(signed_in, usher_half="A" * 43) == ""


def test_the_browsers_half_travels_over_tls_only_where_there_is_tls(signed_in: Client) -> None:
    signed_in.logout()
    answer = signed_in.post("/", {"login": "bob", "password": SECRET}, secure=True)
    assert answer.cookies[credentials.COOKIE]["secure"]


def everything_stored() -> str:
    """What a thief of the database and its backups has: each text of each table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        texts = []
        for name in tables:
            cursor.execute(f'SELECT string_agg(t::text, chr(10)) FROM "{name}" t')
            texts.append(cursor.fetchone()[0] or "")
    return "\n".join(texts)


def test_database_and_encryption_keys_together_do_not_open_it(signed_in: Client) -> None:
    half = signed_in.cookies[credentials.COOKIE].value
    stored = everything_stored()
    assert SECRET not in stored
    assert half not in stored
    row = PortalSession.objects.latest("pk")
    sealed = cipher().decrypt(row.vault.encode())
    assert SECRET.encode() not in sealed
    with pytest.raises(Locked):
        unseal("A" * 43, sealed, credentials.bound(row))


def test_the_vault_of_another_sign_in_does_not_open_with_it(signed_in: Client) -> None:
    mine = PortalSession.objects.latest("pk")
    other = make.signed_in(Client(), make.user("carol"))
    PortalSession.objects.filter(user__login="carol").update(vault=mine.vault)
    assert recalled(other, usher_half=signed_in.cookies[credentials.COOKIE].value) == ""


def test_it_is_in_no_log_entry_and_no_job(signed_in: Client) -> None:
    assert SECRET not in repr(list(LogEntry.objects.values())) + repr(list(Job.objects.values()))


def test_signing_out_empties_it(signed_in: Client) -> None:
    answer = signed_in.post("/sign-out/")
    assert PortalSession.objects.latest("pk").vault == ""
    assert answer.cookies[credentials.COOKIE].value == ""


def test_whoever_ends_a_sign_in_empties_it(signed_in: Client) -> None:
    assert portals.close(PortalSession.objects.all(), "ended in the test") == 1
    assert PortalSession.objects.latest("pk").vault == ""


def test_the_database_lets_no_ended_sign_in_keep_it(signed_in: Client) -> None:
    with pytest.raises(IntegrityError, match="a_closed_sign_in_has_no_vault"), transaction.atomic():
        PortalSession.objects.update(closed_at=now())


@pytest.mark.parametrize("how", [{"expires_at": timedelta(0)}, {"active_at": timedelta(days=3)}])
def test_a_sign_in_that_ran_out_keeps_nothing(signed_in: Client, how: dict[str, timedelta]) -> None:
    PortalSession.objects.update(**{name: now() - ago for name, ago in how.items()})
    housekeeping.run(Job())
    assert PortalSession.objects.latest("pk").vault == ""


def test_housekeeping_leaves_the_living_alone(signed_in: Client) -> None:
    housekeeping.run(Job())
    assert recalled(signed_in) == SECRET


def test_the_request_that_finds_it_run_out_empties_it_at_once(signed_in: Client) -> None:
    PortalSession.objects.update(expires_at=now())
    assert "ended" in signed_in.get("/desktops/").headers["Location"]
    assert PortalSession.objects.latest("pk").vault == ""


def test_a_changed_password_is_forgotten(signed_in: Client) -> None:
    person = PortalSession.objects.latest("pk").user
    type(person).objects.filter(pk=person.pk).update(must_change_password=True)
    answer = signed_in.post("/welcome/", {"password": "another-Horse9", "again": "another-Horse9", "agree": "on"})
    assert answer.status_code == 302
    row = PortalSession.objects.latest("pk")
    assert (row.closed_at, row.vault) == (None, "")
