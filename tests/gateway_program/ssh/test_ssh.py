"""A real SSH server through the gateway: who gets in, what passes, and what ends it."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import WSMsgType

from gateways.program.ssh.serve import serve
from tests.gateway_program.ssh.servers import BY_QUESTIONS, needed, ssh_server
from tests.gateway_program.stage import HERE, PATIENCE, Page, in_loop, stage, until
from tests.ports import free_port

pytestmark = pytest.mark.slow


async def see(page: Page, text: str) -> str:
    """Read until the terminal has shown this; all that it has shown since the last time."""
    shown = bytearray()
    async with asyncio.timeout(PATIENCE):
        while text.encode() not in shown:
            message = await page.socket.receive()
            assert message.type == WSMsgType.BINARY, (message, bytes(shown))
            shown += message.data
    return shown.decode(errors="replace")


async def type_(page: Page, text: str) -> None:
    await page.socket.send_bytes(text.encode())


@in_loop
async def test_the_injected_password_opens_a_shell_that_follows_the_terminals_size(tmp_path: Path) -> None:
    needed()
    with ssh_server(tmp_path) as server:
        async with stage(tmp_path, "ssh", serve) as here:
            login = {"port": server.port, "login": server.user, "password": server.password, "pin": server.key}
            session, token = here.open(**login)
            page = await here.page(token, columns=101, rows=33)
            assert page.answer == {"ok": True} and session.opening.password == ""
            assert session.certificate == server.key
            await type_(page, "stty size; id -un\r")
            assert server.user in await see(page, f"33 101\r\n{server.user}")
            await page.socket.send_json({"resize": [90, 20]})
            await type_(page, "stty size; echo t$((20+3))\r")
            assert "20 90" in await see(page, "t23")
            assert server.password not in str(session)
            await type_(page, "exit\r")
            await page.closed()
            assert (session.reason, session.by) == ("The shell on the desktop has ended.", "desktop")
            assert session.bytes_in > 20 and session.bytes_out > 20


@in_loop
async def test_without_a_password_the_terminal_asks_and_a_wrong_one_is_asked_again(tmp_path: Path) -> None:
    needed()
    with ssh_server(tmp_path) as server:
        async with stage(tmp_path, "ssh", serve) as here:
            session, token = here.open(port=server.port)
            page = await here.page(token)
            await see(page, "Login: ")
            await type_(page, f"wrong\x15{server.user[:-1]}yz\x7f\x7f{server.user[-1]}\r")
            await see(page, "Password: ")
            await type_(page, "not this\r")
            shown = await see(page, "Password: ")
            assert "not this" not in shown
            await type_(page, f"{server.password}\rid -un\r")  # what is typed ahead is not lost
            await see(page, f"{server.user}\r\n")
            assert session.certificate == server.key  # first use: it is told
            await page.socket.close()
            await until(lambda: session.closed_at > 0, "the session ends")
            assert session.by == "user"
            await until(lambda: not server.runs(), "nothing is left of it on the desktop")


@in_loop
async def test_a_server_that_asks_questions_gets_the_password_and_else_the_person_is_asked(tmp_path: Path) -> None:
    needed()
    with ssh_server(tmp_path, BY_QUESTIONS) as server:
        async with stage(tmp_path, "ssh", serve) as here:
            _session, token = here.open(port=server.port, login=server.user, password=server.password)
            page = await here.page(token)
            await type_(page, "id -un\r")
            await see(page, f"{server.user}\r\n")
            _session, token = here.open(port=server.port, login=server.user, password="wrong")
            page = await here.page(token)
            assert "not accepted here" in await see(page, "Password: ")
            await type_(page, f"{server.password}\r")
            await type_(page, "id -un\r")
            await see(page, f"{server.user}\r\n")


@in_loop
async def test_another_host_key_ends_it_before_anything_is_said(tmp_path: Path) -> None:
    needed()
    with ssh_server(tmp_path) as server:
        async with stage(tmp_path, "ssh", serve) as here:
            login = {"port": server.port, "login": server.user, "password": server.password}
            session, token = here.open(**login, pin="0" * 64)
            page = await here.page(token)
            assert "host key of the desktop is not the one that is known" in page.answer["error"]
            assert server.key in page.answer["error"]
            assert session.certificate == server.key and session.by == "desktop"
            assert server.user not in (tmp_path / "sshd.log").read_text()


@in_loop
async def test_wrong_passwords_a_host_that_is_down_and_a_stranger_are_told_in_words(tmp_path: Path) -> None:
    needed()
    async with stage(tmp_path, "ssh", serve) as here:
        with ssh_server(tmp_path) as server:
            session, token = here.open(port=server.port, login=server.user)
            page = await here.page(token)
            while not session.closed_at:
                message = await page.socket.receive(PATIENCE)
                if message.type == WSMsgType.BINARY and b"Password: " in message.data:
                    await type_(page, "wrong\r")
            assert session.reason in ("The desktop does not accept the name or the password.",) or (
                "Too many authentication failures" in session.reason
            )
        _session, token = here.open(port=free_port(), login="somebody")
        assert "does not answer on port" in (await here.page(token)).answer["error"]

        async def other(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"\0\1garbage" * 9000)
            writer.close()

        async with await asyncio.start_server(other, HERE, 0) as stranger:
            _session, token = here.open(port=stranger.sockets[0].getsockname()[1], login="somebody")
            assert "broke off" in (await here.page(token)).answer["error"]


@in_loop
async def test_a_terminal_that_is_flooded_and_read_by_nobody_ends_within_a_second(tmp_path: Path) -> None:
    needed()
    with ssh_server(tmp_path) as server:
        async with stage(tmp_path, "ssh", serve) as here:
            session, token = here.open(port=server.port, login=server.user, password=server.password)
            page = await here.page(token)
            await type_(page, "yes\r")
            await until(lambda: session.bytes_out > 1 << 20, "it floods")
            before = -1
            while before != session.bytes_out:  # until the page's silence has reached the server
                before = session.bytes_out
                await asyncio.sleep(0.3)
            assert session.bytes_out < 64 << 20
            session.close("The administrator ended it.", "broker", here.world.clock())
            await until(lambda: session.connections == 0, "it is over", seconds=1)
            await until(lambda: not server.runs(), "nothing is left of it on the desktop")


@in_loop
async def test_a_page_that_speaks_garbage_is_shown_the_door(tmp_path: Path) -> None:
    needed()
    with ssh_server(tmp_path) as server:
        async with stage(tmp_path, "ssh", serve) as here:
            for words in ("garbage", "[]", "{", '{"resize": 5}', '{"resize": ["x", 2]}', '{"resize": [-5, 99999]}'):
                session, token = here.open(port=server.port, login=server.user, password=server.password)
                page = await here.page(token, columns="many", rows=-3)
                assert "ok" in page.answer
                await page.socket.send_str(words)
                await type_(page, "echo t$((20+3)); exit\r")
                await page.closed()
                await until(lambda session=session: session.closed_at > 0, "it ends")  # type: ignore[misc]
                assert session.by == ("desktop" if "resize" in words else "user")
