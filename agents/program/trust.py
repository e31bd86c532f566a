"""By what the broker is known: the CA whose hash the enrolment string carries (RULES 4), a file, or the system's."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path

from agents.program.files import write_private
from agents.program.settings import Settings

Fetch = Callable[[ssl.SSLContext], bytes]


class Distrust(Exception):
    """Who answers cannot be shown to be the broker."""


def sha256(pem: bytes) -> str:
    """The SHA-256 of a certificate in PEM, in hex. Raises Distrust where it is none."""
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode("ascii").strip())).hexdigest()
    except ValueError as error:
        raise Distrust("What the broker gave as its CA is no certificate.") from error


def context(settings: Settings, folder: Path, fetch: Fetch) -> ssl.SSLContext:
    """What to check the broker's certificate with. `fetch` gets the broker's CA unchecked, where the hash will tell.

    Raises Distrust, and what `fetch` raises.
    """
    if settings.ca:
        return _context(Path(settings.ca))
    if not settings.ca_sha256:
        return ssl.create_default_context()
    kept = folder / "ca.pem"
    if not kept.is_file() or sha256(kept.read_bytes()) != settings.ca_sha256:
        pem = fetch(_unchecked())
        if sha256(pem) != settings.ca_sha256:
            raise Distrust("Who answers shows another CA than the enrolment string names: it is not this broker.")
        write_private(kept, pem)
    return _context(kept)


def _context(file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(file))
    except (OSError, ssl.SSLError) as error:
        raise Distrust(f"{file} cannot be used as a CA: {error}") from error


def _unchecked() -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made
