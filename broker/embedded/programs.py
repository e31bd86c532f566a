"""Every program of an instance, in the order of its start: one list to read and to change."""

import http.client
import json
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from broker.embedded import tls
from broker.embedded.child import Program
from broker.embedded.instance import Instance
from broker.embedded.postgres import Postgres
from broker.embedded.redis import Redis

GATEWAY_PORTS = "20001-20100"
_CELERY = "--loglevel WARNING --without-gossip --without-mingle --without-heartbeat --pool threads --concurrency 4"


def services(postgres: Postgres | None, redis: Redis | None) -> list[Program]:
    """The embedded servers; None where one was given from outside."""
    made = []
    if postgres is not None:
        made.append(
            Program(
                "postgres",
                tuple(postgres.command()),
                prepare=postgres.prepare,
                ready=postgres.ready,
                stop=signal.SIGINT,
                orphan=signal.SIGINT,
            )
        )
    if redis is not None:
        made.append(Program("redis", tuple(redis.command()), ready=redis.ready))
    return made


def stages(instance: Instance, variables: Mapping[str, str], servers: list[Program]) -> list[list[Program]]:
    """What starts together, stage after stage. Ended in the reverse order."""
    upgrade = Program("upgrade", manage("upgrade"), variables, once=True, within=300)
    application = [
        _web(instance, variables),
        _endpoint(instance, variables),
        _worker(instance, variables),
        _beat(variables),
    ]
    if instance.gateway_port:
        application.insert(0, _gateway(instance))
    if not instance.demo:
        return [servers, [upgrade], application]
    beside = ("--gateway", instance.gateway_place) if instance.gateway_port else ()
    seed = Program("demo-seed", manage("demo_seed", *beside), variables, once=True, within=120)
    desktops = Program("desktops", _module("broker.demo.desktops", "--hold", "25"), variables)
    return [
        servers,
        [upgrade, _aws(instance, variables), _directory(instance, variables)],
        [seed],
        application,
        [desktops],
    ]


def ready(url: str) -> dict[str, Any] | None:
    """What /readyz says there, or None where it does not answer 200."""
    said = fetched(url)
    try:
        return None if said is None else dict(json.loads(said))
    except ValueError:
        return None


def fetched(url: str) -> bytes | None:
    """What an address answers with 200, else None. The certificate is our own child's."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    trusting = ssl._create_unverified_context()  # noqa: S323
    connection = (
        http.client.HTTPSConnection(host, port, timeout=2, context=trusting)
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=2)
    )
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        return answer.read() if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def listens(port: int) -> Callable[[], bool]:
    """A question: does somebody take connections on this port of 127.0.0.1?"""

    def asked() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    return asked


def manage(*words: str) -> tuple[str, ...]:
    return (sys.executable, "manage.py", *words)


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def _web(instance: Instance, variables: Mapping[str, str]) -> Program:
    place = f"[{instance.bind}]" if ":" in instance.bind else instance.bind
    words = f"--worker-class gthread --workers 2 --threads 8 --bind {place}:{instance.port} --graceful-timeout 3"
    quiet = "--no-control-socket --log-level warning --preload"
    certificate, key = instance.certificate() if instance.secure else (None, None)
    tls = ("--certfile", str(certificate), "--keyfile", str(key)) if certificate else ()
    command = _module("gunicorn", *words.split(), *quiet.split(), *tls, "broker.wsgi")
    return Program("web", command, variables, ready=lambda: ready(_probe(instance)) is not None, orphan=signal.SIGQUIT)


def _endpoint(instance: Instance, variables: Mapping[str, str]) -> Program:
    certificate, key = instance.certificate() if instance.secure else (None, None)
    tls = ("--certificate", str(certificate), "--key", str(key)) if certificate else ()
    command = _module("broker.asgi", "--host", instance.bind, "--port", str(instance.agent_port), *tls)
    probe = _probe(instance, instance.agent_port, "healthz")
    return Program("endpoint", command, variables, ready=lambda: fetched(probe) is not None)


def _gateway(instance: Instance) -> Program:
    """It gets none of the broker's secrets. Its sessions end with the rest: Ctrl-C does not wait for them."""
    place = f"[{instance.bind}]" if ":" in instance.bind else instance.bind
    known = ("--broker-sha256", tls.agent_ca_sha256(instance.data)) if _shows_our_ca(instance) else ()
    listen = ("--listen", f"{place}:{instance.gateway_port}", "--ports", GATEWAY_PORTS, "--drain-seconds", "0")
    folder = instance.data / "gateway"
    command = _module("gateways.program", "--broker", instance.url, *known, *listen, "--data", str(folder))
    probe = urlsplit(_probe(instance, instance.gateway_port, "app/system/ping"))._replace(scheme="https").geturl()
    return Program("gateway", command, {"DATA": str(instance.data)}, ready=lambda: fetched(probe) is not None)


def _shows_our_ca(instance: Instance) -> bool:
    return instance.secure and instance.front_is_ours


def _probe(instance: Instance, port: int = 0, path: str = "readyz") -> str:
    """The address of a probe of the web process, or of one at another port, as this machine itself reaches it."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(instance.bind, instance.bind)  # noqa: S104 - compared, not bound
    host = f"[{local}]" if ":" in local else local
    return f"{urlsplit(instance.url).scheme}://{host}:{port or instance.port}/{path}"


def _worker(instance: Instance, variables: Mapping[str, str]) -> Program:
    """Ready when the web process has heard of it, so that is_alive is true from the first second on."""

    def heard() -> bool:
        told = ready(_probe(instance))
        return told is not None and not told["degraded"]

    command = _module("celery", "-A", "broker.celery", "worker", *_CELERY.split())
    return Program("worker", command, variables, ready=heard, within=20, needed=False)


def _beat(variables: Mapping[str, str]) -> Program:
    # Never /dev/null: Celery deletes a schedule that it cannot read, and root can delete that one.
    words = ("--loglevel", "WARNING", "--pidfile", "", "--schedule", variables["USHER_BEAT_FILE"])
    return Program("beat", _module("celery", "-A", "broker.celery", "beat", *words), variables)


def _aws(instance: Instance, variables: Mapping[str, str]) -> Program:
    port, state = instance.ports["aws"], instance.data / "aws.json"
    network = f"127.{64 + port % 128}.0.0/16"  # loopback: its machines open real ports, two demos open different ones
    command = _module("broker.demo.aws", "--port", str(port), "--state", str(state), "--network", network)
    return Program("aws", command, variables, ready=listens(port), orphan=signal.SIGTERM)


def _directory(instance: Instance, variables: Mapping[str, str]) -> Program:
    folder = instance.data / "directory"
    folder.mkdir(exist_ok=True)
    names = {"port": "ldap", "ldaps-port": "ldaps", "lab-port": "lab_ldap", "lab-ldaps-port": "lab_ldaps"}
    options = [word for option, port in names.items() for word in (f"--{option}", str(instance.ports[port]))]
    command = _module("broker.demo.directory", "--data", str(folder), *options)
    return Program("directory", command, variables, ready=listens(instance.ports["lab_ldaps"]), orphan=signal.SIGTERM)
