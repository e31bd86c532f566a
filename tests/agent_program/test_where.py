"""Where the agent looks for its broker."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.program import where
from agents.program.settings import BadSettings, Settings
from agents.program.where import Place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("broker.example.com", Place("https", "broker.example.com", 443)),
        ("https://broker.example.com:8443/", Place("https", "broker.example.com", 8443)),
        ("[2001:db8::1]:8443", Place("https", "2001:db8::1", 8443)),
        ("http://127.0.0.1:8000", Place("http", "127.0.0.1", 8000)),
        ("http://localhost", Place("http", "localhost", 80)),
    ],
)
def test_an_address_may_be_written_as_people_do(text: str, place: Place) -> None:
    assert where.place(text) == place
    assert where.place(str(place)) == place


@pytest.mark.parametrize(
    "text", ["http://broker.example.com", "ftp://x", "https://", "x:99999", "https://a@b", "https://x/y"]
)
def test_an_address_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(BadSettings):
        where.place(text)


def test_http_over_the_network_takes_a_word_of_its_own() -> None:
    assert where.place("http://broker.example.com", True).scheme == "http"


@contextmanager
def name_server(tmp_path: Path, answer: Callable[[bytes], bytes]) -> Iterator[Path]:
    """A name server that gives one answer; what names it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            try:
                question, address = server.recvfrom(4096)
                server.sendto(answer(question), address)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        resolvers = tmp_path / "resolv.conf"
        resolvers.write_text(f"search x\nnameserver 127.0.0.1#{server.getsockname()[1]}\n")
        yield resolvers


def srv(question: bytes, *records: tuple[int, int, bytes]) -> bytes:
    """An answer; names end in a pointer to the question's domain."""
    body = b""
    for priority, port, label in records:
        data = struct.pack(">3H", priority, 0, port) + bytes([len(label)]) + label + b"\xc0\x18"
        body += b"\xc0\x0c" + struct.pack(">2HIH", 33, 1, 60, len(data)) + data
    return question[:2] + b"\x81\x80\x00\x01" + struct.pack(">3H", len(records), 0, 0) + question[12:] + body


def test_srv_records_are_followed_by_priority(tmp_path: Path) -> None:
    def answer(question: bytes) -> bytes:
        return srv(question, (20, 8443, b"second"), (10, 443, b"first"))

    with name_server(tmp_path, answer) as resolvers:
        found = where.by_srv("_usher._tcp.example.com", resolvers)
    assert [str(each) for each in found] == ["https://first.example.com:443", "https://second.example.com:8443"]


GARBAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda question: b"",
    "another number": lambda question: b"\0\0" + question[2:],
    "another question": lambda question: question[:12] + b"\x01x" + question[14:],
    "cut off": lambda question: srv(question, (1, 2, b"x"))[:-8],
    "a loop": lambda question: question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question[12:] + b"\xc0\x3a" * 20,
    "no such name": lambda question: question[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + question[12:],
}


@pytest.mark.parametrize("what", GARBAGE)
def test_a_name_server_without_a_good_answer_leaves_the_plain_name(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with name_server(tmp_path, GARBAGE[what]) as resolvers:
        assert where.by_srv("_usher._tcp.example.com", resolvers, timeout=0.3) == []
    monkeypatch.setattr(where, "RESOLVERS", tmp_path / "none")
    monkeypatch.setattr(where, "by_srv", lambda name: [])
    assert where.places(Settings(dns="example.com.")) == [Place("https", "usher.example.com", 443)]


def test_without_a_ca_that_we_know_dns_leads_nowhere_outside_its_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = Place("https", "a.Example.com", 443), Place("https", "evilexample.com", 443)
    monkeypatch.setattr(where, "by_srv", lambda name: [outside, inside])
    assert where.places(Settings(dns="example.com")) == [inside]
    for known in (Settings(dns="example.com", ca="ca.pem"), Settings(dns="example.com", token=f"t.{'ab' * 32}")):
        assert where.places(known) == [outside, inside]
