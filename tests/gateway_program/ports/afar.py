"""Forwarded ports in a network of their own with BBR: `unshare -n python -m tests.gateway_program.ports.afar`.

It prints which congestion control both legs of a connection have, client's and desktop's: both near, the client afar,
the desktop afar. AFAR is this machine, too: what is sent there goes out by a tunnel, takes its time, and comes back.
"""

import asyncio
import fcntl
import json
import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from gateways.program.ports import pacing
from gateways.program.ports.splice import SpliceLink
from tests.gateway_program.ports.stage import HOME, Stage, stage

HERE, AFAR = "10.9.0.1", "10.9.0.2"  # of a private network, as those of a VPN are
DELAY = 0.02  # seconds, each way
TUNSETIFF, TUN_WITHOUT_HEADS = 0x400454CA, 0x1001  # linux/if_tun.h: IFF_TUN | IFF_NO_PI
SOURCE, TARGET = slice(12, 16), slice(16, 20)  # in an IPv4 packet
ALL = "0.0.0.0"  # noqa: S104 - of a network that nobody else is in


def prepare() -> None:
    """This process's network: the loopback, BBR, and the way to AFAR."""
    Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("bbr", encoding="ascii")
    tunnel = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH22x", b"afar", TUN_WITHOUT_HEADS))
    for words in ("link set lo up", f"addr add {HERE}/24 dev afar", "link set afar up"):
        subprocess.run(["ip", *words.split()], check=True)
    threading.Thread(target=reflect, args=[tunnel], daemon=True).start()


def reflect(tunnel: int) -> None:
    """Each packet comes back from where it went to, later. What is sent in that time waits with it, so it takes one
    thread; the checksums do not mind that the addresses change places."""
    while True:
        packet = bytearray(os.read(tunnel, 65_536))
        packet[SOURCE], packet[TARGET] = packet[TARGET], packet[SOURCE]
        time.sleep(DELAY)
        if packet[0] >> 4 == 4:
            os.write(tunnel, packet)


async def controls(here: Stage, gateway: str, desktop: str) -> tuple[str, str]:
    """Who connects to the one address is led to the other, and both talk."""
    session = here.open(host=desktop)
    reader, writer = await asyncio.open_connection(gateway, session.port)
    here.writers.append(writer)
    writer.write(b"hello")
    assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"
    ((connection,),) = [each.connections for each in here.ports.leases if each.session is session]
    assert isinstance(connection.link, SpliceLink)
    client, dialled = (pacing.control(each).decode() for each in (connection.client, connection.link.desktop))
    return client, dialled


async def main() -> None:
    """All ways."""
    async with stage("splice", host=ALL) as here:
        told = [await controls(here, *each) for each in ((HOME, HOME), (AFAR, HOME), (HOME, AFAR))]
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    prepare()
    asyncio.run(main())
