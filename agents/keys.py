"""Secrets between broker and agent: enrolment strings, keys, the signature of the wake call. Pure (CONTRACTS 2.3)."""

import hashlib
import hmac
import re
import secrets
from datetime import timedelta

WAKE_WINDOW = timedelta(seconds=60)
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


def new_key() -> str:
    """256 random bits, as an agent's key or an enrolment token; without a dot, and with no dash in front, as a token is
    typed behind `--token`, where that would read as another option."""
    while (key := secrets.token_urlsafe(32)).startswith("-"):
        pass
    return key


def key_hash(key: str) -> str:
    """What is stored in place of a key or token: its SHA-256 in hex. Enough, as the key is random (CONTRACTS 2.3)."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def enrolment_string(token: str, ca_sha256: str) -> str:
    """What an image is baked with: the token, and by which CA the agent shall know the broker (RULES 4)."""
    return f"{token}.{ca_sha256}"


def split_enrolment(text: str) -> tuple[str, str]:
    """Token and CA hash of an enrolment string; the hash is "" where there is none (CONTRACTS 2.3)."""
    token, dot, digest = text.strip().rpartition(".")
    if dot and _DIGEST.fullmatch(digest):
        return token, digest.lower()
    return text.strip(), ""


def wake_signature(key_digest: str, when: int, nonce: str) -> str:
    """Signs "fetch your commands now": HMAC-SHA256 over time (Unix seconds) and nonce, keyed with the key's SHA-256."""
    return hmac.new(bytes.fromhex(key_digest), f"{when}\n{nonce}".encode(), hashlib.sha256).hexdigest()
