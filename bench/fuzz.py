"""The readers of what browsers and desktops send, and the WebSockets, fuzzed longer than tests have time for."""

import os
import subprocess
import sys
import time

EXAMPLES = 2_000
TESTS = ("tests/gateway_program/rdp/test_garbage.py", "tests/gateway_program/test_fuzzed_sockets.py")


def run() -> None:
    """Print how many examples were tried; fails where a reader raised what it must not."""
    begin = time.monotonic()
    there = {**os.environ, "USHER_FUZZ": str(EXAMPLES)}
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS], env=there, check=True)
    print(f"{EXAMPLES} examples for each reader and kind of garbage in {time.monotonic() - begin:.0f} s")
