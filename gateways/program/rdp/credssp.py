"""CredSSP (MS-CSSP): the password goes to the desktop only, after both sides have shown that they know it (NTLM).

The exchange is bound to the public key of the TLS connection that it runs in, so nobody can stand in between.
"""

import hashlib
import secrets
import struct
from collections.abc import Generator
from dataclasses import dataclass

import spnego
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateways.program.rdp import der
from gateways.program.rdp.conversation import Credentials
from gateways.program.rdp.reading import Garbled

VERSION, SINCE_NONCES = 6, 5
TO_SERVER = b"CredSSP Client-To-Server Binding Hash\0"
TO_CLIENT = b"CredSSP Server-To-Client Binding Hash\0"
LONGEST = 65_536  # bytes of an answer
ROUNDS = 4  # of tokens, at most: NTLM takes two
# What pyspnego raises on tokens that make no sense.
SENSELESS = (spnego.exceptions.SpnegoError, ValueError, struct.error, IndexError, KeyError, TypeError, AttributeError)
WRONG = 0xC000_006D
REJECTIONS = {
    WRONG: "The desktop does not accept this user name and password.",
    0xC000_006A: "The desktop does not accept this user name and password.",
    0xC000_0064: "The desktop does not accept this user name and password.",
    0xC000_006E: "The desktop says that a restriction of the account forbids signing in.",
    0xC000_006F: "The account may not sign in at this time of day.",
    0xC000_0070: "The account may not sign in from here.",
    0xC000_0071: "The password has expired; it must be changed first.",
    0xC000_0072: "The account is disabled.",
    0xC000_0133: "The clocks of desktop and directory differ too much.",
    0xC000_015B: "The account has no right to sign in at that desktop over the network.",
    0xC000_0193: "The account has expired.",
    0xC000_0224: "The password must be changed before the first sign-in.",
    0xC000_0234: "The account is locked.",
}


Dialogue = Generator[bytes, bytes, bytes]


class Rejected(Exception):
    """The desktop does not let this user in; the text says why, for the user."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A TSRequest of the server."""

    version: int
    token: bytes = b""
    key: bytes = b""
    error: int = 0


def request(token: bytes = b"", sealed: bytes = b"", key: bytes = b"", nonce: bytes = b"") -> bytes:
    """A TSRequest of ours: a token of NTLM, credentials sealed, the public key sealed."""
    tokens = der.write(der.SEQUENCE, der.write(der.SEQUENCE, der.field(0, der.write(der.OCTETS, token))))
    parts = [der.field(0, der.integer(VERSION)), der.field(1, tokens) if token else b""]
    for number, value in ((2, sealed), (3, key), (5, nonce)):
        parts.append(der.field(number, der.write(der.OCTETS, value)) if value else b"")
    return der.write(der.SEQUENCE, b"".join(parts))


def read_answer(data: bytes) -> Answer:
    """Raises Garbled."""
    found = der.fields(der.inside(data, der.SEQUENCE))
    if 0 not in found:
        raise Garbled("a TSRequest without its version")
    token = b""
    if 1 in found:
        first = der.fields(der.inside(der.inside(found[1], der.SEQUENCE), der.SEQUENCE))
        token = der.inside(first.get(0, b""), der.OCTETS)
    key = der.inside(found[3], der.OCTETS) if 3 in found else b""
    error = int.from_bytes(der.inside(found[4], der.INTEGER)[-4:]) if 4 in found else 0
    return Answer(der.number(found[0]), token, key, error)


def public_key(certificate: bytes) -> bytes:
    """The bits of the public key in a certificate (DER). Raises Garbled."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise Garbled("a certificate that cannot be read") from None
    body = der.inside(info, der.SEQUENCE)
    _tag, _algorithm, at = der.read(body)
    return der.read(body, at)[1][1:]  # without the number of unused bits


def dialogue(who: Credentials, host: str, certificate: bytes) -> Dialogue:
    """What to send; to be sent what the desktop answers. It returns the last thing to send: the credentials.

    Raises Garbled, and Rejected.
    """
    key, nonce = public_key(certificate), secrets.token_bytes(32)
    try:
        context = ntlm(who, host)
        token, version = context.step() or b"", VERSION
        for _ in range(ROUNDS):
            answer = accepted((yield request(token)))
            version = min(version, answer.version)
            token = context.step(answer.token) or b""
            if context.complete:
                break
        fresh = version >= SINCE_NONCES
        shown = hashlib.sha256(TO_SERVER + nonce + key).digest() if fresh else key
        answer = accepted((yield request(token, key=context.wrap(shown).data, nonce=nonce if fresh else b"")))
        expected = hashlib.sha256(TO_CLIENT + nonce + key).digest() if fresh else plus_one(key)
        if not secrets.compare_digest(context.unwrap(answer.key).data, expected):
            raise Garbled("proof of another TLS connection: somebody is in between")
        return request(sealed=context.wrap(credentials(who)).data)  # which is not answered
    except SENSELESS as error:
        raise Garbled(f"NTLM that makes no sense ({type(error).__name__})") from None


def ntlm(who: Credentials, host: str) -> spnego.ContextProxy:
    """The client's side, of this process alone: no ticket, no configuration of the system."""
    name = f"{who.domain}\\{who.login}" if who.domain else who.login
    options = spnego.NegotiateOptions.use_ntlm
    return spnego.client(name, who.password, hostname=host, service="TERMSRV", protocol="ntlm", options=options)


def accepted(data: bytes) -> Answer:
    """An answer that says no error. Raises Rejected."""
    answer = read_answer(data)
    if answer.error:
        words = REJECTIONS.get(answer.error, f"The desktop refuses the sign-in (0x{answer.error:08x}).")
        raise Rejected(words)
    return answer


def plus_one(key: bytes) -> bytes:
    """How servers before 2018 show that they know the key."""
    return bytes(((key[0] + 1) & 0xFF,)) + key[1:]


def credentials(who: Credentials) -> bytes:
    """TSCredentials with a password."""
    words = (each.encode("utf-16-le") for each in (who.domain, who.login, who.password))
    inner = b"".join(der.field(number, der.write(der.OCTETS, each)) for number, each in enumerate(words))
    password = der.write(der.OCTETS, der.write(der.SEQUENCE, inner))
    return der.write(der.SEQUENCE, der.field(0, der.integer(1)) + der.field(1, password))
