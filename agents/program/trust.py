"""By what the broker is known: the CA whose hash the enrolment string carries (RULES 4), a file, or the system's."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from collections.abc import Callable
from pathlib import Path

from agents.program.files import write_private
from agents.program.settings import Settings

Fetch = Callable[[ssl.SSLContext], bytes]
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


class Distrust(Exception):
    """Who answers cannot be shown to be the broker."""


def certificate(pem: bytes) -> bytes:
    """The first certificate in PEM, as DER; b"" where there is none.

    Only what this returns was compared with the hash, so only this may be trusted: another certificate may stand behind
    it, of whoever sits in between.
    """
    found = _PEM.search(pem)
    try:
        return base64.b64decode(b"".join(found[1].split()), validate=True) if found else b""
    except ValueError:
        return b""


def sha256(pem: bytes) -> str:
    """The SHA-256 of the first certificate in PEM, in hex. Raises Distrust where it is none."""
    der = certificate(pem)
    if not der:
        raise Distrust("What the broker gave as its CA is no certificate.")
    return hashlib.sha256(der).hexdigest()


def context(settings: Settings, folder: Path, fetch: Fetch) -> ssl.SSLContext:
    """What to check the broker's certificate with. `fetch` gets the broker's CA unchecked, where the hash will tell.

    Raises Distrust, and what `fetch` raises.
    """
    if settings.ca:
        return _context(cafile=settings.ca)
    if not settings.ca_sha256:
        return ssl.create_default_context()
    kept = folder / "ca.pem"
    der = certificate(kept.read_bytes()) if kept.is_file() else b""
    if hashlib.sha256(der).hexdigest() != settings.ca_sha256:
        pem = fetch(_unchecked())
        if sha256(pem) != settings.ca_sha256:
            raise Distrust("Who answers shows another CA than the enrolment string names: it is not this broker.")
        der = certificate(pem)
        write_private(kept, ssl.DER_cert_to_PEM_cert(der).encode())
    return _context(cadata=der)


def _context(cafile: str | None = None, cadata: bytes | None = None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=cafile, cadata=cadata)
    except (OSError, ssl.SSLError) as error:
        raise Distrust(f"{cafile or 'What the broker gave'} cannot be used as a CA: {error}") from error


def _unchecked() -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made
