"""`python -m broker.embedded run|demo`: the whole product on this machine, until Ctrl-C.

Environment: PORT, AGENT_PORT, GATEWAY_PORT, BIND, DATA, and every USHER_* setting.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from broker.demo.desktops.screen.parts import missing
from broker.embedded.child import say
from broker.embedded.folder import CannotStart, locked, open_folder
from broker.embedded.instance import (
    ADMINISTRATOR,
    PEOPLE,
    PEOPLES_PASSWORD,
    Instance,
    check_port,
    environment,
    given,
    kept_ports,
    write_demo_card,
    write_environment,
)
from broker.embedded.postgres import Postgres
from broker.embedded.programs import manage, services, stages
from broker.embedded.redis import Redis
from broker.embedded.supervisor import Ended, Supervisor

PROJECT = Path(__file__).resolve().parent.parent.parent


def main(arguments: list[str]) -> int:
    """Run or demonstrate; the exit code. What hinders the start is one line."""
    if arguments not in (["run"], ["demo"]):
        say("usage: python -m broker.embedded run|demo")
        return 2
    try:
        return serve(demo=arguments == ["demo"])
    except (CannotStart, PermissionError) as error:
        say(f"Cannot start: {error}")
        return 1


def serve(demo: bool) -> int:
    """Start everything, say where, keep it running, end everything. Raises CannotStart."""
    bind = os.environ.get("BIND") or "127.0.0.1"
    port = _port("PORT", os.environ.get("PORT") or "8000")
    agent_port = _port("AGENT_PORT", os.environ.get("AGENT_PORT") or "8080")
    gateway_port = _port("GATEWAY_PORT", os.environ.get("GATEWAY_PORT") or "8443", least=0)
    ports = {"PORT": port, "AGENT_PORT": agent_port, **({"GATEWAY_PORT": gateway_port} if gateway_port else {})}
    _check_ports(bind, ports)
    data = open_folder(Path(os.environ.get("DATA") or PROJECT / "var" / ("demo" if demo else "run")))
    os.chdir(PROJECT)
    with locked(data):
        instance = Instance(data, bind, port, demo, _world(data, demo), agent_port, gateway_port)
        return _supervise(instance)


def _check_ports(bind: str, ports: Mapping[str, int]) -> None:
    """Raise CannotStart where one is not to be had, or named twice."""
    seen: dict[int, str] = {}
    for name, port in ports.items():
        if port in seen:
            raise CannotStart(f"{seen[port]} and {name} are both {port}: give another {name}=")
        seen[port] = name
        check_port(bind, port, name)


def _world(data: Path, demo: bool) -> Mapping[str, int]:
    return kept_ports(data / "ports.json") if demo else {}


def _supervise(instance: Instance) -> int:
    postgres = None if given("USHER_DATABASE_URL") else Postgres(instance.data)
    redis = None if given("USHER_REDIS_URL") else Redis(instance.data)
    variables = environment(instance, postgres.url if postgres else "", redis.url if redis else "")
    write_environment(instance.data / "env", variables)
    supervisor = Supervisor(stages(instance, variables, services(postgres, redis)), instance.data / "log")
    try:
        supervisor.start()
        _announce(instance, variables)
        supervisor.run()
    except Ended:
        say("Ended before it was ready.")
    finally:
        supervisor.stop()
    return 0


def _announce(instance: Instance, variables: Mapping[str, str]) -> None:
    """Say where it is and how to get in. The demo tells its accounts, an empty broker its one-time set-up link."""
    if instance.demo:
        write_demo_card(instance)
    link = "" if instance.demo else _asked("setup_link", variables)
    say(f"Ready: {instance.url}")
    if instance.demo:
        say(f"  administrator  {ADMINISTRATOR[0]} / {ADMINISTRATOR[1]}")
        say(f"  users          {', '.join(PEOPLE)} / {PEOPLES_PASSWORD}")
    if link:
        say(f"  first sign-in  {link}")
    if instance.gateway_port:
        say(f"  gateway        https://{instance.gateway_place}")
    if instance.demo and (lacking := missing()):
        say(f"  desktops       answer no RDP, for which this machine lacks {', '.join(lacking)}")


def _asked(command: str, variables: Mapping[str, str]) -> str:
    """What a manage.py command prints; nothing where it has no answer."""
    environment = {**os.environ, **variables}
    done = subprocess.run(manage(command), env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _port(name: str, text: str, least: int = 1) -> int:
    if not text.isdecimal() or not least <= int(text) < 65_536:
        raise CannotStart(f"{name} is {text!r}; it must be a number from {least} to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
