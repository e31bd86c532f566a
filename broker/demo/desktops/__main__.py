"""`python -m broker.demo.desktops`: the simulated machines, until SIGINT or SIGTERM.

Where an option is missing, the environment of the demo says it: USHER_PUBLIC_URL, USHER_AGENT_URL,
AWS_ENDPOINT_URL_WORKSPACES, DATA.
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from broker.demo.desktops.agent import Pace
from broker.demo.desktops.calls import Away, Refused, Site
from broker.demo.desktops.control import Control
from broker.demo.desktops.fleet import Fleet, Options


def main() -> int:
    """Follow the account until told to end."""
    options = _options()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    pace = Pace(options.poll, options.hold)
    sites = Site(options.broker), Site(options.aws)
    fleet = Fleet(Options(options.data, *sites, options.rdp_port, pace, _say, Site(options.agents or options.broker)))
    try:
        with Control(options.data, fleet):
            _follow(fleet, ended, options.look)
    finally:
        fleet.close()
    return 0


def _follow(fleet: Fleet, ended: threading.Event, pause: float) -> None:
    trouble = ""
    while not ended.wait(pause):
        try:
            fleet.look()
            trouble = ""
        except (Away, Refused) as error:
            if str(error) != trouble:
                _say(f"The simulated account cannot be read: {error}")
            trouble = str(error)


def _say(line: str) -> None:
    print(line, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m broker.demo.desktops", description="Simulated desktops.")
    given = os.environ.get
    parser.add_argument("--broker", default=given("USHER_PUBLIC_URL", ""), help="address of the broker")
    parser.add_argument("--agents", default=given("USHER_AGENT_URL", ""), help="where agents call, if elsewhere")
    parser.add_argument("--hold", type=int, default=0, help="seconds for which the broker holds a poll; 0: not at all")
    parser.add_argument(
        "--aws", default=given("AWS_ENDPOINT_URL_WORKSPACES", ""), help="the simulated account's address"
    )
    parser.add_argument("--data", type=Path, default=Path(given("DATA", "var/demo")), help="data folder of the demo")
    parser.add_argument("--rdp-port", type=int, default=3389, help="port that each running machine opens; 0: none")
    parser.add_argument("--poll", type=float, default=2.5, help="seconds between two polls of an agent")
    parser.add_argument("--look", type=float, default=1.0, help="seconds between two looks at the account")
    options = parser.parse_args()
    if not options.broker or not options.aws:
        parser.error("--broker and --aws are needed, or USHER_PUBLIC_URL and AWS_ENDPOINT_URL_WORKSPACES")
    return options


if __name__ == "__main__":
    sys.exit(main())
