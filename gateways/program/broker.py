"""Calls to the broker, signed with the gateway's key; and by what the broker itself is known."""

import asyncio
import hashlib
import json
import logging
import re
import ssl
from base64 import b64decode
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateways.program.registry import Clock
from gateways.program.settings import Settings
from gateways.program.state import State, write_private
from gateways.wire import BROKER, Call, public_key, public_text, sign_call

log = logging.getLogger(__name__)
PATIENCE = aiohttp.ClientTimeout(total=10, sock_connect=5)  # of a signed call
PAGES = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)  # of a page
AT_A_TIME = 256  # connections to the broker
KEPT = 1  # seconds a connection waits for its next call: less than the broker's web server does, which then closes it
ANSWER_LIMIT = 1_000_000
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


class Away(Exception):
    """The broker does not answer, or not as a broker does."""


class Denied(Exception):
    """The broker says no."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Broker:
    """The broker named by --broker. `prepare` first; it may fail for as long as the broker is away."""

    def __init__(self, settings: Settings, state: State, clock: Clock) -> None:
        self.settings, self.state, self.clock = settings, state, clock
        self.http: aiohttp.ClientSession | None = None  # for pages; None until it is known whom to trust
        self._calls: aiohttp.ClientSession | None = None  # of its own: slow pages do not hold up a heartbeat
        self._preparing = asyncio.Lock()
        self._key_seen = False

    async def prepare(self) -> None:
        """Find out by which certificate and which key the broker is known. Raises Away."""
        async with self._preparing:
            if self.http is None:
                context = await self._context()
                self.http, self._calls = session(context), session(context)
            if not self._key_seen:
                self._pin(await self._key())
                self._key_seen = True

    async def close(self) -> None:
        """Let go of all connections."""
        for each in (self.http, self._calls):
            if each is not None:
                await each.close()

    async def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A signed POST; the object that is answered with 200. Raises Away, Denied."""
        content = json.dumps(body).encode()
        signature = sign_call(self.state.key, self.state.uid, BROKER, Call("POST", path, content), at=self.clock())
        headers = {"Authorization": signature, "Content-Type": "application/json"}
        status, text = await self._ask("POST", path, content, headers)
        told = parsed(text)
        if 400 <= status < 500:
            raise Denied(status, str((told or {}).get("detail") or f"it answered {status}"))
        if status != 200 or told is None:
            raise Away(f"{self.settings.broker}{path} answers {status}, but not as a broker does")
        return told

    async def redeem(self, session_id: str, client_ip: str) -> bool:
        """Whether the session may be used here and now, says the broker; no, where it does not answer."""
        try:
            await self.call("/gateway/v1/redeem", {"id": session_id, "client_ip": client_ip})
        except (Away, Denied) as error:
            log.warning("session.not_redeemed", extra={"session": session_id, "why": str(error)})
            return False
        return True

    async def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._calls is None:
            raise Away("it is not known yet by which certificate the broker is known")
        try:
            async with self._calls.request(
                method, self.settings.broker + path, data=body, headers=headers, timeout=PATIENCE, allow_redirects=False
            ) as answer:
                return answer.status, await limited(answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Away(f"{self.settings.broker} does not answer: {error or type(error).__name__}") from None

    async def _key(self) -> Ed25519PublicKey:
        status, text = await self._ask("GET", "/gateway/v1/key", None, {})
        try:
            return public_key(str((parsed(text) or {})["key"]))
        except (KeyError, ValueError):
            raise Away(f"{self.settings.broker} answers {status}, but tells no key as a broker does") from None

    def _pin(self, key: Ed25519PublicKey) -> None:
        """The first key stays: who sits between us and the broker later on cannot put his own in its place."""
        known = self.state.broker_key
        if known is None:
            self.state.learn(broker_key=key)
            log.info("broker.pinned", extra={"broker": self.settings.broker, "key": public_text(key)})
        elif public_text(known) != public_text(key):
            words = f"It shows another key than before. If that is meant, remove {self.state.file} and start again."
            log.error("broker.other_key", extra={"broker": self.settings.broker, "why": words})

    async def _context(self) -> ssl.SSLContext | None:
        """How the broker's certificate is checked: by the system, or by the CA of --broker-sha256 (RULES 4)."""
        if not self.settings.broker.startswith("https:"):
            log.warning("broker.plain_http", extra={"broker": self.settings.broker})  # fine on one machine only
            return None
        if not self.settings.broker_sha256:
            return ssl.create_default_context()
        kept = self.settings.data / "broker-ca.pem"
        der = certificate(kept.read_bytes()) if kept.is_file() else b""
        if hashlib.sha256(der).hexdigest() != self.settings.broker_sha256:
            der = certificate(await self._fetched_ca())
            if hashlib.sha256(der).hexdigest() != self.settings.broker_sha256:
                raise Away(f"{self.settings.broker} shows another CA than --broker-sha256 names")
            write_private(kept, ssl.DER_cert_to_PEM_cert(der).encode())
        try:
            return ssl.create_default_context(cadata=der)
        except ssl.SSLError as error:
            raise Away(f"the CA of {self.settings.broker} cannot be used: {error}") from None

    async def _fetched_ca(self) -> bytes:
        """The broker's CA from whoever answers: its hash will tell."""
        async with session(unchecked()) as unknown:
            try:
                async with unknown.get(self.settings.broker + "/agent/v1/ca", timeout=PATIENCE) as answer:
                    return await limited(answer)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Away(f"{self.settings.broker} does not answer: {error or type(error).__name__}") from None


def session(context: ssl.SSLContext | None) -> aiohttp.ClientSession:
    """A client that keeps nothing of what passes: no cookies, bodies as they come, no proxy of the environment."""
    connector = aiohttp.TCPConnector(
        limit=AT_A_TIME, keepalive_timeout=KEPT, ssl=context if context is not None else True
    )
    jar = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(connector=connector, cookie_jar=jar, auto_decompress=False, timeout=PAGES)


async def limited(answer: aiohttp.ClientResponse) -> bytes:
    """The body of an answer that may not be endless. Raises ClientPayloadError."""
    text = b""
    async for chunk in answer.content.iter_chunked(65_536):
        text += chunk
        if len(text) > ANSWER_LIMIT:
            raise aiohttp.ClientPayloadError("too long an answer")
    return text


def parsed(text: bytes) -> dict[str, Any] | None:
    """A JSON object, or None."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def certificate(pem: bytes) -> bytes:
    """The first certificate in PEM, as DER; b"" where there is none. Only this is compared, so only this is trusted."""
    found = PEM.search(pem)
    try:
        return b64decode(b"".join(found[1].split()), validate=True) if found else b""
    except ValueError:
        return b""


def unchecked() -> ssl.SSLContext:
    """For the one call whose answer proves itself."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
