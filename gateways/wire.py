"""What broker and gateway say to each other: signed calls, connection tokens, openings. Pure; both sides import it.

Every signature is an EdDSA JWT (DESIGN 9). A call's stands in `Authorization: Usher …` and names method, path and the
SHA-256 of the body; a token's goes to the browser and holds no secret (CONTRACTS 2.14): what is secret travels in the
signed `open` call, over TLS.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.types import Options

BROKER = "broker"  # who signs on the broker's side; a gateway signs as its uid
CALL_SECONDS = 30  # how long a signed call is good for, from its `iat`
TOKEN_SECONDS = 60  # how long a connection token is
SKEW = 60  # seconds by which the two clocks may differ
SCHEME = "Usher "  # of the Authorization header of calls
FORWARD_HEADER = "X-Usher-Gateway"  # on forwarded pages: the gateway, and the Visit

Protocol = Literal["rdp", "screen", "vnc", "ssh", "tcp"]
Clipboard = Literal["none", "in", "out", "both"]


UNTIMED: Options = {"verify_exp": False, "verify_iat": False, "require": ["iss", "aud", "iat"]}  # timely() sees to that

# What reading a hostile JWT raises: text that is no UTF-8 and JSON of a thousand levels are not caught by the library.
UNREADABLE = (jwt.InvalidTokenError, ValueError, RecursionError)


class Untrusted(Exception):
    """A signature, an audience or a time is not what it should be; says which, never the content."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a connection token says: the holder may open this once, at one of these gateways."""

    id: str  # jti
    audience: tuple[str, ...]  # uids of gateways
    user: str  # such as "user:5"
    destination: str  # "10.0.0.4:3389"
    protocol: Protocol
    redeem: bool = False  # whether the gateway asks the broker first (several gateways in the audience)


@dataclass(frozen=True, slots=True)
class Opening:
    """The broker's `open` call: a viewer session or a forwarded port that may come. Secrets are not in its repr."""

    id: str  # the token's jti; names the session in every other call
    protocol: Protocol  # "tcp": a forwarded port, no token
    host: str  # an address, never a name (RULES 3)
    port: int
    user: str  # such as "user:5", for limits and the log
    seconds: int  # how long it waits to be used first
    longest: int = 0  # seconds that a session may last; 0: no limit
    client_ip: str = ""  # who may come; "": anybody
    # Viewers:
    origin: str = ""  # the only `Origin` that may open the WebSocket, such as "https://desk.example.com"
    pin: str = ""  # SHA-256 of the server's certificate, or of its SSH host key, in hex; "": first use, and it is told
    clipboard: Clipboard = "both"
    layout: int = 0  # Windows keyboard layout such as 0x407; 0: as the browser says
    width: int = 0  # only "screen": pixels; the others are told by the browser
    height: int = 0
    redeem: bool = False
    login: str = field(default="", repr=False)
    domain: str = field(default="", repr=False)
    password: str = field(default="", repr=False)  # "": none is injected, the desktop asks
    # Forwarded ports:
    same_port: bool = False  # listen on `port` itself, told apart by client_ip (SPEC 2.3, use_src_ip 1)
    connections: int = 8  # how many at a time
    listen: int = 0  # this port of the range, so that all gateways behind a load balancer open the same one; 0: any

    def json(self) -> dict[str, Any]:
        """As it is sent."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Opening":
        """From what was sent and verified. Raises ValueError where a field is missing, unknown or of another type."""
        known = {each.name: each for each in fields(cls)}
        if unknown := set(told) - set(known):
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        for name, value in told.items():
            if type(value) is not type_of(known[name].type):
                raise ValueError(f"{name} is of another type")
        try:
            return cls(**told)
        except TypeError as error:
            raise ValueError(str(error)) from None


def type_of(annotation: Any) -> type:
    """The type of a field of Opening in JSON."""
    return annotation if annotation in (int, bool) else str


def destination(host: str, port: int) -> str:
    """An address as a token names it; IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def public_text(key: Ed25519PrivateKey | Ed25519PublicKey) -> str:
    """A public key as it is stored and sent: 32 bytes in base64."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def public_key(text: str) -> Ed25519PublicKey:
    """The key of `public_text`. Raises ValueError."""
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP call between the two, as its signature names it. `path` with its query."""

    method: str
    path: str
    body: bytes = field(default=b"", repr=False)  # it may hold a password

    def claims(self) -> dict[str, str]:
        """What binds a signature to it."""
        return {"htm": self.method, "htu": self.path, "bd": hashlib.sha256(self.body).hexdigest()}


