#!/usr/bin/env python
"""Django's command line. Beside a running `make demo` or `make run` it talks to that instance."""

import os
import shlex
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

import broker.celery  # noqa: F401 - what core.jobs.wake() sends goes through it

HERE = Path(__file__).resolve().parent


def instance_environment() -> dict[str, str]:
    """What the supervisor wrote for this instance: $DATA/env, else var/demo/env, else var/run/env, else nothing."""
    folders = [Path(os.environ["DATA"])] if os.environ.get("DATA") else [HERE / "var" / "demo", HERE / "var" / "run"]
    for folder in folders:
        if (folder / "env").exists():
            words = shlex.split((folder / "env").read_text(encoding="utf-8"))
            return dict(word.split("=", 1) for word in words)
    return {}


def main() -> None:
    """Run one command. Variables that are already set stand."""
    for name, value in instance_environment().items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
