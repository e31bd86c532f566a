"""One instance on this machine: its addresses, its environment, and the files that tell others about it."""

import base64
import json
import os
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.embedded import tls
from broker.embedded.folder import CannotStart, kept_secret, write_private

WORLD_PORTS = ("aws", "ldap", "ldaps", "lab_ldap", "lab_ldaps")
ADMINISTRATOR = ("admin", "demo-Admin1")
PEOPLE = ("alice", "bob", "carol")
PEOPLES_PASSWORD = "demo-User1"  # noqa: S105 - printed by the demo


@dataclass(frozen=True)
class Instance:
    """Where it listens and keeps its data. `ports` are those of the simulated world."""

    data: Path
    bind: str
    port: int
    demo: bool
    ports: Mapping[str, int]
    agent_port: int = 8080
    gateway_port: int = 0  # 0: without a gateway

    @property
    def secure(self) -> bool:
        """TLS: whenever somebody else than this machine can reach it."""
        return not tls.is_loopback(self.bind) or bool(os.environ.get("USHER_TLS_CERT"))

    @property
    def front_is_ours(self) -> bool:
        """Whether agents meet no other certificate than ours: none of the operator's, and no proxy with its own."""
        return not os.environ.get("USHER_TLS_CERT") and (self.secure or not given("USHER_PUBLIC_URL"))

    @property
    def url(self) -> str:
        """The address for browsers."""
        return self._at(self.port)

    @property
    def agent_url(self) -> str:
        """The address of the agent endpoint."""
        return self._at(self.agent_port)

    @property
    def gateway_place(self) -> str:
        """Host and port of the gateway, as browsers name them; "" where there is none."""
        return f"{self._host}:{self.gateway_port}" if self.gateway_port else ""

    def _at(self, port: int) -> str:
        return f"{'https' if self.secure else 'http'}://{self._host}:{port}"

    @property
    def _host(self) -> str:
        host = self.bind if tls.is_loopback(self.bind) else tls.names(self.bind)[0]
        return f"[{host}]" if ":" in host else host

    @property
    def aws_endpoint(self) -> str:
        """The simulated AWS."""
        return f"http://127.0.0.1:{self.ports['aws']}"

    def certificate(self) -> tuple[Path, Path]:
        """Certificate and key for the web server, made at the first call."""
        crt, key = tls.certificate(self.data)
        if not crt.exists() and crt.parent == self.data:
            tls.make_certificate(crt, key, tls.names(self.bind))
        return crt, key


def check_port(bind: str, port: int, name: str = "PORT") -> None:
    """Raise CannotStart where somebody listens on the port already, or the address is not ours."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            raise CannotStart(f"Cannot listen on {bind}:{port} ({error.strerror}): give another {name}=") from None


def kept_ports(path: Path) -> dict[str, int]:
    """The simulated world's ports: those of the last start where still free, so that what points at them stays true."""
    before = _json(path)
    ports = {name: _free_port(before.get(name, 0)) for name in WORLD_PORTS}
    path.write_text(json.dumps(ports))
    return ports


def given(name: str) -> bool:
    """Has the caller set this setting, or named a file that holds it?"""
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CannotStart("No free port on 127.0.0.1")


def environment(instance: Instance, database: str, redis: str) -> dict[str, str]:
    """What every program of the instance gets. A variable that the caller has set stands."""
    made = {
        "DJANGO_SETTINGS_MODULE": "broker.settings",
        "USHER_DATABASE_URL": database,
        "USHER_REDIS_URL": redis,
        "USHER_SECRET_KEY": kept_secret(instance.data / "secret-key"),
        "USHER_ENCRYPTION_KEYS": kept_secret(instance.data / "encryption-keys", _fernet_key),
        "USHER_PUBLIC_URL": instance.url,
        "USHER_BEAT_FILE": str(instance.data / "beat"),
    }
    if not given("USHER_PUBLIC_URL"):  # else agents call there: the operator's front routes /agent/ to the endpoint
        made["USHER_AGENT_URL"] = instance.agent_url
    if instance.front_is_ours:
        made["USHER_AGENT_CA"] = str(tls.agent_ca(instance.data)[0])
    if not tls.is_loopback(instance.bind):
        made["USHER_ALLOWED_HOSTS"] = ",".join(
            f"[{name}]" if ":" in name else name for name in tls.names(instance.bind)
        )
    if instance.demo:
        made |= {
            "USHER_DEMO": "1",
            "USHER_ADMIN_PASSWORD": ADMINISTRATOR[1],
            "AWS_ENDPOINT_URL_WORKSPACES": instance.aws_endpoint,
            "AWS_ENDPOINT_URL_STS": instance.aws_endpoint,
        }
    stands = {name: value for name, value in os.environ.items() if name in made or name.startswith("USHER_")}
    return {**made, **stands, "DATA": str(instance.data)}


def write_environment(path: Path, variables: Mapping[str, str]) -> None:
    """The file that `manage.py` reads (mode 600), in a form that a shell reads too. Passwords of people stay out."""
    kept = {name: value for name, value in variables.items() if not name.startswith("USHER_ADMIN_PASSWORD")}
    write_private(path, "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(kept.items())))


def write_demo_card(instance: Instance) -> None:
    """$DATA/demo.json (mode 600): addresses, accounts, AWS, directories and tokens, for people and tests."""
    card = {
        "url": instance.url,
        "agents": instance.agent_url,
        "gateway": f"https://{instance.gateway_place}" if instance.gateway_port else "",
        "accounts": dict([ADMINISTRATOR, *((name, PEOPLES_PASSWORD) for name in PEOPLE)]),
        "aws": {"endpoint": instance.aws_endpoint},
        "directories": _json(instance.data / "directory" / "directory.json"),
        "enrolment_tokens": _json(instance.data / "image.json"),
    }
    write_private(instance.data / "demo.json", json.dumps(card, indent=2) + "\n")


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()
