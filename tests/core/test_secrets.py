"""Secrets: encrypted at rest, bound to their row, and shown nowhere (the main-job issue, "Must hold")."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from agents.models import EnrolmentToken
from authservers.models import AuthenticationServer, User
from broker.connect import login
from broker.core import audit, jobs
from broker.core.fields import Secrets, UnreadableSecret, secret, set_secret
from broker.core.models import Job, LogEntry
from broker.demo.aws import constants
from broker.demo.aws.server import Simulator
from broker.handlers import HANDLERS
from centers.models import Center
from tests import make
from tests.aws_simulator import simulator
from tests.connect.world import point_at

pytestmark = pytest.mark.django_db
SEARCH, LOCAL = "planted-Search-9", "planted-Local-Pass9"
ADD_SERVER, ADD_CENTER = "/setup/authentication-servers/add/", "/setup/centers/add/"


@pytest.fixture(autouse=True)
def broker() -> None:
    make.defaults()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with simulator() as running:
        point_at(monkeypatch, running.endpoint)
        yield running


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """Everything that is logged from here on, formatted as the product does."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    console = logging.getLogger().handlers[0]
    handler.setFormatter(console.formatter)
    loggers = [logging.getLogger(name) for name in (None, "django.request", "django", "broker")]
    for each in loggers:
        each.addHandler(handler)
    yield text
    for each in loggers:
        each.removeHandler(handler)


def held(value: str = "planted-at-rest") -> AuthenticationServer:
    row = make.server()
    set_secret(row, "search_password", value)
    row.save()
    return AuthenticationServer.objects.get(pk=row.pk)


def whole_database() -> str:
    """Every row of every table, as text."""
    text = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            text += [row[0] for row in cursor.fetchall()]
    return "\n".join(text)


def test_a_secret_is_encrypted_at_rest() -> None:
    row = held()
    assert "planted-at-rest" not in whole_database()
    assert secret(row, "search_password") == "planted-at-rest"
    assert secret(row, "another") == ""


def test_a_ciphertext_that_was_copied_to_another_row_does_not_open_and_is_not_laundered() -> None:
    one, other = held(), make.server()
    with connection.cursor() as cursor:
        table = AuthenticationServer._meta.db_table
        cursor.execute(
            f'UPDATE "{table}" SET secrets = (SELECT secrets FROM "{table}" WHERE id = %s) WHERE id = %s',
            [one.pk, other.pk],
        )
    thief = AuthenticationServer.objects.get(pk=other.pk)
    with pytest.raises(UnreadableSecret):
        secret(thief, "search_password")
    with pytest.raises(UnreadableSecret), transaction.atomic():
        thief.save()
    with pytest.raises(UnreadableSecret), transaction.atomic():
        call_command("rotate_keys", stdout=io.StringIO())


def test_keys_are_rotated_and_the_old_one_can_go(settings: Any) -> None:
    row, old = held(), settings.ENCRYPTION_KEYS[0]
    new = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, old]
    call_command("rotate_keys", stdout=io.StringIO())
    settings.ENCRYPTION_KEYS = [new]
    assert secret(AuthenticationServer.objects.get(pk=row.pk), "search_password") == "planted-at-rest"
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(UnreadableSecret, match="USHER_ENCRYPTION_KEYS"):
        AuthenticationServer.objects.get(pk=row.pk)


def test_secrets_do_not_show_themselves() -> None:
    row = held()
    for shown in (repr(row.secrets), str(row.secrets), f"{row.secrets}", repr(row), str(Secrets(row.secrets))):
        assert "planted" not in shown
    audit.record("admin.changed", "x", subject=row, changes={"search_password": ("set", "replaced")})
    assert "planted" not in str(list(LogEntry.objects.values()))


def test_a_bulk_update_cannot_store_secrets_in_the_clear() -> None:
    held()
    with pytest.raises(TypeError):
        AuthenticationServer.objects.update(secrets=Secrets({"a": {"value": "planted"}}))


def test_a_job_that_raises_with_a_secret_in_hand_shows_none(told: io.StringIO) -> None:
    row = held("planted-in-hand")

    def run(job: Job) -> jobs.Result:
        password = secret(row, "search_password")
        raise RuntimeError(f"no {len(password)}")

    jobs.enqueue(jobs.Wish("thing", payload={"server": row.pk}))
    jobs.work({"thing": jobs.Kind(run=run)})
    assert "RuntimeError" in Job.objects.get(kind="thing").reason
    assert "planted-in-hand" not in told.getvalue()


def server_form(**more: Any) -> dict[str, Any]:
    return {
        "kind": "active_directory", "name": "Planted", "domain": "corp.example.test", "address_by": "host",
        "host": "127.0.0.1", "port": "9", "upgrade": "starttls", "search_user": "svc", "search_password": SEARCH,
        "match_field": "sAMAccountName", "unmatched": "default", "position": "2", "active": "on",
        "directory_ids": constants.CORP_DIRECTORY, **more,
    }  # fmt: skip


