"""What the administrator may say, and what is said back."""

import subprocess
import sys
from pathlib import Path

import pytest

from broker.settings import BASE_DIR
from gateways.program.registry import Limits
from gateways.program.settings import FLAGS, BadSettings, load

BROKER = ["--broker", "https://broker.example.com"]


def test_the_usual_settings_are_those_of_the_texts() -> None:
    made = load(BROKER)
    assert (made.host, made.port, made.first_port, made.last_port) == ("0.0.0.0", 443, 20001, 30000)
    assert (made.data, made.drain_seconds, made.limits) == (Path("/var/lib/usher-gateway"), 300, Limits())


def test_the_environment_says_what_the_command_line_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_GATEWAY_BROKER", "http://10.0.0.2:8000/")
    monkeypatch.setenv("USHER_GATEWAY_PORTS", "20001-20100")
    monkeypatch.setenv("USHER_GATEWAY_DRAIN_SECONDS", "5")
    made = load(["--drain-seconds", "7"])
    assert (made.broker, made.last_port, made.drain_seconds) == ("http://10.0.0.2:8000", 20100, 7)


def test_addresses_may_be_of_either_kind() -> None:
    made = load([*BROKER, "--listen", "[::]:8443", "--metrics-from", "10.0.0.0/8, 2001:db8::/32"])
    assert (made.host, made.port, len(made.metrics_from)) == ("::", 8443, 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--broker", ""],
        ["--broker", "broker.example.com"],
        ["--broker", "ftp://broker.example.com"],
        ["--broker", "https://broker.example.com/path"],
        ["--broker", "https://user@broker.example.com"],
        ["--broker", "https://broker.example.com:port"],
        ["--broker", "https://"],
        [*BROKER, "--broker-sha256", "abc"],
        [*BROKER, "--listen", "443"],
        [*BROKER, "--listen", "::443"],
        [*BROKER, "--listen", "0.0.0.0:99999"],
        [*BROKER, "--ports", "30000-20001"],
        [*BROKER, "--ports", "0-10"],
        [*BROKER, "--ports", "a-b"],
        [*BROKER, "--cert", "a.pem"],
        [*BROKER, "--drain-seconds", "-1"],
        [*BROKER, "--sessions", "0"],
        [*BROKER, "--metrics-from", "10.0.0.1/8"],
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(arguments: list[str]) -> None:
    with pytest.raises(BadSettings, match=arguments[-2]):
        load(arguments)


@pytest.mark.slow
def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateways.program", "--broker", "nonsense", "--data", str(tmp_path)]
    done = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("usher-gateway: --broker must be an address")


@pytest.mark.slow
def test_a_port_in_use_and_a_damaged_state_are_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "gateway.json").write_text("{")
    command = [sys.executable, "-m", "gateways.program", *BROKER, "--data", str(tmp_path), "--listen", "127.0.0.1:0"]
    done = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "gateway.json is damaged" in done.stderr


def test_every_setting_is_in_the_administrators_text() -> None:
    text = (BASE_DIR / "docs" / "gateway.md").read_text()
    assert [name for name in FLAGS if f"`--{name}`" not in text] == []