def sign_call(key: Ed25519PrivateKey, issuer: str, audience: str, call: Call, *, at: float) -> str:
    """The Authorization header of a call; `at` in seconds of Unix time. Good for one use: its `jti` is random."""
    claims = {"iss": issuer, "aud": audience, "iat": int(at), "jti": secrets.token_urlsafe(16), **call.claims()}
    return SCHEME + jwt.encode(claims, key, "EdDSA")


def check_call(header: str, key: Ed25519PublicKey, audience: str, call: Call, *, at: float) -> dict[str, Any]:
    """The claims of a call that is signed with `key` for us, now; the caller sees to it that `jti` is used once.

    Raises Untrusted.
    """
    claims = check_head(header, key, audience, call, at=at)
    check_body(claims, call)
    return claims


def check_head(header: str, key: Ed25519PublicKey, audience: str, call: Call, *, at: float) -> dict[str, Any]:
    """The same, before the body has come. Raises Untrusted."""
    if not header.startswith(SCHEME):
        raise Untrusted("it is not signed")
    claims = verified(header.removeprefix(SCHEME), key, [audience])
    if (claims.get("htm"), claims.get("htu")) != (call.method, call.path):
        raise Untrusted("the signature is of another call")
    timely(claims, CALL_SECONDS, at)
    return claims


def check_body(claims: Mapping[str, Any], call: Call) -> None:
    """Whether the body is the one that was signed. Raises Untrusted."""
    if claims.get("bd") != call.claims()["bd"]:
        raise Untrusted("the signature is of another call")


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks a gateway for a page, and at which address of it. Signed, as a front of the broker writes its own."""

    client: str  # an IP address
    host: str  # what the browser's address bar shows: "gw.example.com" or "gw.example.com:8443"


def sign_forward(key: Ed25519PrivateKey, gateway: str, visit: Visit, call: Call, *, at: float) -> str:
    """The value of FORWARD_HEADER on a page that a gateway passes on. The body is not bound."""
    claims = {"iss": gateway, "aud": BROKER, "iat": int(at), "htm": call.method, "htu": call.path}
    return jwt.encode({**claims, "ip": visit.client, "host": visit.host}, key, "EdDSA")


def forwarded_by(text: str) -> str:
    """The gateway that a FORWARD_HEADER claims to come from, not verified: whose key has to be looked up."""
    try:
        return str(jwt.decode(text, options={"verify_signature": False}).get("iss", ""))
    except UNREADABLE:
        raise Untrusted("it cannot be read") from None


def check_forward(text: str, key: Ed25519PublicKey, call: Call, *, at: float) -> Visit:
    """What stands in a FORWARD_HEADER that is signed with `key`. Raises Untrusted."""
    claims = verified(text, key, [BROKER])
    if (claims.get("htm"), claims.get("htu")) != (call.method, call.path):
        raise Untrusted("the signature is of another page")
    timely(claims, CALL_SECONDS, at)
    return Visit(str(claims.get("ip", "")), str(claims.get("host", "")))


def make_token(key: Ed25519PrivateKey, grant: Grant, *, at: float) -> str:
    """A connection token, good for 60 seconds."""
    claims = {
        "iss": BROKER, "aud": list(grant.audience), "iat": int(at), "exp": int(at) + TOKEN_SECONDS, "jti": grant.id,
        "sub": grant.user, "dst": grant.destination, "pro": grant.protocol, "red": grant.redeem,
    }  # fmt: skip
    return jwt.encode(claims, key, "EdDSA")


def read_token(text: str, key: Ed25519PublicKey, gateway: str, *, at: float) -> Grant:
    """What a token grants at this gateway now; that it is used once is the caller's. Raises Untrusted."""
    claims = verified(text, key, [gateway])
    timely(claims, TOKEN_SECONDS, at, skew=5)
    return Grant(
        str(claims["jti"]), tuple(claims["aud"]), str(claims["sub"]), str(claims["dst"]),
        cast(Protocol, claims["pro"]), bool(claims["red"]),
    )  # fmt: skip


def verified(text: str, key: Ed25519PublicKey, audience: Sequence[str]) -> dict[str, Any]:
    """The claims, whatever the time says. Raises Untrusted."""
    try:
        return jwt.decode(text, key, ["EdDSA"], audience=list(audience), options=UNTIMED)
    except UNREADABLE as error:
        raise Untrusted(f"the signature does not hold: {type(error).__name__}") from None


def timely(claims: Mapping[str, Any], seconds: int, at: float, *, skew: int = SKEW) -> None:
    """Refuse what is not of now, by the clocks' difference. Raises Untrusted."""
    issued = claims["iat"]
    if not isinstance(issued, int) or not at - seconds - skew <= issued <= at + skew:
        raise Untrusted("it is too old, or from the future")
