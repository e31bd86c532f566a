"""A gateway that stands, for the tests of the broker's side."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from broker.demo.directory import certificates
from gateways import checks
from gateways.keys import broker_public_key
from gateways.models import Gateway
from tests.gateways.scripted import Scripted, listening
from tests.services import wait_for


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of a gateway."""
    made = certificates.ensure(tmp_path_factory.mktemp("gateway"), ["localhost", "127.0.0.1"])
    return made.certificate, made.key


@pytest.fixture
def scripted(db: None, tls: tuple[Path, Path]) -> Iterator[Scripted]:
    """A scripted gateway that listens; nobody has registered it."""
    with listening(Scripted(tls, broker_public_key())) as gateway:
        yield gateway


@pytest.fixture
def edge(scripted: Scripted) -> Gateway:
    """The row of the scripted gateway, registered."""
    return registered(scripted)


def registered(scripted: Scripted, **fields: Any) -> Gateway:
    """A row for a scripted gateway, after its first word."""
    made = {"name": "Edge", "address": "gw.example.test", "address_private": scripted.address}
    row = Gateway.objects.create(**{**made, **fields})
    said = checks.check(row)
    row.refresh_from_db()
    assert row.is_up, said
    return row


def all_answered() -> None:
    """After a gateway program's end: what it had asked last is answered, as emptying the tables would meet it."""
    wait_for(lambda: all(idle() for _ in range(3)), 10, "what the gateway had asked last is answered")


def idle() -> bool:
    """Whether the broker's server does nothing in the database."""
    busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
    with connection.cursor() as cursor:
        cursor.execute(f"{busy} AND pid <> pg_backend_pid()")
        return bool(cursor.fetchone()[0] == 0)
