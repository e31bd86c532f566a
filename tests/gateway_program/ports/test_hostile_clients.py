"""Half-open, silent, slow and flooding clients, and desktops that do not answer, are bounded."""

import asyncio
import resource
import socket
from itertools import pairwise

import pytest

from gateways.program.ports import listener
from gateways.program.ports.limits import Limits
from gateways.program.ports.refusals import AGAIN, Refusals
from gateways.program.ports.splice import SpliceLink
from gateways.program.registry import Refusal
from gateways.program.sessions import Session
from tests.gateway_program.ports.stage import HOME, OTHER, Stage, stage, turns, until
from tests.gateway_program.world import Clock


def test_at_the_limit_of_connections_nobody_more_is_let_in() -> None:
    async def play() -> None:
        async with stage() as here:
            session = here.open(connections=2)
            _, writer = await here.talk(session)
            reader, _ = await here.talk(session)
            assert await here.refused(session)
            assert here.registry.refused[-1].why == "All 2 connections are in use."
            writer.close()
            await until(lambda: session.connections == 1, "one has left")
            await here.talk(session)
            assert not reader.at_eof()

    asyncio.run(play())


def test_who_only_holds_places_takes_none_from_others() -> None:
    async def play() -> None:
        async with stage() as here:
            session = here.open(connections=2)
            await here.talk(session)
            silent, _ = await here.connect(session, OTHER)
            await until(lambda: session.connections == 2, "it is let in")
            await here.talk(session)
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(silent.read(1), 5)
            assert session.connections == 2

    asyncio.run(play())


def test_a_client_that_says_nothing_is_cut_and_has_used_nothing() -> None:
    async def play() -> None:
        async with stage(limits=Limits(first_byte=30)) as here:
            session = here.open()
            reader, _ = await here.connect(session)
            await until(lambda: session.connections == 1, "it is let in")
            here.passes(29)
            assert session.connections == 1
            here.passes(1)
            assert (session.connections, session.used_at) == (0, 0)
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(1), 5)

    asyncio.run(play())


def test_who_holds_a_connection_that_the_other_side_has_ended_is_cut_unless_something_moves() -> None:
    async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write_eof()
        await reader.read(-1)

    async def play() -> None:
        async with stage(act=ends, limits=Limits(half_closed=60)) as here:
            session = here.open()
            reader, writer = await here.connect(session)
            writer.write(b"?")
            assert await asyncio.wait_for(reader.read(-1), 5) == b""
            here.passes(0)
            here.passes(59)
            writer.write(b"still there")
            await until(lambda: session.bytes_in == 12, "it has come")
            here.passes(59)
            here.passes(59)
            assert session.connections == 1
            here.passes(1)
            assert session.connections == 0

    asyncio.run(play())


def test_a_flood_from_one_address_is_sent_away_and_others_still_come() -> None:
    async def play() -> None:
        async with stage(limits=Limits(burst=10, pace=1)) as here:
            session = here.open()
            for _ in range(30):
                await come_and_go(here, session)
            assert here.ports.refusals.count == 20
            assert [each.why for each in here.registry.refused] == ["Too many connections in a short time."]
            await here.talk(session, OTHER)
            here.clock.at += 1
            await here.talk(session)

    asyncio.run(play())


async def come_and_go(here: Stage, session: Session) -> None:
    """One connection that says nothing; let in or not."""
    try:
        _, writer = await here.connect(session)
        writer.close()
        await writer.wait_closed()
    except ConnectionError:
        return
    await until(lambda: session.connections == 0, "it is gone")


def test_many_addresses_together_are_bounded_too_and_remembered_only_so_far() -> None:
    async def play() -> None:
        async with stage(limits=Limits(all_burst=100, all_pace=0, addresses=16)) as here:
            session = here.open()
            for number in range(120):
                socket.create_connection((HOME, session.port), 5, (f"127.1.0.{number + 1}", 0)).close()
                await turns()
            await until(lambda: here.ports.refusals.count == 20, "the rest is sent away")
            (lease,) = here.ports.leases
            assert len(lease.pace._each) == 16

    asyncio.run(play())


def test_a_thousand_half_open_connections_hold_eight_places_and_no_others_up() -> None:
    async def play() -> None:
        generous = Limits(burst=2000, all_burst=2000)
        async with stage(limits=generous) as here:
            flooded, other = here.open(), here.open()
            clients = []
            for _ in range(10):
                clients += [socket.create_connection((HOME, flooded.port), 5) for _ in range(100)]
                _, writer = await here.talk(other)
                writer.close()
                await until(lambda: other.connections == 0, "it is gone")
                assert 0 < flooded.connections <= 8
            for each in clients:
                each.close()
            await until(lambda: flooded.connections == 0, "all are gone")

    asyncio.run(play())


