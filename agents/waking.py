"""The signed wake call: "fetch your commands now", and the proof that the agent's port answers (DESIGN 8, SPEC A.5)."""

import json
import re
import secrets
import socket
import time
from dataclasses import dataclass

from agents.keys import wake_signature
from agents.models import Agent
from broker.core.clock import now
from broker.core.db import assert_outside

WITHIN = 3.0  # seconds for the whole call
ANSWER_LIMIT = 1024  # bytes; the first line is all that we read
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})\b")


@dataclass(frozen=True, slots=True)
class Reached:
    """Whether the agent's port answered as an agent's, and what came of it in words."""

    ok: bool
    detail: str


def wake(agent: Agent) -> Reached:
    """Call the agent at its desktop's own address, never at one that it said itself; note what came of it.

    Outside any transaction: raises InsideTransaction else.
    """
    assert_outside()
    address = agent.desktop.destination if agent.desktop else ""
    said = call(address, agent.port, agent.key_digest) if address else Reached(False, "Its desktop has no address.")
    Agent.objects.filter(pk=agent.pk).update(checked_at=now(), reachable=said.ok, check_detail=said.detail[:200])
    return said


def call(address: str, port: int, key_digest: str) -> Reached:
    """One signed POST /wake. A peer that is slow, silent or no agent costs no more than WITHIN."""
    when, nonce = int(now().timestamp()), secrets.token_hex(16)
    body = json.dumps({"time": when, "nonce": nonce, "signature": wake_signature(key_digest, when, nonce)}).encode()
    host = f"[{address}]" if ":" in address else address
    head = f"POST /wake HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    try:
        first = exchanged(address, port, head.encode() + body)
    except TimeoutError:
        return Reached(False, f"{address}:{port} does not answer within {WITHIN:.0f} seconds.")
    except (OSError, UnicodeError) as error:
        return Reached(False, f"{address}:{port} does not answer: {getattr(error, 'strerror', None) or error}.")
    return judged(first, f"{address}:{port}")


def exchanged(address: str, port: int, request: bytes) -> bytes:
    """Send a request; the beginning of what comes back. Raises OSError, TimeoutError included."""
    until = time.monotonic() + WITHIN
    with socket.create_connection((address, port), WITHIN) as peer:
        peer.sendall(request)
        got = b""
        while b"\n" not in got and len(got) < ANSWER_LIMIT:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            peer.settimeout(left)
            part = peer.recv(ANSWER_LIMIT)
            if not part:
                break
            got += part
    return got


def judged(first: bytes, place: str) -> Reached:
    """What the first line of an answer means."""
    found = STATUS.match(first)
    if found is None:
        return Reached(False, f"What answers at {place} is no agent.")
    status = int(found[1])
    if status in (401, 403):
        return Reached(False, f"The agent at {place} refused our signature: its key or its clock differs.")
    if not 200 <= status < 300:
        return Reached(False, f"What answers at {place} said {status} to the wake call.")
    return Reached(True, f"The agent at {place} answered.")
