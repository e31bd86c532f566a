"""JSON from a machine that is not trusted: limits, and a field reader that collects reasons. Pure (CONTRACTS 3)."""

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Never

BODY_LIMIT = 1_000_000
DEPTH_LIMIT = 10
INTEGER_LIMIT = 2**63 - 1
TEXT_LIMIT = 10_000

STATUS = {
    "bad_json": 400,
    "bad_token": 401,
    "bad_key": 401,
    "revoked": 401,
    "not_approved": 403,
    "unknown_boot": 409,
    "too_large": 413,
    "invalid": 422,
    "slow_down": 429,
}


class ProtocolError(Exception):
    """A refusal for the agent: a code of CONTRACTS 3 ("Agent answers"), words, and reasons by field."""

    def __init__(self, code: str, detail: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.status = STATUS[code]
        self.detail = detail
        self.fields = dict(fields or {})

    def answer(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        body: dict[str, Any] = {"error": self.code, "detail": self.detail}
        return body | {"fields": self.fields} if self.fields else body


def load(body: bytes) -> dict[str, Any]:
    """The JSON object of a request. Raises ProtocolError too_large or bad_json."""
    if len(body) > BODY_LIMIT:
        raise ProtocolError("too_large", f"The body is larger than {BODY_LIMIT} bytes.")
    try:
        value = json.loads(body.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("bad_json", "The body is not JSON in UTF-8.") from error
    if not isinstance(value, dict):
        raise ProtocolError("bad_json", "The body is not a JSON object.")
    return value


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")


def storable(value: object, depth: int = DEPTH_LIMIT) -> str:
    """Why PostgreSQL's jsonb, or a reader, could not take a value that came as JSON; "" where it can."""
    if isinstance(value, str):
        return _storable_text(value)
    if isinstance(value, float):
        return "" if math.isfinite(value) else "has a number out of range"
    if isinstance(value, int):
        return "" if abs(value) <= INTEGER_LIMIT else "has a number out of range"
    if isinstance(value, dict | list) and depth == 0:
        return "is nested too deeply"
    if isinstance(value, dict):
        return _first(*value.keys(), *value.values(), depth=depth)
    return _first(*value, depth=depth) if isinstance(value, list) else ""


def _first(*values: object, depth: int) -> str:
    return next((reason for value in values if (reason := storable(value, depth - 1))), "")


def _storable_text(text: str) -> str:
    if len(text) > TEXT_LIMIT:
        return f"is longer than {TEXT_LIMIT} characters"
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        return "has a character that cannot be stored"
    return ""


class Fields:
    """Reads the fields of a JSON object. What is wrong is collected in `errors`; what is unknown is left alone."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.errors: dict[str, str] = {}

    def wrong(self, name: str, reason: str) -> None:
        """Note a reason; the first one for a field counts."""
        self.errors.setdefault(name, reason)

    def text(self, name: str, limit: int, *, required: bool = False) -> str:
        """A string of at most `limit` characters, stripped; "" where absent or null."""
        value = self.raw.get(name)
        if value is None:
            value = ""
        if not isinstance(value, str):
            self.wrong(name, "must be text")
            return ""
        value = value.strip()
        if len(value) > limit:
            self.wrong(name, f"is longer than {limit} characters")
        elif reason := _storable_text(value):
            self.wrong(name, reason)
        elif required and not value:
            self.wrong(name, "is required")
        return value

    def matching(self, name: str, pattern: re.Pattern[str], words: str) -> str:
        """A text that is empty or matches `pattern` wholly."""
        value = self.text(name, 255)
        if value and not pattern.fullmatch(value):
            self.wrong(name, words)
        return value

    def integer(self, name: str, low: int, high: int) -> int | None:
        """A whole number in range; None where absent or null."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong(name, "must be a whole number")
            return None
        if not low <= value <= high:
            self.wrong(name, f"must be from {low} to {high}")
            return None
        return value

    def flag(self, name: str) -> bool | None:
        """True or false; None where absent or null."""
        value = self.raw.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.wrong(name, "must be true or false")
        return None

    def texts(self, name: str, count: int, limit: int) -> tuple[str, ...]:
        """A list of at most `count` strings; empty where absent or null."""
        value = self.raw.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > count:
            self.wrong(name, f"must be a list of at most {count} texts")
            return ()
        entries = Fields({str(index): entry for index, entry in enumerate(value)})
        texts = tuple(entries.text(index, limit) for index in entries.raw)
        for reason in entries.errors.values():
            self.wrong(name, f"has an entry that {reason}")
        return tuple(text for text in texts if text)

    def addresses(self, name: str, count: int) -> tuple[str, ...]:
        """A list of IP addresses in their usual form, without the zone of link-local ones."""
        found: list[str] = []
        for text in self.texts(name, count, 60):
            try:
                found.append(str(ipaddress.ip_address(text.partition("%")[0])))
            except ValueError:
                self.wrong(name, "has an entry that is not an IP address")
        return tuple(dict.fromkeys(found))

    def moment(self, name: str) -> datetime | None:
        """An ISO 8601 time with its zone, as UTC; None where absent or null."""
        text = self.text(name, 40)
        if not text:
            return None
        try:
            when = datetime.fromisoformat(text)
            if when.tzinfo is None:
                self.wrong(name, "must name its time zone")
                return None
            return when.astimezone(UTC)
        except (ValueError, OverflowError):
            self.wrong(name, "must be a time in ISO 8601")
            return None

    def check(self) -> None:
        """Raises ProtocolError invalid where anything was wrong."""
        if self.errors:
            words = "; ".join(f"{name} {reason}" for name, reason in self.errors.items())
            raise ProtocolError("invalid", words, self.errors)
