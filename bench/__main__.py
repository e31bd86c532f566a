"""`make bench`, or `python -m bench offers`: each benchmark on a PostgreSQL of its own, figures on standard output.

It fails, and says which, where a budget was missed.
"""

import os
import sys

import django
from django.core.management import call_command
from django.test.utils import setup_databases, setup_test_environment, teardown_databases

import broker.celery  # noqa: F401 - what core.jobs.wake() sends goes through it
from bench import budgets
from tests import services

NAMES = ("offers", "events", "endpoint", "lending", "reaction", "storm", "forwarding", "viewer", "first_frame", "fuzz")


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all."""
    services.set_environment()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")
    django.setup()
    services.POSTGRES.prepare()
    with (
        services.running(services.POSTGRES.command(), services.POSTGRES.ready, "postgres"),
        services.running(services.REDIS.command(), services.REDIS.ready, "redis"),
    ):
        setup_test_environment()
        old = setup_databases(verbosity=0, interactive=False)
        try:
            call_command("defaults")
            for name in names or NAMES:
                print(f"== {name}")
                __import__(f"bench.{name}", fromlist=["run"]).run()
        finally:
            teardown_databases(old, verbosity=0)
            services.remove_folder()


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.exit(budgets.verdict())
