"""`usher-agent test`: what works and what does not, in words, one thing after the other."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator

from agents.program.client import Away, Refused
from agents.program.link import Link
from agents.program.settings import BadSettings, Settings
from agents.program.trust import Distrust
from agents.program.where import Place

SKEW = 60
PATIENCE = 5.0
Line = tuple[bool, str]


def check(settings: Settings, link: Link) -> Iterator[Line]:
    """Each check and how it went; what hangs on a failed one is left out."""
    for step in (_address, _port, _trust, _key, _clock):
        line = _tried(step, link)
        yield line
        if not line[0]:
            break
    yield _listener(settings)


def _tried(step: Callable[[Link], Line], link: Link) -> Line:
    try:
        return step(link)
    except (BadSettings, Refused, Away, Distrust, OSError) as error:
        return False, f"{step.__name__.strip('_').capitalize()}: {error}"


def _address(link: Link) -> Line:
    place = link.client.place()
    try:
        found = sorted(
            {str(each[4][0]) for each in socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)}
        )
    except OSError as error:
        return False, f"The name {place.host} of the broker cannot be resolved: {error}"
    return True, f"The broker is {place} ({', '.join(found[:4])})."


def _port(link: Link) -> Line:
    place = link.client.place()
    try:
        socket.create_connection((place.host, place.port), PATIENCE).close()
    except OSError as error:
        return False, f"No connection to {place.host} port {place.port}: {error}. Is a firewall in between?"
    return True, f"Port {place.port} of {place.host} is open."


def _trust(link: Link) -> Line:
    place = link.client.place()
    if place.scheme == "http":
        return True, "http: nothing shows that this is the broker, and everybody on the way can read along."
    link.client.ask("GET", "ca")
    return True, f"The certificate of {place.host} is {_by(link.settings)}."


def _by(settings: Settings) -> str:
    if settings.ca:
        return f"signed by the CA in {settings.ca}"
    return "signed by the CA that the enrolment string names" if settings.ca_sha256 else "one that this system trusts"


def _key(link: Link) -> Line:
    new = not link.state.key
    link.call("GET", "commands?wait=0")
    how = "The broker took the enrolment token and gave a key" if new else "The broker takes our key"
    if not link.state.approved:
        return True, f"{how}. At the registration the machine waited for approval (Resources > Desktops)."
    return True, f"{how}: this is desktop {link.state.desktop}."


def _clock(link: Link) -> Line:
    ahead = link.client.ahead.total_seconds()
    word = "ahead of" if ahead > 0 else "behind"
    if abs(ahead) > SKEW:
        return (
            False,
            f"The clock is {abs(ahead):.0f} s {word} the broker's. Set it; the broker corrects for it meanwhile.",
        )
    return True, "The clock agrees with the broker's."


def _listener(settings: Settings) -> Line:
    if not settings.port:
        return True, "Nothing is to listen here (port = 0); the agent only calls out."
    place = Place("http", settings.listen or "127.0.0.1", settings.port)
    connection = http.client.HTTPConnection(place.host, place.port, timeout=PATIENCE)
    try:
        connection.request("GET", "/status")
        said = json.loads(connection.getresponse().read(1000))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return (
            False,
            f"The agent does not answer on port {settings.port} of this machine: {error}. Does the service run?",
        )
    finally:
        connection.close()
    ours = isinstance(said, dict) and said.get("program") == "usher-agent"
    return ours, f"Port {settings.port} of this machine: {'the agent answers' if ours else 'something else answers'}."
