"""Services and guards for every test.

`DJANGO_SETTINGS_MODULE` is set here and not in pyproject.toml: pytest-django would read the settings before this file
has said where the database is.
"""

import asyncio
import os
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import django
import pytest
from django.conf import settings
from django.db import connection

import broker.celery  # noqa: F401 - what core.jobs.wake() sends goes through it
from broker.core import db
from tests import services
from tests.apart import Apart

services.set_environment()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
if settings.configured:
    raise pytest.UsageError("DJANGO_SETTINGS_MODULE is set too early: take it out of the environment")
django.setup()
from agents import views  # noqa: E402 - Django first
from agents.limits import Limits  # noqa: E402

del os.environ["DJANGO_SETTINGS_MODULE"]  # a worker of pytest-xdist inherits it, and would read the settings too early
# A hundred sign-ins need no hundred real hashes; tests/authservers/test_hashers.py has the product's own.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Apart:
    """Ours, whenever tests run on several workers."""
    return Apart(config, log)


@contextmanager
def no_loop() -> Iterator[None]:
    """As if no event loop were running."""
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(running)


def own_loop(item: pytest.Item) -> AbstractContextManager[None]:
    """Playwright's loop counts as running for the rest of its worker: who drives no browser does not see it."""
    return nullcontext() if item.get_closest_marker("browser") else no_loop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Fixtures, too."""
    with own_loop(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """The test itself."""
    with own_loop(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """What is left behind."""
    with own_loop(item):
        return (yield)


@pytest.fixture(autouse=True)
def outer_transactions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transactions that pytest-django opened around this test are not ours (broker.core.db.assert_outside)."""
    if "db" in request.fixturenames or request.node.get_closest_marker("django_db"):
        request.getfixturevalue("db")
        monkeypatch.setattr(db, "OUTER", len(connection.savepoint_ids) + int(connection.in_atomic_block))


@pytest.fixture(autouse=True)
def wide_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tests come from one address: none pays for what another asked. Tests of the limits set their own."""
    monkeypatch.setattr(views, "LIMITS", Limits(1e6, 1e6, 1e6))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[None]:
    """One PostgreSQL for the whole run; nothing where USHER_DATABASE_URL was given."""
    if os.environ["USHER_DATABASE_URL"] != services.POSTGRES.url:
        yield
        return
    services.POSTGRES.prepare()
    with services.running(services.POSTGRES.command(), services.POSTGRES.ready, "postgres"):
        yield


@pytest.fixture(scope="session")
def redis_server() -> Iterator[None]:
    """One Redis for the whole run; nothing where USHER_REDIS_URL was given."""
    if os.environ["USHER_REDIS_URL"] != services.REDIS.url:
        yield
        return
    with services.running(services.REDIS.command(), services.REDIS.ready, "redis"):
        yield


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """A database on a server of the run's own ends with that server, whoever is still connected."""
    return os.environ["USHER_DATABASE_URL"] == services.POSTGRES.url


@pytest.fixture(scope="session")
def django_db_setup(postgres_server: None, redis_server: None, django_db_setup: None) -> None:
    """The test database, on servers that start only when a first test asks for it."""


def pytest_unconfigure() -> None:
    """Remove the run's folder."""
    services.remove_folder()
