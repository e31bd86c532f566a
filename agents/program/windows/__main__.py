"""`python -m agents.program.windows`: what only Windows and its installer call; people use `agents.program`.

service FOLDER      the agent under the Service Control Manager
companion PIPE      in a person's session, started by the service
install --name …    write the settings that are said, keep the others, enter the service and start it
stop-for-upgrade    stop the service, and tell the broker that it comes back
remove              stop the service and take it out; --purge also forgets settings and state
"""

from __future__ import annotations

import logging
import logging.handlers
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from agents.program.machine import CannotDo
from agents.program.settings import WINDOWS_FOLDER, BadSettings
from agents.program.windows import firewall, registration
from agents.program.windows.api import Api, Windows
from agents.program.windows.companion import serve
from agents.program.windows.configure import configure
from agents.program.windows.folder import make_private
from agents.program.windows.run import run_service

LOG_SIZE = 1_000_000


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit code: 0 all is well, 1 it is not, 2 it was called wrongly."""
    command, rest = (arguments[0] if arguments else ""), list(arguments[1:])
    try:
        return _do(Windows(), command, rest)
    except BadSettings as error:
        return _told(str(error), 2)
    except (CannotDo, OSError) as error:
        return _told(str(error), 1)


def _do(api: Api, command: str, rest: list[str]) -> int:
    if command == "service" and len(rest) == 1:
        folder = Path(rest[0])
        make_private(api, folder)
        log_to(folder / "usher-agent.log")
        return run_service(api, folder)
    if command == "companion" and len(rest) == 1:
        with Path(rest[0]).open("r+b", buffering=0) as pipe:
            serve(api, pipe)
        return 0
    if command in SETUP:
        SETUP[command](api, rest)
        return 0
    return _told(f"{__doc__}", 2)


def _install(api: Api, arguments: list[str]) -> None:
    configure(api, WINDOWS_FOLDER, arguments)
    registration.install(api, WINDOWS_FOLDER)


def _stop_for_upgrade(api: Api, _arguments: list[str]) -> None:
    registration.stop(api, upgrade=True)


def _remove(api: Api, arguments: list[str]) -> None:
    registration.remove(api)
    firewall.close()
    if "--purge" in arguments:
        shutil.rmtree(WINDOWS_FOLDER, ignore_errors=True)


SETUP = {"install": _install, "stop-for-upgrade": _stop_for_upgrade, "remove": _remove}


def _told(text: str, code: int) -> int:
    print(text, file=sys.stderr)  # noqa: T201 - for who called us
    return code


def log_to(file: Path) -> None:
    """A service has no screen: its log is a file of bounded size in the agent's folder."""
    handler = logging.handlers.RotatingFileHandler(file, maxBytes=LOG_SIZE, backupCount=2, encoding="utf-8", delay=True)
    form = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, handlers=[handler])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
