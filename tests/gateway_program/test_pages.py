"""The broker's pages through the gateway: as they come, both ways, and nobody can pretend to be somebody else."""

import asyncio
import gzip
import hashlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateways.program.turns import TooMany, Turns
from gateways.wire import Call, Visit, check_forward, forwarded_by
from tests.gateway_program.running import Program
from tests.gateway_program.scripted import Request, Scripted
from tests.gateway_program.world import UID
from tests.services import wait_for


def echo(request: Request) -> None:
    """Tell what has come."""
    body = request.body()
    told = {
        "method": request.command,
        "path": request.path,
        "headers": list(request.headers.items()),
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    request.say_json(told)


def came(program: Program, path: str = "/", **headers: str) -> dict[str, str]:
    """The headers that reach the broker, names in lower case."""
    program.broker.page = echo
    told = program.ask("GET", path, headers={name.replace("__", "-"): value for name, value in headers.items()}).told
    return {name.lower(): value for name, value in told["headers"]}


def test_the_broker_learns_gateway_and_client_from_a_signature(program: Program) -> None:
    header = came(program, "/desktops/?a=1&b=%20")["x-usher-gateway"]
    assert forwarded_by(header) == UID
    key = program.broker.gateway_key
    assert key is not None
    visit = Visit("127.0.0.1", f"127.0.0.1:{program.port}")
    assert check_forward(header, key, Call("GET", "/desktops/?a=1&b=%20"), at=time.time()) == visit


@pytest.mark.slow
@pytest.mark.skipif(not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists(), reason="no IPv6 here")
def test_an_ipv4_client_has_an_ipv4_address_also_where_both_are_served(tmp_path: Path) -> None:
    broker = Scripted()
    broker.start()
    both = Program(broker, tmp_path / "gateway", host="::")
    try:
        both.register()
        assert broker.gateway_key is not None
        header = came(both)["x-usher-gateway"]
        assert check_forward(header, broker.gateway_key, Call("GET", "/"), at=time.time()).client == "127.0.0.1"
    finally:
        both.kill()
        broker.stop()


def test_the_broker_is_asked_as_itself_and_told_what_the_browser_asked_for(program: Program) -> None:
    headers = came(program, Host="desk.example.test:8443")
    assert headers["host"] == f"127.0.0.1:{program.broker.port}"
    assert (headers["x-forwarded-host"], headers["x-forwarded-proto"]) == ("desk.example.test:8443", "https")


def test_a_client_cannot_say_who_it_is(program: Program) -> None:
    names = "X-Usher-Gateway X-Usher-Other X-Forwarded-For X-Forwarded-Port Forwarded X-Real-IP X_Forwarded_For Via"
    lies = {name.replace("-", "__"): "198.51.100.66" for name in names.split()}
    assert "198.51.100.66" not in json.dumps(came(program, **lies))


def test_what_is_about_one_connection_stays_there(program: Program) -> None:
    headers = came(program, Connection="close, X-Secret-Hop", X__Secret__Hop="1", TE="trailers", Keep__Alive="5")
    assert not {"x-secret-hop", "te", "keep-alive", "upgrade", "proxy-connection"} & set(headers)


def test_htmx_and_everything_else_passes(program: Program) -> None:
    headers = came(
        program, HX__Request="true", HX__Current__URL="https://a/b", Cookie="a=1; b=2", Accept__Language="de"
    )
    assert (headers["hx-request"], headers["hx-current-url"]) == ("true", "https://a/b")
    assert (headers["cookie"], headers["accept-language"]) == ("a=1; b=2", "de")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_method_path_and_body_arrive_as_they_were_sent(program: Program, method: str) -> None:
    program.broker.page = echo
    body = secrets.token_bytes(300_000) if method in ("POST", "PUT") else None
    path = "/a%2Fb/../c//d;e?x=%C3%A4&y=+&z"
    told = program.ask(method, path, body).told
    assert (told["method"], told["path"], told["size"]) == (method, path, len(body or b""))
    assert told["sha256"] == hashlib.sha256(body or b"").hexdigest()


def test_a_compressed_or_empty_body_arrives_as_it_was_sent(program: Program) -> None:
    program.broker.page = echo
    packed = gzip.compress(b"x" * 100_000)
    told = program.ask("POST", "/", packed, {"Content-Encoding": "gzip"}).told
    assert told["sha256"] == hashlib.sha256(packed).hexdigest()
    assert program.ask("POST", "/").told["size"] == 0


def test_a_body_without_an_announced_length_arrives(program: Program) -> None:
    program.broker.page = echo
    told = program.ask("POST", "/", iter([b"a" * 70_000, b"b" * 10])).told
    assert told["size"] == 70_010


def test_an_answer_without_an_announced_length_streams(program: Program) -> None:
    """The first bytes are here before the last ones are sent."""
    go_on: list[bool] = []

    def slow(request: Request) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"5\r\nfirst\r\n")
        wait_for(lambda: bool(go_on), 15, "the client has the first bytes")
        request.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")

    program.broker.page = slow
    with program.socket() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        seen = b""
        while b"first" not in seen:
            seen += client.recv(1000)
        go_on.append(True)
        while b"0\r\n\r\n" not in seen:
            seen += client.recv(1000)
    assert b"last" in seen


