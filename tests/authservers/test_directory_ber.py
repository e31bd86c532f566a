"""Whatever bytes come in: a value or BadBer, and only that connection ends."""

import socket
import string
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authservers.directories.values import sid_text
from broker.demo.directory import ber, filters, names, search, seed
from broker.demo.directory.server import DirectoryServer
from tests.directory_fixtures import directory_certificates, directory_server

__all__ = ["directory_certificates", "directory_server"]

QUICK = settings(max_examples=60, deadline=None)
DOMAIN = seed.laboratory()
SEARCH = ber.tlv(
    0x30,
    ber.integer(2),
    ber.tlv(
        0x63,
        ber.octets(DOMAIN.dn),
        ber.integer(2, 10),
        ber.integer(0, 10),
        ber.integer(0),
        ber.integer(0),
        ber.tlv(1, b"\0"),
        ber.tlv(0xA0, ber.octets("cn", 0x87), ber.tlv(0xA3, ber.octets("sn"), ber.octets("x"))),
        ber.tlv(0x30, ber.octets("cn")),
    ),
)
BIND = ber.tlv(0x30, ber.integer(1), ber.tlv(0x60, ber.integer(3), ber.octets(""), ber.octets("", 0x80)))


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_are_values_or_bad(data: bytes) -> None:
    try:
        found = ber.items(data)
    except ber.BadBer:
        return
    assert sum(len(body) for _, body in found) <= len(data)


@QUICK
@given(st.lists(st.tuples(st.sampled_from([0x04, 0x30, 0x0A, 0x63, 0xA0]), st.binary(max_size=300))))
def test_what_is_written_is_read_again(values: list[tuple[int, bytes]]) -> None:
    assert ber.items(b"".join(ber.tlv(tag, body) for tag, body in values)) == values


@QUICK
@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_are_read_as_written(number: int) -> None:
    assert ber.number(ber.items(ber.integer(number))[0][1]) == number


@QUICK
@given(st.integers(0, 255), st.binary(max_size=100))
def test_any_filter_is_one_or_bad(tag: int, body: bytes) -> None:
    try:
        compiled = filters.compile_filter(DOMAIN, tag, body)
    except ber.BadBer:
        return
    for entry in DOMAIN.entries.values():
        assert compiled.test(entry) in (True, False)


@QUICK
@given(st.data())
def test_a_search_with_one_byte_changed_is_one_or_bad(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(SEARCH) - 1))
    changed = SEARCH[:at] + bytes([data.draw(st.integers(0, 255))]) + SEARCH[at + 1 :]
    try:
        request = search.parse_request(ber.items(ber.items(changed)[0][1])[1][1])
        search.search(DOMAIN, request, None, search.Pages())
    except (ber.BadBer, search.Refused, IndexError):
        return


def test_a_deep_filter_is_refused() -> None:
    body = ber.octets("cn", 0x87)
    for _ in range(2000):
        body = ber.tlv(0xA2, body)
    with pytest.raises(ber.BadBer):
        filters.compile_filter(DOMAIN, 0xA2, body)


@QUICK
@given(st.text(alphabet=string.printable + "äß,\\#+ ", min_size=1, max_size=30))
def test_a_name_survives_its_escapes(value: str) -> None:
    dn = f"CN={names.escape(value)},OU=Staff,DC=test"
    assert names.parse(dn) == (f"cn={value}".lower(), "ou=staff", "dc=test")
    assert names.first_value(dn) == value


@QUICK
@given(st.text(max_size=60))
def test_any_text_is_a_name_or_bad(value: str) -> None:
    try:
        assert all("=" in part for part in names.parse(value))
    except names.BadName:
        return


@QUICK
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=15))
def test_a_sid_is_read_as_written(numbers: list[int]) -> None:
    sid = "S-1-5-" + "-".join(map(str, numbers))
    assert sid_text(names.pack_sid(sid)) == sid


@QUICK
@given(st.binary(max_size=80))
def test_any_bytes_are_a_sid_or_empty(data: bytes) -> None:
    assert sid_text(data) == "" or sid_text(data).startswith("S-")


def test_nonsense_ends_its_own_connection_only(directory_server: DirectoryServer) -> None:
    address = ("127.0.0.1", directory_server.port)
    with socket.create_connection(address, 5) as good:
        for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"0\x84\xff\xff\xff\xff", b"\0" * 9, b"0\x03\x02\x01\x01"):
            with socket.create_connection(address, 5) as bad, suppress(ConnectionResetError):
                bad.sendall(nonsense)
                assert bad.recv(4096) == b""
        good.sendall(BIND)
        assert good.recv(4096).startswith(b"0\x0c\x02\x01\x01a")
