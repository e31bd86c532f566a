"""`python -m broker.demo.aws --port N --state FILE --speed 1.0 [--seed demo]`."""

import argparse
import errno
import signal
import sys
import threading
from pathlib import Path

from broker.demo.aws.account import Account
from broker.demo.aws.server import Simulator
from broker.demo.aws.world import Timings


def main() -> int:
    """Serve until SIGINT or SIGTERM."""
    options = _options()
    account = Account(timings=Timings().scaled(options.speed), network=options.network)
    try:
        simulator = Simulator(account, state=options.state, seeded=options.seed, port=options.port)
    except (OSError, ValueError) as error:
        why = f"port {options.port} is in use" if getattr(error, "errno", 0) == errno.EADDRINUSE else error
        print(f"The simulated AWS account cannot start: {why}", file=sys.stderr)
        return 1
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with simulator:
        print(f"Simulated AWS account at {simulator.endpoint}", flush=True)
        ended.wait()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m broker.demo.aws", description="A simulated AWS account.")
    parser.add_argument("--port", type=int, required=True, help="loopback port; 0 picks a free one")
    parser.add_argument("--state", type=Path, help="JSON file that keeps the account between starts")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times as fast AWS works")
    parser.add_argument("--seed", default="demo", help="demo, empty or many:N; only for the first start")
    parser.add_argument("--network", default="10.0.0.0/16", help="where addresses come from, such as 127.77.0.0/16")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
