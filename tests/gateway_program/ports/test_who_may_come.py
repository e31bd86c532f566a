"""Which ports are listened on, for whom and until when (SPEC 2.3 `use_src_ip`)."""

import asyncio
import socket
from pathlib import Path

import pytest

from gateways.program.ports import NoPort
from gateways.program.ports.ports import REST
from tests.gateway_program.ports.stage import HOME, OTHER, Stage, listens, stage, until

THIRD = "127.0.0.3"


def test_a_scan_of_the_range_finds_live_leases_only() -> None:
    async def play() -> None:
        async with stage(ports=40) as here:
            sessions = [here.open() for _ in range(5)]
            assert await scanned(here) == {each.port for each in sessions}
            assert here.ports.free == 35
            sessions[0].close("Released.", "broker", here.clock())
            here.passes(59)
            assert await scanned(here) == {each.port for each in sessions[1:]}
            here.passes(1)
            assert await scanned(here) == set()
            assert [each.reason for each in sessions[1:]] == ["Nobody came within 60 seconds."] * 4
            assert here.ports.free == 40

    asyncio.run(play())


def test_without_a_filter_the_port_is_random_and_anybody_may_come() -> None:
    async def play() -> None:
        async with stage(ports=1000) as here:
            ports = [here.open().port for _ in range(20)]
            assert len(set(ports)) == 20
            assert ports != sorted(ports)
            session = here.open()
            for source in (HOME, OTHER):
                await here.talk(session, source)
            assert session.client_ip == HOME  # who came first

    asyncio.run(play())


def test_with_a_filter_another_address_is_reset_at_once_and_nothing_is_dialled() -> None:
    async def play() -> None:
        async with stage() as here:
            session = here.open(client_ip=OTHER)
            for _ in range(3):
                assert await here.refused(session)
            assert here.desktop.came == []
            assert here.ports.refusals.count == 3
            told = [(each.why, each.client_ip, each.id) for each in here.registry.refused]
            assert told == [("The port is not open to this address.", HOME, session.id)]
            assert session.used_at == 0
            await here.talk(session, OTHER)
            assert session.client_ip == OTHER

    asyncio.run(play())


def test_with_the_desktops_own_port_number_leases_are_told_apart_by_address() -> None:
    async def play() -> None:
        async with stage() as here:
            port = here.desktop.port
            with Elsewhere(port):  # at 127.0.0.9, the same number: which one answered shows who was led where
                here.ports.host = "127.0.0.77"
                one = here.open(client_ip=HOME, same_port=True)
                other = here.open(client_ip=OTHER, same_port=True, host="127.0.0.9", user="user:6")
                assert (one.port, other.port, here.ports.free) == (port, port, 20)
                assert await first_byte(port, HOME) == b"e"
                assert await first_byte(port, OTHER) == b"9"
                with pytest.raises(ConnectionError):
                    await first_byte(port, THIRD)
                assert [each.client_ip for each in here.registry.refused] == [THIRD]
                one.close("Released.", "broker", here.clock())
                with pytest.raises(ConnectionError):
                    await first_byte(port, HOME)
                assert await first_byte(port, OTHER) == b"9"
                other.close("Released.", "broker", here.clock())
                assert not listens(port, "127.0.0.77")

    asyncio.run(play())


def test_a_port_number_shared_by_address_leads_to_one_desktop_for_an_address() -> None:
    async def play() -> None:
        async with stage() as here:
            here.ports.host = "127.0.0.77"
            first = here.open(client_ip=HOME, same_port=True)
            for differs in ({"user": "user:6"}, {"host": "127.0.0.9"}):
                with pytest.raises(NoPort, match="leads to another desktop already"):
                    here.open(client_ip=HOME, same_port=True, **differs)
            assert await first_byte(first.port, HOME) == b"e"

    asyncio.run(play())


def test_connecting_again_to_the_same_desktop_takes_the_port_over_and_leaves_who_is_there() -> None:
    async def play() -> None:
        async with stage() as here:
            here.ports.host = "127.0.0.77"
            unused, first = (here.open(client_ip=HOME, same_port=True) for _ in range(2))
            assert unused.reason == "The same desktop was connected to again."
            reader, writer = await asyncio.open_connection("127.0.0.77", first.port, local_addr=(HOME, 0))
            writer.write(b"e")
            assert await reader.read(1) == b"e"
            second = here.open(client_ip=HOME, same_port=True)
            assert await first_byte(second.port, HOME) == b"e"
            assert (first.connections, first.closed_at, second.used_at) == (1, 0, here.clock())
            writer.write(b"e")
            assert await reader.read(1) == b"e"
            writer.close()
            await until(lambda: bool(first.closed_at), "who was there has left")
            assert await first_byte(second.port, HOME) == b"e"

    asyncio.run(play())


def test_the_desktops_own_port_number_needs_an_address_and_a_free_port() -> None:
    async def play() -> None:
        async with stage() as here:
            with pytest.raises(NoPort, match="only with the client's address"):
                here.open(same_port=True)
            with pytest.raises(NoPort, match=r"Cannot listen on port \d+: Address already in use"):
                here.open(same_port=True, client_ip=HOME)  # the desktop itself is there
            assert not here.ports.listeners

    asyncio.run(play())


