"""`python -m gateways.program.health`: whether the gateway of these settings answers, for an image's health check."""

import http.client
import ssl
import sys
from collections.abc import Sequence

from gateways.program.settings import BadSettings, Settings, load

PATIENCE = 5  # seconds
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where who listens to all is reached


def main(arguments: Sequence[str] | None = None) -> int:
    """0 it takes sessions; 1 it does not (503: it is being shut down), or the settings are wrong."""
    try:
        status, said = asked(load(arguments))
    except BadSettings as error:
        status, said = 1, str(error)
    except (OSError, http.client.HTTPException) as error:
        status, said = 1, f"no answer: {error}"
    print(said)  # noqa: T201 - the engine keeps it beside the verdict
    return status


def asked(settings: Settings) -> tuple[int, str]:
    """The verdict and its words. The certificate is not looked at: this machine asks itself. Raises OSError."""
    context = ssl._create_unverified_context()  # noqa: S323
    host = EVERYWHERE.get(settings.host, settings.host)
    connection = http.client.HTTPSConnection(host, settings.port, timeout=PATIENCE, context=context)
    try:
        connection.request("GET", "/app/system/ping")
        answer = connection.getresponse()
        return (0 if answer.status == 200 else 1), answer.read(100).decode("ascii", "replace")
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
