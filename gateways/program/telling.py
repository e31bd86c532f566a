"""The log: a JSON object a line on standard error. Only what is named in `extra` gets in, so no secret does."""

import json
import logging
import sys
from datetime import UTC, datetime

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

GARBAGE = (HttpProcessingError, RequestPayloadError, ConnectionError)
ORDINARY = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Lines(logging.Formatter):
    """`{"time", "level", "event", …}`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback becomes one field."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in ORDINARY},
        }
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


class OurMistakes(logging.Filter):
    """Of what the HTTP library reports: what a handler did not expect, and not a line for each stranger's garbage."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is told, as `request.failed` with its trace."""
        error = record.exc_info[1] if record.exc_info else None
        record.msg, record.args = "request.failed", ()
        return error is not None and not isinstance(error, GARBAGE)


def start() -> None:
    """From here on everything is logged like that. Libraries are heard only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("gateways").setLevel(logging.INFO)
    logging.getLogger("aiohttp.server").addFilter(OurMistakes())
