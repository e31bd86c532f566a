"""`python -m broker.embedded demo`, whole: started and killed."""

import json
import signal
from pathlib import Path

import psycopg
import pytest

from tests.embedded.running import Running, database, memory, processes
from tests.ports import free_port
from tests.services import wait_for

pytestmark = pytest.mark.slow


def gateway_state(demo: Running) -> tuple[str, bool]:
    """How the broker sees its gateway, and whether it has heard from it."""
    with psycopg.connect(database(demo.data)) as connection:
        state, heard = connection.execute("select state, heard_at from gateways_gateway").fetchone() or ("", None)
    return state, heard is not None


def test_the_demo_is_small_tells_how_to_use_it_and_leaves_nothing_when_killed(tmp_path: Path) -> None:
    demo = Running(tmp_path / "data", free_port(), "demo")
    try:
        assert "Ready" in demo.wait_ready()
        card = json.loads((demo.data / "demo.json").read_text())
        assert card["url"] == f"http://127.0.0.1:{demo.port}"
        assert card["agents"] == f"http://127.0.0.1:{demo.agent_port}"
        assert card["gateway"] == f"https://127.0.0.1:{demo.gateway_port}"
        wait_for(lambda: gateway_state(demo) == ("online", True), 60, "the gateway is registered and online")
        wait_for(lambda: "usher_agent_polls_held 0.0" not in demo.figures(), 60, "desktops hold polls at the endpoint")
        assert card["accounts"]["admin"] == "demo-Admin1"
        assert card["directories"]["CORP"]["port"]
        assert card["enrolment_tokens"]
        assert demo.is_alive()
        assert memory(demo.data) < 1.5e9
    finally:
        demo.end(signal.SIGKILL)
    wait_for(lambda: processes(demo.data) == {}, 10, "a killed supervisor leaves nothing running")
