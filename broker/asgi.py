"""`python -m broker.asgi`: the agent endpoint, a process beside the web process (DESIGN 8)."""

import argparse
import os
from pathlib import Path

import django
from django.conf import settings

import broker.celery  # noqa: F401 - what core.jobs.wake() sends goes through it

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
django.setup()

from agents.endpoint.server import Options, serve  # noqa: E402
from agents.limits import Limits  # noqa: E402 - Django first


def main() -> None:
    """Listen until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m broker.asgi", description="The agent endpoint.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--certificate", type=Path, help="PEM file; without one the endpoint speaks plain HTTP")
    parser.add_argument("--key", type=Path, help="PEM file of its key")
    given = parser.parse_args()
    limits = Limits(settings.AGENT_CALLS, settings.AGENT_EVENTS, settings.AGENT_REGISTRATIONS)
    serve(Options(given.host, given.port, limits, settings.AGENT_CONNECTIONS, given.certificate, given.key))


if __name__ == "__main__":
    main()
