"""VNC authentication (RFC 6143 7.2.2): the challenge encrypted with the password. Single DES, as servers want it."""

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes


def response(challenge: bytes, password: str) -> bytes:
    """What proves that the password is known. Only its first eight bytes count, each with its bits turned round."""
    start = password.encode("latin-1", "replace")[:8].ljust(8, b"\0")
    key = bytes(int(f"{each:08b}"[::-1], 2) for each in start)
    cipher = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()  # noqa: S305 - the protocol's
    return cipher.update(challenge) + cipher.finalize()
