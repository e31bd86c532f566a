"""Redis, as far as we use it ourselves: it only says "look there"; what counts are rows (DESIGN 3)."""

import logging
import time
from functools import lru_cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)
REST = 5.0  # seconds without a try after a failure: a hung Redis costs one second now and then, not with each message
_away_until = 0.0


def address() -> str:
    """USHER_REDIS_URL as redis-py wants it."""
    return str(settings.REDIS_URL).replace("redis+socket://", "unix://")


@lru_cache
def client(url: str) -> redis.Redis:
    """One client per process; safe for threads. Short time-outs (CONTRACTS X9)."""
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 1), **settings.REDIS_OPTIONS)


def publish(channel: str, text: str) -> bool:
    """Say something to whoever listens; False where Redis is away, which costs time and nothing else."""
    global _away_until  # noqa: PLW0603 - one memory per process
    if time.monotonic() < _away_until:
        return False
    try:
        client(address()).publish(channel, text)
    except (redis.RedisError, OSError):
        _away_until = time.monotonic() + REST
        log.warning("Redis is away: agents' polls are answered by looks at the database.")
        return False
    return True
