"""JSON over HTTP to the broker and to the simulated account; standard library only, as in the real agent."""

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 15.0  # seconds; a registration whose answer is lost leaves a row behind at the broker


class Away(Exception):
    """Nobody answers there, or what answers speaks no JSON: try again later."""


class Refused(Exception):
    """An answer other than 2xx; `code` is the protocol's (CONTRACTS 3, "Agent answers")."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status, self.code = status, code


@dataclass(frozen=True)
class Site:
    """Somebody to call."""

    url: str
    timeout: float = TIMEOUT

    def call(self, verb: str, path: str, body: object = None, key: str = "") -> Any:
        """The JSON of a 2xx answer; raises Refused or Away."""
        status, text = self._ask(verb, path, body, key)
        try:
            answer = json.loads(text or b"{}")
        except ValueError as error:
            raise Away(f"{self.url}{path} answered {status} without JSON") from error
        if not 200 <= status < 300:
            told = answer if isinstance(answer, dict) else {}
            raise Refused(status, str(told.get("error", "")), str(told.get("detail", "")))
        return answer

    def _ask(self, verb: str, path: str, body: object, key: str) -> tuple[int, bytes]:
        connection = self._connection()
        headers = {"Accept": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        try:
            connection.request(verb, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Away(f"{self.url} does not answer: {error}") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host = parts.hostname or "127.0.0.1"
        if parts.scheme != "https":
            return http.client.HTTPConnection(host, parts.port, timeout=self.timeout)
        # The demo's certificate is its own; a real agent checks it by the hash in its enrolment string (RULES 4).
        trusting = ssl._create_unverified_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=self.timeout, context=trusting)
