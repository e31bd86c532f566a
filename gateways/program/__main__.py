"""usher-gateway: serve until told to end."""

import asyncio
import fcntl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from gateways.program import telling
from gateways.program.server import serve
from gateways.program.settings import BadSettings, load
from gateways.program.state import BadState


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 it ended in order, 1 it could not work, 2 the settings are wrong."""
    try:
        settings = load(arguments)
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone(settings.data):
            telling.start()
            return 0 if asyncio.run(serve(settings)) else 1
    except BadSettings as error:
        return told(str(error), 2)
    except (BadState, OSError) as error:
        return told(str(error), 1)


def alone(folder: Path) -> IO[bytes]:
    """Claim the folder until what is returned is closed: two gateways are not one. Raises BadState."""
    claim = (folder / "lock").open("ab")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        claim.close()
        raise BadState(f"another gateway works with {folder} already") from None
    return claim


def told(words: str, code: int) -> int:
    """Say why it ends like this."""
    print(f"usher-gateway: {words}", file=sys.stderr)  # noqa: T201 - for who called us
    return code


if __name__ == "__main__":
    sys.exit(main())
