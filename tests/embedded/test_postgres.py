"""PostgreSQL started by us: once made, reused, private, and shy of the folders above."""

import os
import stat
from pathlib import Path

import psycopg
import pytest

from broker.embedded.folder import CannotStart, open_folder
from broker.embedded.postgres import Postgres
from tests.services import POSTGRES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with an empty cluster folder in which this test's process seems to be the server."""
    return open_folder(tmp_path / "data")


def test_the_server_answers_with_its_password(postgres_server: None) -> None:
    with psycopg.connect(POSTGRES.url) as connection:
        row = connection.execute("select current_user, current_setting('max_connections')").fetchone()
    assert row == ("usher", "300")


def test_nobody_enters_without_the_password(postgres_server: None) -> None:
    with pytest.raises(psycopg.OperationalError, match="password|fe_sendauth"):
        psycopg.connect(host=str(POSTGRES.sockets), user="usher", dbname="usher")
    with pytest.raises(psycopg.OperationalError, match="no pg_hba"):
        psycopg.connect(host=str(POSTGRES.sockets), user="postgres", dbname="usher")


def test_the_servers_role_reads_no_files(postgres_server: None) -> None:
    with psycopg.connect(POSTGRES.url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select pg_read_file('/etc/passwd')")


def test_a_server_never_runs_as_root(postgres_server: None) -> None:
    pid = (POSTGRES.data / "postmaster.pid").read_text().splitlines()[0]
    assert Path(f"/proc/{pid}").stat().st_uid != 0


def test_the_lock_of_a_recycled_process_id_is_cleared(folder: Path) -> None:
    server = Postgres(folder)
    server.prepare()
    lock = server.data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{server.data}\n")
    server.prepare()
    assert not lock.exists()


def test_a_server_that_still_runs_is_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Postgres(folder)
    server.prepare()
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n")
    monkeypatch.chdir(server.data)
    with pytest.raises(CannotStart, match="still runs"):
        server.prepare()


def test_the_folders_above_keep_their_modes(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    above = [closed, *closed.parents]
    before = [stat.S_IMODE(path.stat().st_mode) for path in above]
    try:
        Postgres(open_folder(closed / "var" / "demo")).prepare()
    except CannotStart as error:
        assert "cannot enter" in str(error)  # a container whose root has no right to pass on
    assert [stat.S_IMODE(path.stat().st_mode) for path in above] == before


def test_secrets_are_for_the_owner_only(folder: Path) -> None:
    assert Postgres(folder).url
    assert stat.S_IMODE((folder / "pg-password").stat().st_mode) == 0o600