def test_a_port_rests_before_somebody_else_is_given_it_unless_there_is_no_other() -> None:
    async def play() -> None:
        async with stage(ports=3) as here:
            sessions = [here.open() for _ in range(3)]
            with pytest.raises(NoPort, match="All 3 ports are in use"):
                here.open()
            for each in sessions[:2]:
                each.close("Released.", "broker", here.clock())
            freed = {each.port for each in sessions[:2]}
            early = here.open()  # none has rested
            assert early.port in freed
            here.passes(30)
            sessions[2].close("Released.", "broker", here.clock())
            here.passes(REST - 30)
            assert here.open().port in freed - {early.port}  # the other one has not rested yet

    asyncio.run(play())


def test_of_many_ports_those_that_have_rested_are_given_first() -> None:
    async def play() -> None:
        async with stage(ports=20) as here:
            sessions = [here.open() for _ in range(20)]
            for each in sessions[:10]:
                each.close("Released.", "broker", here.clock())
            here.passes(30)
            for each in sessions[10:]:
                each.close("Released.", "broker", here.clock())
            here.passes(REST - 30)
            assert {here.open().port for _ in range(10)} == {each.port for each in sessions[:10]}

    asyncio.run(play())


def test_a_port_that_the_broker_names_has_to_be_of_the_range_and_free() -> None:
    async def play() -> None:
        async with stage() as here:
            port = here.ports.range[3]
            session = here.open(listen=port)
            assert session.port == port and await scanned(here) == {port}
            for named in (port, here.ports.range[-1] + 1):
                with pytest.raises(NoPort, match=f"Port {named} is not free here"):
                    here.open(listen=named)
            session.close("Released.", "broker", here.clock())
            with pytest.raises(NoPort, match="not free"):
                here.open(listen=port)  # who was led there may still try
            here.passes(REST)
            assert here.open(listen=port).port == port

    asyncio.run(play())


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this system has no IPv6")
def test_listening_for_both_kinds_of_addresses_the_filter_knows_them_as_they_are_written() -> None:
    async def play() -> None:
        async with stage() as here:
            here.ports.host = "::"
            session = here.open(client_ip=HOME)
            await here.talk(session)
            assert session.client_ip == HOME
            assert await here.refused(session, OTHER)

    asyncio.run(play())


def test_a_port_that_another_program_holds_is_passed_over() -> None:
    async def play() -> None:
        async with stage(ports=2) as here:
            with socket.create_server((HOME, here.ports.range[0])):
                assert here.open().port == here.ports.range[1]
                with pytest.raises(NoPort, match="Other programs hold the ports"):
                    here.open()

    asyncio.run(play())


def test_a_lease_that_was_used_stays_while_somebody_is_there_and_waits_a_while_for_who_left() -> None:
    async def play() -> None:
        async with stage() as here:
            session = here.open()
            _, writer = await here.talk(session)
            here.passes(3600)
            assert session.connections == 1
            writer.close()
            await until(lambda: session.connections == 0, "the client has left")
            here.passes(59)
            _, writer = await here.talk(session)  # who lost the network comes back by the same file
            here.passes(3600)
            writer.close()
            await until(lambda: session.connections == 0, "the client has left")
            here.passes(59)
            silent, waits = await here.connect(session), await here.connect(session)  # they say nothing: that is no use
            silent[1].close()
            await until(lambda: session.connections == 1, "one of them has left")
            here.passes(1)
            assert not waits[0].at_eof()
            assert (session.reason, session.by) == ("Nobody was connected for 60 seconds.", "user")
            assert not listens(session.port)

    asyncio.run(play())


def test_the_longest_time_cuts_who_is_there() -> None:
    async def play() -> None:
        async with stage() as here:
            session = here.open(longest=600)
            reader, _ = await here.talk(session)
            here.passes(600)
            assert session.by == "limit"
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(1), 1)
            assert not listens(session.port)

    asyncio.run(play())


def test_the_sweep_runs_by_itself() -> None:
    async def play() -> None:
        async with stage() as here:
            session = here.open(seconds=1)
            _, writer = await here.talk(session)
            writer.close()
            await until(lambda: session.connections == 0, "the client has left")
            here.clock.at += 1
            running = asyncio.create_task(here.ports.run())
            await until(lambda: bool(session.closed_at), "swept")
            running.cancel()

    asyncio.run(play())


async def scanned(here: Stage) -> set[int]:
    """The ports of the range that answer."""
    found = await asyncio.to_thread(lambda: {port for port in here.ports.range if listens(port)})
    await until(lambda: all(not each.connections or each.used_at for each in here.registry.live()), "they are gone")
    return found


async def first_byte(port: int, source: str) -> bytes:
    """What the port leads to answers to an "e"."""
    reader, writer = await asyncio.open_connection("127.0.0.77", port, local_addr=(source, 0))
    try:
        writer.write(b"e")
        if not (said := await asyncio.wait_for(reader.read(1), 5)):
            raise ConnectionError
        return said
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


class Elsewhere:
    """A desktop at 127.0.0.9 that says 9."""

    def __init__(self, port: int) -> None:
        self.open = [socket.create_server(("127.0.0.9", port))]
        self.open[0].setblocking(False)

    def __enter__(self) -> None:
        asyncio.get_running_loop().add_reader(self.open[0], self._accept)

    def _accept(self) -> None:
        client, _ = self.open[0].accept()
        client.sendall(b"9")
        client.shutdown(socket.SHUT_WR)
        self.open.append(client)

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self.open[0])
        for each in self.open:
            each.close()
