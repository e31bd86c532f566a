"""One call of a URL: it ends in time, leaves nothing behind, and raises one kind of error (docs/call-outs.md)."""

import socket
import ssl
import threading
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from broker.connect import web_call
from broker.connect.web_call import NoGoodAnswer
from tests.connect.listener import Listener
from tests.gateways.conftest import tls

__all__ = ["tls"]

BAD = [
    ("http://[::1/", "no web address"),
    ("https://", "no host name"),
    ("http:///x", "no host name"),
    ("http://:80/x", "no host name"),
    ("http://x.example:abc/", "port"),
    ("http://x.example:99999/", "port"),
    ("http://x.example:0/", "port"),
    ("https://x.example/\u00e4", "ASCII"),
    ("http://m\u00fcller.example/", "ASCII"),
    ("http://x.example/a\nb", "ASCII"),
    ("http://x\t.example/", "ASCII"),
    ("https://bot:s3cret@x.example/", "user name or password"),
    ("https://x.example\\@127.0.0.1/", "user name or password"),
    ("https://{USER}.example/", "host name"),
    ("https://x.example/a b", "without spaces"),
]


def call(url: str, timeout: float = 5) -> int:
    return web_call.status(url, timeout)


def at(listener: Listener) -> str:
    return f"http://127.0.0.1:{listener.server_port}/"


def known(monkeypatch: pytest.MonkeyPatch, name: str, *addresses: str) -> None:
    """What the name server says of a host."""
    real = socket.getaddrinfo

    def found(host: str, port: int, *rest: Any, **more: Any) -> Any:
        return sum((real(each, port, *rest, **more) for each in (addresses if host == name else [host])), [])

    monkeypatch.setattr(socket, "getaddrinfo", found)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(("url", "why"), BAD)
def test_no_stored_url_raises_anything_else_or_shows_its_password(url: str, why: str) -> None:
    with pytest.raises(NoGoodAnswer, match=why) as raised:
        call(url)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("host", ["a..b", "x" * 64, ".", "%"])
def test_a_host_that_no_name_server_could_know_is_no_good_answer_either(host: str) -> None:
    with pytest.raises(NoGoodAnswer):
        call(f"https://{host}/")


def test_all_addresses_and_the_answer_share_one_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tried = [0.0], []

    def mute(where: tuple[str, int], timeout: float) -> Any:
        tried.append(where[0])
        clock[0] += timeout
        raise TimeoutError("timed out")

    found = [(2, 1, 6, "", (f"10.0.0.{n}", 80)) for n in range(1, 5)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket, "create_connection", mute)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with pytest.raises(NoGoodAnswer, match="timed out after 30 s"):
        call("http://x.example/", 30)
    assert len(tried) == 4
    assert clock[0] == pytest.approx(30)


def test_what_connecting_took_is_no_longer_there_for_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.create_connection
    with socket.create_server(("127.0.0.1", 0)) as mute:
        # Connecting "takes" 29 of the 30 seconds.
        moved = [0.0]
        clock = time.monotonic

        def slow(*args: Any) -> socket.socket:
            moved[0] = 29.0
            return real(*args)

        monkeypatch.setattr(socket, "create_connection", slow)
        monkeypatch.setattr(time, "monotonic", lambda: clock() + moved[0])
        began = clock()
        with pytest.raises(NoGoodAnswer, match="timed out"):
            call(f"http://127.0.0.1:{mute.getsockname()[1]}/", 30)
    assert clock() - began < 10


def test_the_next_address_is_tried_where_the_first_does_not_answer(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, "two.test", "127.0.0.2", "127.0.0.1")
    assert call(f"http://two.test:{listener.server_port}/") == 200


def test_a_call_leaves_no_thread_and_no_descriptor_behind(listener: Listener) -> None:
    call(at(listener))
    before, handles = set(threading.enumerate()), descriptors()
    for _ in range(20):
        call(at(listener), 30)
    listener.answer = 0
    with pytest.raises(NoGoodAnswer):
        call(at(listener), 30)
    assert set(threading.enumerate()) <= before
    assert descriptors() <= handles


def test_a_proxy_of_the_environment_is_not_used(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a module that is loaded anew: what there is of proxies may be read when it is."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, at(listener))
    spec = spec_from_file_location("loaded_anew", web_call.__file__)
    assert spec
    assert spec.loader
    anew = module_from_spec(spec)
    spec.loader.exec_module(anew)
    with pytest.raises(anew.NoGoodAnswer, match="link-local"):
        anew.status("http://169.254.169.254/latest/meta-data/", 5)
    assert listener.asked == []


def test_a_fragment_stays_here_and_a_query_needs_no_path(listener: Listener) -> None:
    call(f"http://127.0.0.1:{listener.server_port}?u=a@b#part")
    assert listener.asked == ["/?u=a@b"]


def test_https_is_called_where_the_certificate_is_trusted_and_for_the_host(
    listener: Listener, tls: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[0].with_name("ca.pem")))
    known(monkeypatch, "other.test", "127.0.0.1")
    assert call(f"https://127.0.0.1:{listener.server_port}/safe") == 200
    with pytest.raises(NoGoodAnswer, match="doesn't match|not valid for"):
        call(f"https://other.test:{listener.server_port}/")
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(NoGoodAnswer, match="CERTIFICATE_VERIFY_FAILED"):
        call(f"https://127.0.0.1:{listener.server_port}/")
    assert listener.asked == ["/safe"]
