"""A person's password while a sign-in lives: sealed with a key of which the browser has one half. Pure.

One random half goes into a cookie and is kept nowhere; the other lies with the sealed password. Neither the database
with all its backups nor a stolen cookie opens it alone (the gateway issue, 6; CONTRACTS 5.16).
"""

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HALF, NONCE = 32, 12  # bytes
PURPOSE = b"usher: the passwords of a sign-in, 2"


class Locked(Exception):
    """This cookie does not open it: another half, another sign-in, or what lies there was changed."""


def seal(password: str, bound: str) -> tuple[str, bytes]:
    """A fresh cookie value, and what is stored: good together, and only for what it is `bound` to."""
    browsers, ours, nonce = secrets.token_bytes(HALF), secrets.token_bytes(HALF), secrets.token_bytes(NONCE)
    sealed = AESGCM(key(browsers, ours)).encrypt(nonce, password.encode(), bound.encode())
    return base64.urlsafe_b64encode(browsers).decode().rstrip("="), ours + nonce + sealed


def unseal(cookie: str, stored: bytes, bound: str) -> str:
    """The password. Raises Locked."""
    ours, nonce, sealed = stored[:HALF], stored[HALF : HALF + NONCE], stored[HALF + NONCE :]
    try:
        browsers = base64.b64decode(cookie + "=" * (-len(cookie) % 4), altchars=b"-_", validate=True)
        if len(browsers) != HALF or len(nonce) != NONCE:
            raise Locked
        return AESGCM(key(browsers, ours)).decrypt(nonce, sealed, bound.encode()).decode()
    except (InvalidTag, binascii.Error, ValueError):  # ValueError: a cookie that is no ASCII
        raise Locked from None


def key(browsers: bytes, ours: bytes) -> bytes:
    """The key of both halves; without one of them nothing is known of it."""
    return HKDF(SHA256(), HALF, salt=ours, info=PURPOSE).derive(browsers)
