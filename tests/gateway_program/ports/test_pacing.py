"""Which congestion control forwarded connections have: BBR only from afar."""

import socket
from pathlib import Path

import pytest

from gateways.program.ports import pacing

KERNEL = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
AVAILABLE = KERNEL.read_text(encoding="ascii").split() if KERNEL.exists() else []


def listener(control: bytes) -> socket.socket:
    door = socket.create_server(("127.0.0.1", 0))
    door.setsockopt(socket.IPPROTO_TCP, pacing.OPTION, control)
    return door


@pytest.mark.skipif("bbr" not in AVAILABLE, reason="this kernel has no BBR")
@pytest.mark.parametrize(("address", "paced"), [("127.0.0.1", False), ("10.1.2.3", False), ("8.8.8.8", True)])
def test_who_comes_from_afar_is_given_bbr_back(address: str, paced: bool) -> None:
    with listener(b"bbr") as door:
        lost = pacing.unpaced(door)
        assert (lost, pacing.control(door) in pacing.USUAL) == (b"bbr", True)
        with socket.create_connection(door.getsockname()) as _, door.accept()[0] as client:
            assert pacing.control(client) in pacing.USUAL
            pacing.give_back(client, lost, address)
            assert (pacing.control(client) == b"bbr") is paced


def test_a_machine_that_is_not_set_to_bbr_keeps_what_it_has() -> None:
    with listener(b"reno") as door:
        assert (pacing.unpaced(door), pacing.control(door)) == (b"", b"reno")


@pytest.mark.parametrize(
    ("address", "expected"),
    [("192.168.1.9", True), ("fd12::1", True), ("::1", True), ("2001:4860::8888", False), ("desktop-7", False)],
)
def test_near_is_this_machine_and_private_networks(address: str, expected: bool) -> None:
    assert pacing.near(address) is expected