def test_an_answer_that_breaks_off_is_seen_to_break_off(program: Program) -> None:
    def breaks(request: Request) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b"half")
        request.close_connection = True
        request.connection.shutdown(socket.SHUT_RDWR)

    program.broker.page = breaks
    with program.socket() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        seen = b""
        try:
            while chunk := client.recv(1000):
                seen += chunk
        except OSError:
            pass
    assert seen.endswith(b"half")


def test_statuses_cookies_and_compressed_bodies_pass(program: Program) -> None:
    def answer(request: Request) -> None:
        cookies = (("Set-Cookie", "a=1; Path=/; HttpOnly; Secure"), ("Set-Cookie", "b=2; SameSite=Lax"))
        request.say(201, b"not really gzip", ("Content-Encoding", "gzip"), ("HX-Trigger", "{}"), *cookies)

    program.broker.page = answer
    got = program.ask("GET", "/")
    assert (got.status, got.body, got.headers["Content-Encoding"]) == (201, b"not really gzip", "gzip")
    assert got.headers.get_all("Set-Cookie") == ["a=1; Path=/; HttpOnly; Secure", "b=2; SameSite=Lax"]
    assert (got.headers["HX-Trigger"], got.headers["Server"]) == ("{}", "usher-gateway")


def test_a_cookie_of_the_brokers_domain_becomes_one_of_the_gateway(program: Program) -> None:
    program.broker.page = lambda request: request.say(200, b"", ("Set-Cookie", "a=1; Domain=127.0.0.1; Path=/"))
    assert program.ask("GET", "/").headers["Set-Cookie"] == "a=1; Path=/"


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_have_none(program: Program, status: int) -> None:
    program.broker.page = lambda request: request.say(status, b"", ("ETag", '"x"'))
    got = program.ask("GET", "/")
    assert (got.status, got.body, got.headers["ETag"]) == (status, b"", '"x"')


def test_head_is_answered_with_the_length_and_nothing_else(program: Program) -> None:
    program.broker.page = lambda request: request.say(200, b"12345")
    got = program.ask("HEAD", "/")
    assert (got.status, got.headers["Content-Length"], got.body) == (200, "5", b"")


def redirect(header: str, told: str) -> Callable[[Request], None]:
    """A page that sends the browser elsewhere."""
    return lambda request: request.say(303, b"", (header, told))


@pytest.mark.parametrize("header", ["Location", "HX-Redirect", "HX-Location", "HX-Push-Url"])
def test_addresses_at_the_broker_become_addresses_at_the_gateway(program: Program, header: str) -> None:
    broker = program.broker
    places = {
        f"{broker.url}/desktops/?a=1": "https://desk.example.test/desktops/?a=1",
        f"https://127.0.0.1:{broker.port}": "https://desk.example.test",
        "/desktops/": "/desktops/",
        "https://idp.example.test/saml?next=" + broker.url: "https://idp.example.test/saml?next=" + broker.url,
        f"http://127.0.0.1:{broker.port}.evil.test/": f"http://127.0.0.1:{broker.port}.evil.test/",
    }
    for told, seen in places.items():
        broker.page = redirect(header, told)
        assert program.ask("GET", "/", headers={"Host": "desk.example.test"}).headers[header] == seen


@pytest.mark.parametrize("path", ["/agent/v1/register", "/gateway/v1/key", "/control/v1/x", "/viewer/x", "/app/x"])
def test_what_is_no_page_is_not_passed_on(program: Program, path: str) -> None:
    program.broker.page = echo
    assert program.ask("GET", path).status == 404
    assert program.ask("POST", path, b"{}").status == 404


