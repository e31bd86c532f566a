"""The endpoint's driver: takes a call's steps on a pool of psycopg's asynchronous connections."""

import asyncio
import select
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from django.db import InterfaceError as DjangoInterfaceError
from django.db import OperationalError as DjangoOperationalError
from django.db import connection
from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg_pool import AsyncConnectionPool

from agents.calls import Answer, Ask, Call, Enrol, Hold, Listen, Step, Together
from agents.endpoint.waiters import Waiters, settle
from agents.protocol import ProtocolError, Registration
from agents.registration import register
from broker.core.clock import now

POOL_SIZE = 8
PATIENCE = 8.0  # seconds for a statement: then the database is away
AWAY_FOR = 2.0  # seconds for which nobody else tries a database that gave no connection
NAMED = frozenset({"dbname", "user", "password", "host", "port", "sslmode"})
ENROLLING = 4  # registrations at once; each has a thread and a connection

# The pool's own, and the ORM's, by which machines register.
AWAY = (OperationalError, InterfaceError, DjangoOperationalError, DjangoInterfaceError, TimeoutError)
Connection = AsyncConnection[tuple[Any, ...]]
Pool = AsyncConnectionPool[Connection]


def new_pool() -> Pool:
    """Connections as Django's settings have them; a restart of PostgreSQL costs no call (X10, `Database.lend`)."""
    told = connection.get_connection_params().items()
    named: dict[str, Any] = {name: value for name, value in told if name in NAMED}
    limits = {"connect_timeout": 3, "options": f"-c statement_timeout={int(PATIENCE * 1000)}"}
    return AsyncConnectionPool(
        kwargs={**named, **limits, "autocommit": True},
        min_size=POOL_SIZE,
        max_size=POOL_SIZE,
        timeout=PATIENCE,
        open=False,
        name="endpoint",
    )


def ended(idle: Connection) -> bool:
    """Whether the server has ended an idle connection. Nobody speaks on one, except to end it."""
    if idle.closed:
        return True
    poll = select.poll()
    poll.register(idle.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Database:
    """Takes the steps of calls. Thousands of them wait at a time, so what a waiting one has in hand is small."""

    def __init__(self, pool: Pool, waiters: Waiters) -> None:
        self.pool, self.waiters = pool, waiters
        self.threads = ThreadPoolExecutor(ENROLLING, "enrol")
        # After a restart ten thousand agents come at once: they wait here, where that costs less than in the pool.
        self._turns = asyncio.Semaphore(POOL_SIZE)
        self._away_until = 0.0

    async def lend(self) -> Connection:
        """A connection, in turn; give it back. Raises one of AWAY."""
        await self._turns.acquire()
        try:
            if time.monotonic() < self._away_until:
                raise OperationalError("The database was away a moment ago.")
            try:
                return await self._sound()
            except AWAY:
                self._away_until = time.monotonic() + AWAY_FOR
                raise
        except BaseException:
            self._turns.release()
            raise

    async def _sound(self) -> Connection:
        """One that the server has not ended. The pool's own check would rest a second after each that it has."""
        for _ in range(2 * POOL_SIZE):
            found = await self.pool.getconn()
            if not ended(found):
                return found
            await found.close()
            await self.pool.putconn(found)
        raise OperationalError("The database ends every connection.")

    async def give_back(self, connection: Connection) -> None:
        """The pool ends what is not committed."""
        try:
            await self.pool.putconn(connection)
        finally:
            self._turns.release()

    async def drive(self, call: Call) -> Answer:
        """Take the steps of a call until it has its answer. Raises one of AWAY."""
        errand = Errand(self)
        try:
            step = next(call)
            while True:
                try:
                    result = await (errand.hold(step.seconds) if isinstance(step, Hold) else errand.take(step))
                except ProtocolError as refusal:
                    step = call.throw(refusal)
                else:
                    step = call.send(result)
        except StopIteration as end:
            await errand.commit()
            answer: Answer = end.value
            return answer
        finally:
            await errand.close()

    async def ask(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The rows of one statement. Raises one of AWAY."""
        errand = Errand(self)
        try:
            return await errand.ask(sql, params)
        finally:
            await errand.close()


class Errand:
    """What one call has in its hands: a connection while it needs one, its place among the waiters."""

    __slots__ = ("_agent", "_connection", "_database", "_together", "_waiter")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._together = False
        self._waiter: asyncio.Future[bool] | None = None
        self._agent = 0

    async def take(self, step: Step) -> Any:
        """The outcome of one step."""
        match step:
            case Ask(sql, params):
                return await self.ask(sql, params)
            case Together():
                await self.ask("BEGIN", ())
                self._together = True
            case Enrol(said, received):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._database.threads, enrolled, said, received)
            case Listen(agent):
                self._agent, self._waiter = agent, self._database.waiters.listen(agent)
        return None

    async def ask(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The rows of a statement, on this call's connection, which is taken from the pool when first needed."""
        if self._connection is None:
            self._connection = await self._database.lend()
        async with asyncio.timeout(2 * PATIENCE):  # a server that hangs enforces no limit of its own
            cursor = await self._connection.execute(sql, params)
            return await cursor.fetchall() if cursor.description else []

    async def hold(self, seconds: int) -> datetime | None:
        """Wait without a connection; the time when woken or when the time is up, None where it could not be held."""
        if self._waiter is None:
            return None
        await self._give_back()
        up = asyncio.get_running_loop().call_later(seconds, settle, self._waiter, True)
        try:
            woken = await self._waiter
        finally:
            up.cancel()
        return now() if woken else None

    async def commit(self) -> None:
        """What was done together, stands."""
        if self._together:
            await self.ask("COMMIT", ())
            self._together = False

    async def close(self) -> None:
        """Leave nothing behind."""
        if self._waiter is not None:
            self._database.waiters.forget(self._agent, self._waiter)
        await self._give_back()

    async def _give_back(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await self._database.give_back(connection)


def enrolled(said: Registration, received: datetime) -> dict[str, Any]:
    """Register by Django's ORM, in a thread. Its connection is not kept: registrations are rare."""
    try:
        return register(said, received)
    finally:
        connection.close()
