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


def seal(password: str, bound: str, cookie: str = "") -> tuple[str, bytes]:
    """A cookie value and what is stored: good together, and only for what it is `bound` to. The value is a fresh one,
    or the `cookie` that has opened what was stored before. Raises Locked where that is none."""
    browsers = half_of(cookie) if cookie else secrets.token_bytes(HALF)
    ours, nonce = secrets.token_bytes(HALF), secrets.token_bytes(NONCE)
    sealed = AESGCM(key(browsers, ours)).encrypt(nonce, password.encode(), bound.encode())
    return base64.urlsafe_b64encode(browsers).decode().rstrip("="), ours + nonce + sealed


def unseal(cookie: str, stored: bytes, bound: str) -> str:
    """The password. Raises Locked."""
    ours, nonce, sealed = stored[:HALF], stored[HALF : HALF + NONCE], stored[HALF + NONCE :]
    if len(nonce) != NONCE:
        raise Locked
    try:
        return AESGCM(key(half_of(cookie), ours)).decrypt(nonce, sealed, bound.encode()).decode()
    except InvalidTag:
        raise Locked from None


def half_of(cookie: str) -> bytes:
    """The browser's half of a key. Raises Locked."""
    try:
        half = base64.b64decode(cookie + "=" * (-len(cookie) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # ValueError: no ASCII
        raise Locked from None
    if len(half) != HALF:
        raise Locked
    return half


def key(browsers: bytes, ours: bytes) -> bytes:
    """The key of both halves; without one of them nothing is known of it."""
    return HKDF(SHA256(), HALF, salt=ours, info=PURPOSE).derive(browsers)
