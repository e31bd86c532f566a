"""Hears that an agent has a command: by Redis the moment it is queued, by a look at the database in any case."""

import asyncio
import logging

import redis.asyncio
from redis.exceptions import RedisError

from agents import statements
from agents.endpoint.database import AWAY, Database
from agents.services import CHANNEL
from broker.core import messenger
from broker.core.clock import now

log = logging.getLogger(__name__)
HEARING, DEAF = 5.0, 1.0  # seconds between two looks at the database
PING = 3.0  # seconds of silence before we ask Redis whether it is there; as long again, and it is not


class Ear:
    """One Redis connection per process. Redis is away, or hangs: only looks, more often."""

    def __init__(self, database: Database) -> None:
        self.database, self.waiters = database, database.waiters
        self.hears = False

    async def listen(self) -> None:
        """For ever: listen, and begin anew after trouble."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError, TimeoutError) as error:
                if self.hears:
                    log.warning("Redis does not answer (%s): looking at the database.", type(error).__name__)
                self.hears = False
                await asyncio.sleep(DEAF)

    async def _listen(self) -> None:
        client = redis.asyncio.Redis.from_url(messenger.address(), socket_connect_timeout=1.0, retry=None)
        async with client, client.pubsub() as channel:
            async with asyncio.timeout(PING):
                await channel.subscribe(CHANNEL)
            silent = 0
            while silent < 2:
                message = await channel.get_message(timeout=PING)
                silent = 0 if message else silent + 1
                if message is None:
                    async with asyncio.timeout(PING):
                        await channel.ping()
                elif message["type"] == "subscribe":
                    self.hears = True
                elif message["type"] == "message":
                    self.heard(message["data"])
            raise TimeoutError

    def heard(self, data: bytes) -> None:
        """A message: the number of an agent."""
        if data.isdigit():
            self.waiters.wake(int(data))

    async def look(self) -> None:
        """For ever: see in the database which of the waiting agents have a command."""
        while True:
            await asyncio.sleep(HEARING if self.hears else DEAF)
            agents = self.waiters.agents()
            if not agents:
                continue
            try:
                rows = await self.database.ask(statements.ASKED, (now(), agents))
            except AWAY:
                continue
            for (agent,) in rows:
                self.waiters.wake(agent)