def test_both_ends_count_as_gone_when_they_have_been_silent_for_the_kernel() -> None:
    async def play() -> None:
        async with stage("splice", limits=Limits(silent=40)) as here:
            await here.talk(here.open())
            ((connection,),) = [each.connections for each in here.ports.leases]
            assert isinstance(connection.link, SpliceLink)
            for each in (connection.link.client, connection.link.desktop):
                assert each.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                kept = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
                assert [each.getsockopt(socket.IPPROTO_TCP, option) for option in kept] == [20, 5, 4, 40_000]

    asyncio.run(play())


def test_of_a_crowd_only_some_are_let_in_before_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "TURNS", 2)

    async def play() -> None:
        async with stage() as here:
            session, seen = here.open(connections=8), [0]
            crowd = [socket.create_connection((HOME, session.port), 5) for _ in range(8)]
            async with asyncio.timeout(5):
                while seen[-1] < len(crowd):
                    await asyncio.sleep(0)
                    seen.append(session.connections)
            assert max(after - before for before, after in pairwise(seen)) == 2
            for each in crowd:
                each.close()

    asyncio.run(play())


def test_a_desktop_that_is_not_there_is_told_and_the_client_reset() -> None:
    async def play() -> None:
        async with stage() as here:
            with socket.create_server((HOME, 0)) as gone:
                port = gone.getsockname()[1]
            session = here.open(port=port)
            assert await here.refused(session)
            assert [each.why for each in here.registry.refused] == [f"The desktop {HOME}:{port} does not answer."]
            assert session.connections == 0
            assert not session.closed_at  # it may come yet

    asyncio.run(play())


def test_a_desktop_that_takes_too_long_is_given_up() -> None:
    async def play() -> None:
        async with stage(limits=Limits(dial=0.05)) as here:
            with socket.create_server((HOME, 0), backlog=0) as full:
                port = full.getsockname()[1]
                waiting = [socket.socket() for _ in range(3)]
                for each in waiting:  # nobody accepts: from now on the kernel drops who knocks
                    each.setblocking(False)
                    each.connect_ex((HOME, port))
                session = here.open(port=port)
                assert await here.refused(session)
                assert "does not answer" in here.registry.refused[-1].why
                for each in waiting:
                    each.close()

    asyncio.run(play())


def test_out_of_files_it_pauses_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        async with stage() as here:
            session = here.open()
            client = socket.socket()
            client.setblocking(False)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
            try:
                await asyncio.get_running_loop().sock_connect(client, (HOME, session.port))
                await until(lambda: "port.accept" in caplog.text, "it is out of them")
                await turns()
                assert (caplog.text.count("port.accept"), session.connections) == (1, 0)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await until(lambda: session.connections == 1, "it goes on")
            client.close()

    asyncio.run(play())


def test_the_same_refusal_is_told_again_only_after_a_while_and_floods_are_not_passed_on() -> None:
    clock, told = Clock(), list[Refusal]()
    refusals = Refusals(told.append, clock)
    for _ in range(5):
        refusals.note("No.", "192.0.2.1", "a")
    assert (len(told), refusals.count) == (1, 5)
    clock.at += AGAIN
    refusals.note("No.", "192.0.2.1", "a")
    assert len(told) == 2
    for number in range(10_000):
        refusals.note("No.", f"10.0.{number // 256}.{number % 256}")
    assert (len(told), refusals.count) == (101, 10_006)
    clock.at += 1
    refusals.note("No.", "192.0.2.9")
    assert told[-1].client_ip == "192.0.2.9"


def test_of_what_was_told_only_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateways.program.ports.refusals.REMEMBERED", 10)
    clock, told = Clock(), list[Refusal]()
    refusals = Refusals(told.append, clock)
    for number in range(50):
        refusals.note("No.", f"192.0.2.{number}")
    assert (len(told), len(refusals._told)) == (50, 10)


def test_a_clock_that_is_put_back_silences_no_refusal() -> None:
    clock, told = Clock(), list[Refusal]()
    refusals = Refusals(told.append, clock)
    refusals.note("No.", "192.0.2.1", "a")
    clock.at -= 86_400
    refusals.note("No.", "192.0.2.1", "a")
    refusals.note("No.", "192.0.2.1", "a")
    assert len(told) == 2
