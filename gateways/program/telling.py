"""The log: a JSON object a line on standard error. Only what is named in `extra` gets in, so no secret does."""

import json
import logging
import sys
import time
from datetime import UTC, datetime

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

from gateways.program.ports.limits import Bucket

PACE, BURST = 0.1, 20.0  # lines a second, and at once
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

    def __init__(self) -> None:
        super().__init__()
        self._bucket = Bucket(BURST, time.monotonic())

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is told: as `request.failed` with its trace, of which a handler that took too long has none."""
        if record.exc_info and isinstance(record.exc_info[1], GARBAGE):
            return False
        if isinstance(record.args, tuple) and record.args:
            record.client = record.args[0]
        record.msg, record.args = "request.failed", ()
        return self._bucket.take(PACE, BURST, time.monotonic())  # some garbage may look like a mistake of ours


def start() -> None:
    """From here on everything is logged like that. Libraries are heard only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("gateways").setLevel(logging.INFO)
    logging.getLogger("aiohttp.server").addFilter(OurMistakes())
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)  # it repeats what strangers ask for
