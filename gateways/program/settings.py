"""What the administrator says on the command line, or by USHER_GATEWAY_… in the environment."""

import argparse
import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateways.program import VERSION
from gateways.program.ports.engines import engine_named
from gateways.program.registry import Limits

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. docs/gateway.md explains each."""

    broker: str  # "https://broker.example.com", without a path
    data: Path
    host: str = "0.0.0.0"  # noqa: S104 - it is there to be reached
    port: int = 443
    first_port: int = 20_001
    last_port: int = 30_000
    broker_sha256: str = ""  # of the CA by which the broker is known (RULES 4)
    cert: Path | None = None
    key: Path | None = None
    drain_seconds: int = 300
    limits: Limits = Limits()
    connections: int = 10_000  # of browsers, at a time
    engine: str = "auto"  # of forwarded ports
    metrics_from: tuple[Network, ...] = ()  # besides this machine
    screens: int = 20  # rendered ones, at a time
    screen_memory: int = 768  # megabytes of address space for each of the two programs of one


FLAGS: Mapping[str, tuple[str, str]] = {
    "broker": ("", "address of the broker, like https://broker.example.com"),
    "broker-sha256": ("", "SHA-256 of the broker's CA in hex, where its certificate is not known to the system"),
    "listen": ("0.0.0.0:443", "address and port for browsers and for the broker"),
    "ports": ("20001-30000", "range of ports for forwarded display protocols"),
    "data": ("/var/lib/usher-gateway", "folder for what the gateway remembers"),
    "cert": ("", "certificate file (PEM, with its chain); else one is made at the first start"),
    "key": ("", "key file of the certificate (PEM)"),
    "drain-seconds": ("300", "how long sessions may go on after the gateway is told to end"),
    "sessions": ("2000", "how many sessions at a time"),
    "sessions-per-user": ("30", "how many sessions of one user at a time"),
    "connections": ("10000", "how many connections of browsers at a time"),
    "engine": ("auto", "how forwarded bytes are passed on: splice (Linux), streams, or auto: the best there is"),
    "screens": ("20", "how many server-rendered screens at a time; 0: none"),
    "screen-memory": ("768", "megabytes that each of the two programs of a rendered screen may take"),
    "metrics-from": ("", "networks that may read /metrics besides this machine, like 10.0.0.0/8,192.0.2.7"),
}


class BadSettings(Exception):
    """A setting is missing or wrong; the text says which, and what to do."""


def load(arguments: Sequence[str] | None = None) -> Settings:
    """The settings of a command line over the environment over the defaults. Raises BadSettings."""
    parser = argparse.ArgumentParser("usher-gateway", description="The gateway of an Usher broker.")
    parser.add_argument("--version", action="version", version=VERSION)
    for name, (default, words) in FLAGS.items():
        variable = f"USHER_GATEWAY_{name.upper().replace('-', '_')}"
        shown = f"{words}{f' ({default})' if default else ''} [{variable}]"
        parser.add_argument(f"--{name}", default=os.environ.get(variable) or default, help=shown)
    return read({name.replace("_", "-"): str(value) for name, value in vars(parser.parse_args(arguments)).items()})


def read(said: Mapping[str, str]) -> Settings:
    """Settings from words, each as on the command line. Raises BadSettings."""
    host, port = _place(said["listen"])
    first, last = _range(said["ports"])
    if bool(said["cert"]) != bool(said["key"]):
        raise BadSettings("--cert and --key belong together: give both or neither.")
    return Settings(
        broker=_broker(said["broker"]),
        data=Path(said["data"]),
        host=host,
        port=port,
        first_port=first,
        last_port=last,
        broker_sha256=_sha256(said["broker-sha256"]),
        cert=Path(said["cert"]) if said["cert"] else None,
        key=Path(said["key"]) if said["key"] else None,
        drain_seconds=_number("drain-seconds", said["drain-seconds"], 0, 86_400),
        limits=Limits(
            _number("sessions", said["sessions"], 1, 100_000),
            _number("sessions-per-user", said["sessions-per-user"], 1, 100_000),
        ),
        connections=_number("connections", said["connections"], 1, 1_000_000),
        engine=_engine(said["engine"]),
        screens=_number("screens", said["screens"], 0, 10_000),
        screen_memory=_number("screen-memory", said["screen-memory"], 128, 1_000_000),
        metrics_from=tuple(_network(each) for each in said["metrics-from"].replace(",", " ").split()),
    )


def _broker(text: str) -> str:
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise BadSettings(f"--broker must be an address like https://broker.example.com, not {text!r}.")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _place(text: str) -> tuple[str, int]:
    host, _colon, port = text.rpartition(":")
    bare = host.strip("[]")
    if not bare or (":" in bare and not host.startswith("[")):
        raise BadSettings(f"--listen must be address:port like 0.0.0.0:443 or [::]:443, not {text!r}.")
    return bare, _number("listen", port, 0, 65_535)


def _range(text: str) -> tuple[int, int]:
    first, _dash, last = text.partition("-")
    low, high = _number("ports", first, 1, 65_535), _number("ports", last or first, 1, 65_535)
    if low > high:
        raise BadSettings(f"--ports must be a range like 20001-30000, not {text!r}.")
    return low, high


def _engine(name: str) -> str:
    try:
        engine_named(name)
    except ValueError as error:
        raise BadSettings(f"--engine: {error}") from None
    return name


def _sha256(text: str) -> str:
    if text and not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise BadSettings("--broker-sha256 must be 64 hexadecimal digits.")
    return text.lower()


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise BadSettings(f"--metrics-from: {error}.") from None


def _number(name: str, text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise BadSettings(f"--{name} must be a whole number from {least} to {most}, not {text!r}.")
    return int(text)
