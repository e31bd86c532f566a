"""Start a child that cannot outlive this process."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def spawn(
    command: Sequence[str], orphan: signal.Signals, environment: Mapping[str, str], output: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    """Start `command` in a process group of its own; the kernel sends it `orphan` when the calling thread ends.

    Call it from the main thread: the kernel watches the thread that forked, not the process.
    """
    parent = os.getpid()

    def before_exec() -> None:
        follow_parent(orphan)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        process_group=0,
        preexec_fn=before_exec,
    )


def follow_parent(orphan: signal.Signals) -> None:
    """Let the kernel send `orphan` to this process when its parent ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(orphan), 0, 0, 0)


def signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the child and all that it started."""
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return
