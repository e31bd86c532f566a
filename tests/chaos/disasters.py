"""What goes wrong while events flow: on calls of AWS, and by the clock."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.chaos.broker import Broker
from tests.chaos.watch import Watch
from tests.services import wait_for


def deaths(watch: Watch) -> dict[tuple[str, int], str]:
    """On which calls, counted from now, the caller dies: of the work undone, of work done without an
    answer, and whoever takes that over, as he looks at what has become of it."""
    stops, looks = watch.numbers["StopWorkspaces"], watch.numbers["DescribeWorkspaces"]
    return {
        ("StopWorkspaces", stops + 2): "before",
        ("StopWorkspaces", stops + 3): "after",
        ("DescribeWorkspaces", looks + 1): "after",
    }


def by_the_clock(broker: Broker) -> list[tuple[float, Callable[[], object]]]:
    """Seconds after the beginning, and what happens then."""
    return [
        (1.5, broker.flush_redis),
        (3.0, lambda: broker.kill_worker("a")),
        (5.0, broker.kill_redis),
        (7.5, lambda: broker.stop_postgres(signal.SIGINT)),
        (11.0, lambda: broker.kill_worker("b")),
        (14.0, lambda: broker.stop_postgres(signal.SIGQUIT)),
        (18.0, lambda: broker.kill_worker("a")),
    ]


@contextmanager
def disasters(broker: Broker, watch: Watch, patience: float) -> Iterator[None]:
    """All of it begins with the block, and has happened when we go on behind it."""
    watch.deaths = deaths(watch)

    def run() -> None:
        began = time.monotonic()
        for at, happens in by_the_clock(broker):
            time.sleep(max(0.0, began + at - time.monotonic()))
            happens()

    thread = threading.Thread(target=run, name="disasters")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    wait_for(lambda: not watch.deaths, patience, "every death that was planned")
