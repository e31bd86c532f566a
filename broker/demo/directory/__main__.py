"""`python -m broker.demo.directory --data DIR [--port N --ldaps-port N]`: the demo's two directories in one process.

It writes ca.pem and directory.json (addresses, search account) into DIR, prints one line when both listen, and ends on
SIGTERM or SIGINT. A port that is not given is that of the last start, so that what was configured goes on working; the
first time, or where that one is taken, it is a free one.
"""

import argparse
import json
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from broker.demo.directory import certificates, seed
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.domain import Domain
from broker.demo.directory.server import DirectoryServer, Listen


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m broker.demo.directory", description="The demo's directories.")
    parser.add_argument("--data", type=Path, required=True, help="folder for the certificates and directory.json")
    parser.add_argument("--listen", default="127.0.0.1", help="address to listen on")
    for name in ("port", "ldaps-port", "lab-port", "lab-ldaps-port"):
        parser.add_argument(f"--{name}", type=int, default=0, help="0: that of the last start, or a free one")
    parser.add_argument("--domain", default="corp.example.test")
    parser.add_argument("--netbios", default="CORP")
    return parser.parse_args()


def describe(server: DirectoryServer, ca: Path) -> dict[str, str | int]:
    """What a form for an authentication server asks about this directory."""
    domain = server.domain
    return {
        "domain": domain.dns,
        "netbios": domain.netbios,
        "base_dn": domain.dn,
        "host": "localhost",
        "port": server.port,
        "ldaps_port": server.ldaps_port,
        "ca": str(ca.resolve()),
        "search_user": f"{seed.SEARCH_USER}@{domain.dns}",
        "search_password": seed.SEARCH_PASSWORD,
    }


def _last_start(data: Path) -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = json.loads((data / "directory.json").read_text())
    except (OSError, ValueError):
        return {}
    return found


def _start(domain: Domain, made: Certificates, listen: Listen, before: dict[str, Any]) -> DirectoryServer:
    kept = replace(
        listen,
        port=listen.port or int(before.get("port", 0)),
        ldaps_port=listen.ldaps_port or int(before.get("ldaps_port", 0)),
    )
    try:
        return DirectoryServer(domain, made, kept).start()
    except OSError:
        if kept == listen:
            raise
        return DirectoryServer(domain, made, listen).start()


def _serve(domains: list[tuple[Domain, Listen]], data: Path, stop: threading.Event) -> None:
    hosts = ["localhost", *(domain.host for domain, _ in domains), *(domain.dns for domain, _ in domains), "127.0.0.1"]
    made = certificates.ensure(data, [*hosts, "::1"])
    before = _last_start(data)
    servers: list[DirectoryServer] = []
    try:
        for domain, listen in domains:
            servers.append(_start(domain, made, listen, before.get(domain.netbios, {})))
        facts = {server.domain.netbios: describe(server, made.ca) for server in servers}
        partial = data / "directory.json.new"
        partial.write_text(json.dumps(facts, indent=2) + "\n")
        partial.replace(data / "directory.json")
        where = ", ".join(f"{server.domain.dns} on {server.port} and {server.ldaps_port} (LDAPS)" for server in servers)
        print(f"Directories: {where}", flush=True)
        stop.wait()
    finally:
        for server in servers:
            server.stop()


def main() -> None:
    """Run until told to stop; a port in use is one line."""
    options = _arguments()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    company = Listen(options.listen, options.port, options.ldaps_port, require_tls=False)
    lab = Listen(options.listen, options.lab_port, options.lab_ldaps_port, require_tls=False)
    domains = [(seed.company(options.domain, options.netbios), company), (seed.laboratory(), lab)]
    try:
        _serve(domains, options.data, stop)
    except OSError as error:
        raise SystemExit(f"The demo directory cannot listen: {error}") from error


if __name__ == "__main__":
    main()
