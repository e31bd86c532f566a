"""The servers that other tests stand on: they come up, a plain client gets in, what is painted is there."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.gateway_program import rdp_servers
from tests.gateway_program.painter import many_sizes
from tests.gateway_program.rdp_servers import SETTLED, Server

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("backend", ["Xorg", "Xvnc"])
def test_a_person_signs_in_to_xrdp_and_something_is_painted_there(tmp_path: Path, backend: rdp_servers.Backend) -> None:
    rdp_servers.need()
    with rdp_servers.xrdp(tmp_path, backend) as server:
        server.desktop.sign_in()
        painted(server)


def test_the_shadow_server_shows_a_screen_that_can_be_painted_on(tmp_path: Path) -> None:
    rdp_servers.need()
    with rdp_servers.shadow(tmp_path) as server:
        painted(server)
        login = [f"/v:127.0.0.1:{server.port}", f"/u:{server.user}", "/cert:ignore", "+auth-only"]
        for password, answer in ((server.password, 0), ("wrong", 1)):
            there = {**os.environ, "DISPLAY": server.shared}
            tried = subprocess.run(
                ["xfreerdp", *login, f"/p:{password}"], env=there, capture_output=True, timeout=SETTLED
            )
            assert bool(tried.returncode) == bool(answer), tried.stdout


def painted(server: Server) -> None:
    with server.painter() as painter:
        sizes = many_sizes(painter.width, painter.height)
        assert {each.width % 4 for each in sizes} == {0, 1, 2, 3}
        for each in sizes:
            painter.stripes(each)
