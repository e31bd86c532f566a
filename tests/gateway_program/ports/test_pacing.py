"""Which congestion control forwarded connections have: BBR only on long ways, whatever the addresses."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateways.program.ports import pacing
from tests.parts import missing

KERNEL = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
AVAILABLE = KERNEL.read_text(encoding="ascii").split() if KERNEL.exists() else []
ALONE = ["unshare", "-n"]


def listener(control: bytes) -> socket.socket:
    door = socket.create_server(("127.0.0.1", 0))
    door.setsockopt(socket.IPPROTO_TCP, pacing.OPTION, control)
    return door


def need_a_network() -> None:
    """Skip where none of our own is to be had."""
    if "bbr" not in AVAILABLE:
        pytest.skip("This kernel has no BBR.")
    if missing(["unshare", "ip"]) or not os.access("/dev/net/tun", os.W_OK):
        pytest.skip("unshare, ip or /dev/net/tun is not there.")
    if subprocess.run([*ALONE, "true"], capture_output=True).returncode:
        pytest.skip("We may not have a network of our own here: that takes root.")


def test_only_the_leg_that_is_long_has_bbr() -> None:
    need_a_network()
    ours = [sys.executable, "-m", "tests.gateway_program.ports.afar"]
    done = subprocess.run([*ALONE, *ours], capture_output=True, timeout=60, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["cubic", "cubic"], ["bbr", "cubic"], ["cubic", "bbr"]]


@pytest.mark.skipif("bbr" not in AVAILABLE, reason="this kernel has no BBR")
@pytest.mark.parametrize(("near", "paced"), [(pacing.NEAR, False), (0, True)])
def test_bbr_is_taken_before_the_handshake_and_given_back_where_that_took_long(
    near: int, paced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "NEAR", near)
    with listener(b"bbr") as door:
        lost = pacing.unpaced(door)
        assert (lost, pacing.control(door) in pacing.USUAL) == (b"bbr", True)
        with socket.create_connection(door.getsockname()) as _, door.accept()[0] as client:
            assert pacing.control(client) in pacing.USUAL
            pacing.give_back(client, lost)
            assert (pacing.control(client) == b"bbr") is paced


def test_a_machine_that_is_not_set_to_bbr_keeps_what_it_has() -> None:
    with listener(b"reno") as door:
        assert (pacing.unpaced(door), pacing.control(door)) == (b"", b"reno")


def test_who_has_shaken_no_hands_is_not_near() -> None:
    with socket.socket() as nobody:
        assert not pacing.near(nobody)


def test_where_there_is_no_choice_everything_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "OPTION", 0)
    with socket.create_server(("127.0.0.1", 0)) as door:
        assert (pacing.control(door), pacing.unpaced(door)) == (b"", b"")
        with socket.create_connection(door.getsockname()) as client:
            pacing.give_back(client, b"")
