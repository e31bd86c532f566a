"""What the HTTP library reports, and what of it is told."""

import logging
from types import TracebackType

from aiohttp.http_exceptions import BadStatusLine

from gateways.program.telling import BURST, OurMistakes

Told = tuple[type[BaseException], BaseException, TracebackType | None]


def report(error: Exception | None) -> logging.LogRecord:
    """As aiohttp does it; without an error: a handler took too long."""
    told: Told | None = (type(error), error, None) if error else None
    words = "Error handling request from %s"
    return logging.LogRecord("aiohttp.server", logging.ERROR, __file__, 1, words, ("203.0.113.7",), told)


def test_what_a_handler_did_not_expect_is_told_with_who_asked() -> None:
    for error in (KeyError("x"), None):
        record = report(error)
        assert OurMistakes().filter(record)
        assert (record.getMessage(), vars(record)["client"]) == ("request.failed", "203.0.113.7")


def test_garbage_and_broken_connections_are_not() -> None:
    for error in (BadStatusLine("GET"), ConnectionResetError()):
        assert not OurMistakes().filter(report(error))


def test_garbage_that_looks_like_a_mistake_of_ours_does_not_fill_the_log() -> None:
    mistakes = OurMistakes()
    told = sum(mistakes.filter(report(ValueError("é"))) for _ in range(1_000))
    assert told <= BURST + 1