def test_a_websocket_is_not_passed_on(program: Program) -> None:
    program.broker.page = echo
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    assert program.ask("GET", "/ws", headers=headers).status == 400


@pytest.mark.parametrize("target", ["http://evil.test/", "*", "/#x", "evil.test:80"])
def test_an_odd_target_reaches_nobody(program: Program, target: str) -> None:
    reached: list[str] = []
    program.broker.page = lambda request: reached.append(request.path)
    with program.socket() as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        answer = client.recv(1000)
    assert answer[9:12] in (b"400", b"404")
    assert b"aiohttp" not in answer
    assert reached == []


def test_too_large_a_body_is_refused_before_it_is_read(program: Program) -> None:
    program.broker.page = echo
    with program.socket() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 413")


def test_too_large_a_body_without_an_announced_length_is_cut_off(program: Program) -> None:
    program.broker.page = echo
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with program.socket() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(70):
                client.sendall(chunk)
        except OSError:
            return  # cut off while sending: the answer may be lost with it
        assert client.recv(1000).startswith(b"HTTP/1.1 413")


@pytest.mark.slow
def test_while_the_broker_is_away_a_person_can_read_so(fresh: tuple[Scripted, Program]) -> None:
    broker, program = fresh
    assert program.ask("GET", "/").body == b"a page"
    broker.stop()
    answer = program.ask("GET", "/")
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Retry-After"]) == (
        502, "text/html; charset=utf-8", "5",
    )  # fmt: skip
    assert b"The broker is away" in answer.body
    assert str(broker.port).encode() not in answer.body
    assert program.ask("GET", "/app/system/ping").body == b"ok"
    broker.start()
    wait_for(lambda: program.ask("GET", "/").status == 200, 20, "pages again")


@pytest.mark.slow
def test_before_the_broker_was_ever_there_a_person_can_read_so(tmp_path: Path) -> None:
    broker = Scripted()
    broker.start()
    broker.stop()
    program = Program(broker, tmp_path / "gateway")
    try:
        assert program.ask("GET", "/").status == 502
    finally:
        program.kill()


@pytest.mark.slow
def test_a_broker_that_speaks_no_http_is_away(tmp_path: Path, fresh: tuple[Scripted, Program]) -> None:
    broker, program = fresh

    def garbage(request: Request) -> None:
        request.wfile.write(b"\x00\x01garbage\r\n\r\n")
        request.close_connection = True

    broker.page = garbage
    assert program.ask("GET", "/").status == 502


def test_of_one_address_more_than_enough_requests_wait_for_their_turn(program: Program) -> None:
    go_on, there = threading.Event(), threading.Semaphore(0)

    def held(request: Request) -> None:
        there.release()
        go_on.wait(15)
        request.say(200, b"")

    program.broker.page = held
    clients = [program.socket() for _ in range(70)]
    try:
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert all(there.acquire(timeout=10) for _ in range(64))
        assert not there.acquire(timeout=0.3)
        go_on.set()
        assert all(client.recv(100).startswith(b"HTTP/1.1 200") for client in clients)
    finally:
        go_on.set()
        for client in clients:
            client.close()


def test_who_finds_no_turn_in_time_or_no_room_to_wait_is_sent_away() -> None:
    turns = Turns(at_a_time=1, waiting=1, patience=0.05)

    async def take(address: str) -> str:
        try:
            async with turns.of(address):
                await asyncio.sleep(0.2)
                return "had a turn"
        except TooMany:
            return "too many"

    async def story() -> list[str]:
        return await asyncio.gather(*(take(address) for address in ("a", "a", "a", "b")))

    assert asyncio.run(story()) == ["had a turn", "too many", "too many", "had a turn"]
    assert len(turns) == 0


def test_of_many_who_wait_from_many_addresses_the_oldest_is_sent_away() -> None:
    turns, ends = Turns(at_a_time=1, waiting=10, patience=60, in_line=2), list[str]()

    async def take(name: str) -> None:
        try:
            async with turns.of(name[0]):
                await asyncio.sleep(0.2)
                ends.append(name)
        except TooMany:
            ends.append(f"{name} is sent away")

    async def story() -> None:
        await asyncio.gather(*(take(name) for name in ("a1", "b1", "a2", "b2", "a3", "b3")))

    asyncio.run(story())
    assert ends[:2] == ["a2 is sent away", "b2 is sent away"]
    assert set(ends[2:]) == {"a1", "b1", "a3", "b3"}