def center_form(server: AuthenticationServer, key: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": "workspaces", "name": "Planted center", "server": server.pk, "directory_id": constants.CORP_DIRECTORY,
        "region": constants.REGION, "auth": "access_key", "access_key": constants.ACCESS_KEY, "secret_key": key,
        "refresh_minutes": "2", "offer_bound": "owner", "start_deadline_minutes": "60", **more,
    }  # fmt: skip


def pages_of(admin: Client) -> str:
    """Every page of the menu, the objects' own pages, the lists as CSV, and what they say in their headers."""
    addresses = ["/dashboard/", "/system/log/", "/system/job-queue/", "/resources/desktops/", "/resources/users/",
                 "/resources/images/", "/setup/centers/", "/setup/authentication-servers/"]  # fmt: skip
    addresses += [f"/setup/centers/{row.pk}/" for row in Center.objects.all()]
    addresses += [f"/setup/authentication-servers/{row.pk}/" for row in AuthenticationServer.objects.all()]
    addresses += [f"/resources/users/{row.pk}/" for row in User.objects.all()]
    addresses += [f"/system/log/{row.pk}/" for row in LogEntry.objects.all()]
    addresses += [f"/system/job-queue/{row.pk}/" for row in Job.objects.all()]
    seen, answered = [], 0
    for address in [*addresses, *(f"{each}?format=csv" for each in addresses[:8])]:
        answer = admin.get(address, follow=True)
        answered += answer.status_code == 200
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
        seen.append(body.decode() + str(dict(answer.headers)))
    assert answered >= 12, answered
    return "\n".join(seen)


def test_planted_secrets_are_found_nowhere(
    client: Client, aws: Simulator, told: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    admin = make.admin_client(client)
    pages = [admin.post(ADD_SERVER, server_form(), follow=True).content.decode()]
    server = AuthenticationServer.objects.get(name="Planted")
    assert secret(server, "search_password") == SEARCH
    pages.append(admin.post(ADD_CENTER, center_form(server, "planted/AWS/" * 3), follow=True).content.decode())
    pages.append(admin.post(ADD_CENTER, center_form(server, constants.SECRET_KEY), follow=True).content.decode())
    center = Center.objects.get(name="Planted center")
    assert secret(center, "secret_key") == constants.SECRET_KEY
    token_page = admin.post(f"/setup/centers/{center.pk}/enrolment/", {"valid": "30"})
    token = str(token_page.context["text"]).partition(".")[0]
    assert EnrolmentToken.objects.get(center=center)
    person = make.user("planted")
    person.set_password(LOCAL)
    person.save()
    pages.append(Client().post("/", {"login": "planted", "password": LOCAL + "x"}).content.decode())
    Client().post("/", {"login": "planted", "password": LOCAL})
    jobs.work(HANDLERS)
    admin.post(f"/setup/centers/{center.pk}/test/")
    admin.post(f"/setup/authentication-servers/{server.pk}/test/")
    printed = "".join(capfd.readouterr())
    places = {
        "pages": "\n".join(pages) + pages_of(admin),
        "database": whole_database(),
        "log output": told.getvalue() + printed,
    }
    for planted in (SEARCH, constants.SECRET_KEY, "planted/AWS/", token, LOCAL):
        for place, text in places.items():
            assert planted not in text, f"{planted[:12]}… is in the {place}"
            assert json.dumps(planted)[1:-1] not in text
    assert "Planted center" in places["pages"]


def test_an_error_page_shows_nothing_of_what_was_posted(
    client: Client, told: io.StringIO, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("something is broken")

    monkeypatch.setattr(login, "verified", broken)
    client.raise_request_exception = False
    assert not settings.DEBUG
    answer = client.post("/", {"login": "alice", "password": "planted-on-500"})
    assert answer.status_code == 500
    assert "planted-on-500" not in answer.content.decode()
    assert "something is broken" not in answer.content.decode()
    assert "planted-on-500" not in told.getvalue() + "".join(capfd.readouterr())
    assert "something is broken" in told.getvalue()


def test_every_column_that_may_hold_a_secret_is_an_encrypted_one() -> None:
    suspicious = ("password", "secret", "token", "private_key")
    hashed = {"authservers.user.password"}
    for model in apps.get_models():
        if model.__module__.partition(".")[0] in {"django"}:
            continue
        for field in model._meta.get_fields():
            name = f"{model._meta.label_lower}.{field.name}"
            if name in hashed or field.is_relation or field.name.endswith("_id") or field.name.startswith("must_"):
                continue
            if any(word in field.name for word in suspicious):
                assert type(field).__name__ == "EncryptedJSONField", name
