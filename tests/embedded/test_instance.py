"""`python -m broker.embedded run`, whole: started, disturbed, killed, started again."""

import os
import re
import signal
import ssl
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import services
from tests.embedded.running import Running, database, process, processes
from tests.ports import free_port
from tests.services import wait_for

pytestmark = pytest.mark.slow
PATIENCE = 90


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A running instance in a folder whose parents are closed to others."""
    running = Running(tmp_path_factory.mktemp("instance") / "var" / "data", free_port())
    try:
        yield running
    finally:
        running.process.kill()


def test_it_says_once_that_it_is_ready_and_it_is(instance: Running) -> None:
    said = instance.wait_ready()
    assert said.count("Ready:") == 1
    assert f"Ready: http://127.0.0.1:{instance.port}\n" in said
    assert instance.get("/readyz")[0] == 200
    with urllib.request.urlopen(f"http://127.0.0.1:{instance.agent_port}/healthz", timeout=5) as answer:
        assert answer.read() == b"ok"
    assert instance.is_alive()
    assert gateway_page(instance, "/app/system/ping") == b"ok"
    wait_for(lambda: b"Sign In" in gateway_page(instance, "/"), PATIENCE, "the gateway shows the broker's pages")


def gateway_page(instance: Running, path: str) -> bytes:
    """What the gateway beside it answers; its certificate is its own."""
    address = f"https://127.0.0.1:{instance.gateway_port}{path}"
    try:
        with urllib.request.urlopen(address, timeout=5, context=ssl._create_unverified_context()) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.read()


def test_the_folders_above_are_as_they_were(instance: Running) -> None:
    assert stat.S_IMODE(instance.data.parent.parent.stat().st_mode) == 0o700


def test_secrets_lie_in_files_for_the_owner(instance: Running) -> None:
    for name in ("env", "secret-key", "encryption-keys", "pg-password"):
        assert stat.S_IMODE((instance.data / name).stat().st_mode) == 0o600, name


def test_manage_talks_to_the_running_instance(instance: Running) -> None:
    assert "[ ]" not in instance.manage("showmigrations")


def test_a_port_in_use_is_one_line_before_anything_starts(instance: Running, tmp_path: Path) -> None:
    second = Running(tmp_path / "data", instance.port)
    said, _ = second.process.communicate(timeout=PATIENCE)
    assert second.process.returncode == 1
    assert re.fullmatch(r"Cannot start: Cannot listen on 127.0.0.1:\d+ .*\n", said)
    assert not (tmp_path / "data").exists()
    third = Running(tmp_path / "data", free_port(), AGENT_PORT=str(instance.agent_port))
    said, _ = third.process.communicate(timeout=PATIENCE)
    assert re.fullmatch(r"Cannot start: Cannot listen on 127.0.0.1:\d+ .*: give another AGENT_PORT=\n", said)


def test_a_second_start_on_the_same_data_is_refused_in_one_line(instance: Running) -> None:
    second = Running(instance.data, free_port())
    said, _ = second.process.communicate(timeout=PATIENCE)
    assert (second.process.returncode, said.count("\n")) == (1, 1)
    assert "Another instance is running" in said


@pytest.mark.parametrize(
    "words", ["gunicorn", "broker.asgi", "gateways.program", "/postgres -D", "redis-server", " worker ", " beat "]
)
def test_a_killed_part_comes_back(instance: Running, words: str) -> None:
    wait_for(lambda: words in str(processes(instance.data)), PATIENCE, "it is there, also after what was killed before")
    before = process(instance.data, words)
    os.kill(before, signal.SIGKILL)
    wait_for(
        lambda: any(words in line and pid != before for pid, line in processes(instance.data).items()),
        PATIENCE,
        "started again",
    )
    wait_for(instance.is_alive, PATIENCE, f"alive after {words} was killed")


def test_given_services_replace_the_embedded_ones(tmp_path: Path, postgres_server: None, redis_server: None) -> None:
    given = {"USHER_DATABASE_URL": services.POSTGRES.url, "USHER_REDIS_URL": services.REDIS.url}
    running = Running(tmp_path / "data", free_port(), **given)
    try:
        running.wait_ready()
        assert running.is_alive()
        assert not re.search("postgres -D|redis-server", " ".join(processes(running.data).values()))
    finally:
        assert running.end(signal.SIGTERM) == 0


def test_ctrl_c_ends_all_and_the_next_start_goes_on(instance: Running) -> None:
    with psycopg.connect(database(instance.data)) as connection:
        connection.execute("create table kept as select 42 as answer")
    secret = (instance.data / "secret-key").read_text()
    assert instance.end(signal.SIGINT) == 0
    nothing_runs(instance)

    again = Running(instance.data, instance.port)
    try:
        again.wait_ready()
        with psycopg.connect(database(instance.data)) as connection:
            assert connection.execute("select answer from kept").fetchone() == (42,)
        assert (instance.data / "secret-key").read_text() == secret
    finally:
        again.end(signal.SIGKILL)
    nothing_runs(instance)

    third = Running(instance.data, instance.port)
    try:
        third.wait_ready()
        assert third.is_alive()
    finally:
        assert third.end(signal.SIGTERM) == 0
    nothing_runs(instance)


def nothing_runs(instance: Running) -> None:
    """What the kernel was told to kill takes a moment to be gone."""
    wait_for(lambda: processes(instance.data) == {}, 10, "a supervisor that has ended leaves nothing running")
