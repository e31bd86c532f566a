"""The endpoint's driver: takes a call's steps on a pool of psycopg's asynchronous connections."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

from django.db import InterfaceError as DjangoInterfaceError
from django.db import OperationalError as DjangoOperationalError
from django.db import connection
from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg_pool import AsyncConnectionPool

from agents.calls import Answer, Ask, Call, Enrol, Hold, Listen, Step, Together
from agents.endpoint.waiters import Waiters
from agents.protocol import ProtocolError, Registration
from agents.registration import register
from broker.core.clock import now

POOL_SIZE = 8
PATIENCE = 8.0  # seconds for a connection, or for a statement: then the database is away
NAMED = frozenset({"dbname", "user", "password", "host", "port", "sslmode"})
ENROLLING = 4  # registrations at once; each has a thread and a connection

# The pool's own, and the ORM's, by which machines register.
AWAY = (OperationalError, InterfaceError, DjangoOperationalError, DjangoInterfaceError, TimeoutError)
Pool = AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]


def new_pool() -> Pool:
    """Connections as Django's settings have them, checked before use: a restart of PostgreSQL costs no call (X10)."""
    told = connection.get_connection_params().items()
    named: dict[str, Any] = {name: value for name, value in told if name in NAMED}
    limits = {"connect_timeout": 3, "options": f"-c statement_timeout={int(PATIENCE * 1000)}"}
    return AsyncConnectionPool(
        kwargs={**named, **limits, "autocommit": True},
        min_size=1,
        max_size=POOL_SIZE,
        timeout=PATIENCE,
        check=AsyncConnectionPool.check_connection,
        open=False,
        name="endpoint",
    )


class Database:
    """Takes the steps of calls."""

    def __init__(self, pool: Pool, waiters: Waiters) -> None:
        self.pool, self.waiters = pool, waiters
        self.threads = ThreadPoolExecutor(ENROLLING, "enrol")

    async def drive(self, call: Call) -> Answer:
        """Take the steps of a call until it has its answer. Raises one of AWAY."""
        async with Errand(self) as errand:
            try:
                step = next(call)
                while True:
                    try:
                        result = await errand.take(step)
                    except ProtocolError as refusal:
                        step = call.throw(refusal)
                    else:
                        step = call.send(result)
            except StopIteration as end:
                answer: Answer = end.value
        return answer

    async def ask(self, sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The rows of one statement. Raises one of AWAY."""
        async with Errand(self) as errand:
            rows: list[tuple[Any, ...]] = await errand.take(Ask(sql, params))
        return rows


class Errand:
    """What one call has in its hands: a connection while it needs one, its place among the waiters."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.stack = AsyncExitStack()
        self.connection: AsyncConnection[tuple[Any, ...]] | None = None
        self.waiter: asyncio.Future[bool] | None = None
        self.agent = 0

    async def __aenter__(self) -> "Errand":
        return self

    async def __aexit__(self, *raised: Any) -> None:
        if self.waiter is not None:
            self.database.waiters.forget(self.agent, self.waiter)
        await self.stack.__aexit__(*raised)

    async def take(self, step: Step) -> Any:
        """The outcome of one step."""
        match step:
            case Ask(sql, params):
                async with asyncio.timeout(2 * PATIENCE):  # a server that hangs enforces no limit of its own
                    cursor = await (await self.connected()).execute(sql, params)
                    return await cursor.fetchall() if cursor.description else []
            case Together():
                await self.stack.enter_async_context((await self.connected()).transaction())
            case Enrol(said, received):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self.database.threads, enrolled, said, received)
            case Listen(agent):
                self.agent, self.waiter = agent, self.database.waiters.listen(agent)
            case Hold(seconds):
                return await self.hold(seconds)
        return None

    async def connected(self) -> AsyncConnection[tuple[Any, ...]]:
        """This call's connection, taken from the pool when first needed."""
        if self.connection is None:
            self.connection = await self.stack.enter_async_context(self.database.pool.connection())
        return self.connection

    async def hold(self, seconds: int) -> datetime | None:
        """Wait without a connection; the time when woken or when the time is up, None where it could not be held."""
        if self.waiter is None:
            return None
        await self.stack.aclose()
        self.connection = None
        try:
            async with asyncio.timeout(seconds):
                woken = await self.waiter
        except TimeoutError:
            woken = True
        return now() if woken else None


def enrolled(said: Registration, received: datetime) -> dict[str, Any]:
    """Register by Django's ORM, in a thread. Its connection is not kept: registrations are rare."""
    try:
        return register(said, received)
    finally:
        connection.close()
