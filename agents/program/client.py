"""JSON over HTTPS to the broker, believing nothing: limits for time and size, and two ways to fail."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from datetime import datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from agents.program import VERSION, trust
from agents.program.settings import Settings
from agents.program.ticks import utc_now
from agents.program.where import Place, places

PATIENCE = 15.0  # seconds for a call; a held poll adds its own
ANSWER_LIMIT = 1_000_000


class Away(Exception):
    """Nobody answers there, or not as the broker would: keep everything and try again later."""


class Refused(Exception):
    """The broker says no; `code` is the protocol's (docs/agent-protocol.md)."""

    def __init__(self, status: int, code: str, detail: str, retry_after: float = 0) -> None:
        super().__init__(f"{code}: {detail}")
        self.status, self.code, self.detail, self.retry_after = status, code, detail, retry_after


class Client:
    """Calls the broker where it is; safe to use from several threads, a connection a call."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.ahead = timedelta()  # how far our clock is ahead of the broker's
        self._places: list[Place] = []
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()

    def call(self, verb: str, path: str, body: object = None, key: str = "", held: float = 0) -> Any:
        """The JSON object of a 2xx answer; `held` is how long the broker may take more. Raises Refused, Away."""
        status, headers, text = self.ask(verb, path, body, key, held)
        try:
            answer = json.loads(text.decode() or "{}")
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Away(f"{self.place()} answers {status}, but not as a broker does")
        if 200 <= status < 300:
            return answer
        code = answer.get("error")
        if not isinstance(code, str):
            raise Away(f"{self.place()} answers {status}, but not as a broker does")
        raise Refused(status, code, str(answer.get("detail", "")), _seconds(headers.get("Retry-After")))

    def ask(
        self, verb: str, path: str, body: object = None, key: str = "", held: float = 0
    ) -> tuple[int, Message, bytes]:
        """Status, headers and body of an answer, whatever it is. Raises Away."""
        place = self.place()
        try:
            return self._ask(place, self.context(), verb, path, body, key, held)
        except (OSError, http.client.HTTPException, ValueError, trust.Distrust) as error:
            self._move_on(place)
            raise Away(f"{place}: {_words(error)}") from error

    def place(self) -> Place:
        """Where the broker is just now. Raises BadSettings."""
        with self._lock:
            if not self._places:
                self._places = places(self.settings)
            return self._places[0]

    def context(self) -> ssl.SSLContext | None:
        """How its certificate is checked; None for http. Raises Distrust, OSError, Away."""
        place = self.place()
        if place.scheme == "http":
            return None
        if self._context is None:
            self._context = trust.context(self.settings, self.folder, lambda unchecked: self._fetch(place, unchecked))
        return self._context

    def _fetch(self, place: Place, unchecked: ssl.SSLContext) -> bytes:
        status, _headers, body = self._ask(place, unchecked, "GET", "ca", None, "", 0)
        if status != 200:
            raise trust.Distrust(f"It has no CA to show (GET /agent/v1/ca answers {status}).")
        return body

    def _move_on(self, place: Place) -> None:
        """The next place comes first; after the last one, DNS is asked again."""
        with self._lock:
            if self._places and self._places[0] == place:
                del self._places[0]
                self._context = None

    def _ask(  # noqa: PLR0913 - one request, laid out
        self,
        place: Place,
        context: ssl.SSLContext | None,
        verb: str,
        path: str,
        body: object,
        key: str,
        held: float,
    ) -> tuple[int, Message, bytes]:
        headers = {"Accept": "application/json", "User-Agent": f"usher-agent/{VERSION}"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        connection = _connection(place, context, PATIENCE + held)
        # The socket's time-out begins anew with every byte: this ends an answer that drips.
        limit = threading.Timer(PATIENCE + held, _cut, [connection])
        limit.daemon = True
        limit.start()
        try:
            connection.request(verb, f"/agent/v1/{path}", data, headers)
            answer = connection.getresponse()
            text = answer.read(ANSWER_LIMIT + 1)
        finally:
            limit.cancel()
            connection.close()
        if len(text) > ANSWER_LIMIT:
            raise ValueError("the answer is too long")
        self._compare(answer.headers.get("Date"))
        return answer.status, answer.headers, text

    def _compare(self, date: str | None) -> None:
        """Set our clock beside the broker's, by a header to the second."""
        try:
            theirs = parsedate_to_datetime(date or "")
        except (TypeError, ValueError):
            return
        if isinstance(theirs, datetime) and theirs.tzinfo is not None:
            self.ahead = utc_now() - theirs


def _connection(place: Place, context: ssl.SSLContext | None, timeout: float) -> http.client.HTTPConnection:
    if context is None:
        return http.client.HTTPConnection(place.host, place.port, timeout=timeout)
    return http.client.HTTPSConnection(place.host, place.port, timeout=timeout, context=context)


def _cut(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        try:
            connection.sock.shutdown(2)
        except OSError:
            return


def _seconds(text: str | None) -> float:
    return min(float(text), 3600.0) if text and text.isdecimal() else 0.0


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    return str(error) or type(error).__name__
