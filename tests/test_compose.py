"""No container engine takes part in tests, so each word of what is given to one is held against the project."""

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from broker import settings
from gateways.program.settings import FLAGS, load

ROOT = settings.BASE_DIR
COMPOSE = ROOT / "docker-compose.yml"
OURS = ("upgrade", "web", "agents", "worker", "beat")


def services() -> dict[str, Any]:
    """The services, anchors resolved."""
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def docker_words(instruction: str, file: str = "Dockerfile") -> list[str]:
    """What stands behind the only such instruction of the Dockerfile."""
    (line,) = re.findall(rf"^{instruction} (.*)$", (ROOT / file).read_text(), re.MULTILINE)
    return re.findall(r'"([^"]*)"', line) if line.startswith("[") else shlex.split(line)


def check_command(words: list[str]) -> None:
    """The program comes with our packages, and what it is told to load exists."""
    program, *rest = words
    if rest[:1] == ["-m"]:
        assert program == "python"
        assert importlib.util.find_spec(rest[1])
    elif program == "python":
        assert (ROOT / rest[0]).exists()
        assert rest[1] in get_commands()
    elif program == "celery":
        assert importlib.util.find_spec(rest[rest.index("-A") + 1])
        assert rest[2] in {"worker", "beat"}
    else:
        assert program == "gunicorn"
        assert importlib.util.find_spec(rest[0])


def test_the_parts_are_there() -> None:
    assert set(services()) == {"postgres", "redis", "upgrade", "web", "agents", "worker", "beat", "front"}


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists(name: str) -> None:
    check_command(services()[name].get("command") or docker_words("CMD"))


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    known = set(re.findall(r'"(USHER_[A-Z_]+)"', Path(settings.__file__).read_text()))
    assert set(services()[name]["environment"]) <= known


def test_every_variable_to_fill_in_is_explained() -> None:
    text = COMPOSE.read_text()
    head = text.split("x-broker")[0]
    assert {name for name in re.findall(r"\$\{(\w+)", text) if name not in head} == set()


def test_every_path_of_ours_exists() -> None:
    mounted = [volume.split(":")[0] for service in services().values() for volume in service.get("volumes", ())]
    assert [path for path in mounted if path.startswith(".") and not (ROOT / path).exists()] == []
    named = yaml.safe_load(COMPOSE.read_text())["volumes"]
    assert {path for path in mounted if not path.startswith(".")} == set(named)


def test_what_a_service_waits_for_is_a_service() -> None:
    for service in services().values():
        assert set(service.get("depends_on", ())) <= set(services())


def test_the_front_reaches_the_web_and_sends_agents_to_the_endpoint() -> None:
    text = (ROOT / "docs" / "Caddyfile").read_text()
    targets = {path: (name, port) for path, name, port in re.findall(r"reverse_proxy (\S+ )?(\w+):(\d+)", text)}
    assert set(targets) == {"", "/agent/* "}
    assert {name for name, _ in targets.values()} == {"web", "agents"}
    assert docker_words("EXPOSE") == [port for _, port in (targets[""], targets["/agent/* "])]
    command = services()["agents"]["command"]
    assert command[command.index("--port") + 1] == targets["/agent/* "][1]


def test_the_image_takes_only_extras_that_exist_and_no_simulated_world() -> None:
    text = (ROOT / "Dockerfile").read_text()
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", text)
    assert extras == "broker"
    assert "broker = [" in (ROOT / "pyproject.toml").read_text()


def test_the_gateways_image_has_the_packed_program_and_nothing_of_the_broker() -> None:
    text = (ROOT / "Dockerfile.gateway").read_text()
    (packer,) = re.findall(r"^RUN python (\S+) /wheel$", text, re.MULTILINE)
    assert (ROOT / packer).exists()
    assert re.findall(r"^COPY (.*)$", text.split("FROM")[-1], re.MULTILINE) == ["--from=build /wheel /wheel"]
    assert docker_words("CMD", "Dockerfile.gateway") == ["usher-gateway"]
    check_command(docker_words("HEALTHCHECK .*CMD", "Dockerfile.gateway"))
    listen = load(["--broker", "https://a", "--listen", re.findall(r"USHER_GATEWAY_LISTEN=(\S+)", text)[0]])
    assert docker_words("EXPOSE", "Dockerfile.gateway") == [str(listen.port), f"{listen.first_port}-{listen.last_port}"]
    assert docker_words("VOLUME", "Dockerfile.gateway") == [str(listen.data)]


def test_the_unit_file_names_settings_that_exist_and_outlasts_the_drain() -> None:
    text = (ROOT / "docs" / "usher-gateway.service").read_text()
    known = {f"USHER_GATEWAY_{name.upper().replace('-', '_')}" for name in FLAGS}
    assert set(re.findall(r"USHER_GATEWAY_\w+", text)) <= known
    (patience,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(patience) > int(FLAGS["drain-seconds"][0])
