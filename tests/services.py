"""PostgreSQL and Redis for one pytest run, in a folder of its own, so that runs side by side never meet.

The addresses are known before anything is started: settings can be read at once, and pure tests start nothing.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

from broker.embedded.folder import open_folder
from broker.embedded.postgres import Postgres
from broker.embedded.redis import Redis
from broker.embedded.spawn import spawn

_PREFIX = "usher-test-"
_OURS = "USHER_TEST_SERVICES"
_UNSAFE_AND_FAST = (("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off"))


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return as soon as the condition holds; AssertionError with `what` after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def new_folder() -> Path:
    """A short, empty data folder for this run. What killed runs left behind is removed first."""
    for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if not Path("/proc", old.name.removeprefix(_PREFIX).split("-")[0]).exists():
            shutil.rmtree(old, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    path.chmod(0o711)
    return open_folder(path)


FOLDER = new_folder()
POSTGRES = Postgres(FOLDER, _UNSAFE_AND_FAST)
REDIS = Redis(FOLDER)


def set_environment() -> None:
    """Point the settings at this run's services; addresses given from outside are used instead.

    A worker of pytest-xdist inherits the addresses of the run that started it, and has services of its own.
    """
    for name, url in (("USHER_DATABASE_URL", POSTGRES.url), ("USHER_REDIS_URL", REDIS.url)):
        if not os.environ.get(name) or os.environ.get(name) in os.environ.get(_OURS, "").split():
            os.environ[name] = url
            os.environ[_OURS] = f"{os.environ.get(_OURS, '')} {url}"
    os.environ.setdefault("USHER_SECRET_KEY", secrets.token_urlsafe(48))
    os.environ.setdefault("USHER_ENCRYPTION_KEYS", Fernet.generate_key().decode())


@contextmanager
def running(command: list[str], ready: Callable[[], bool], name: str) -> Iterator[None]:
    """Run one server until the block ends; its output lies in the run's folder."""
    with (FOLDER / "log" / f"{name}.log").open("wb") as log:
        child = spawn(command, signal.SIGINT, os.environ, log)
    try:
        wait_for(lambda: ready() or child.poll() is not None, 60, f"{name} takes connections")
        assert child.poll() is None, (FOLDER / "log" / f"{name}.log").read_text()
        yield
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()


def remove_folder() -> None:
    """Forget the run."""
    shutil.rmtree(FOLDER, ignore_errors=True)
