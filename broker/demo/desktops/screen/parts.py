"""The programs of which a desktop is made, and how they are started: bounded, as nobody, never outliving us."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence

NEEDED = ("Xvfb", "xsetroot", "xterm", "freerdp-shadow-cli", "winpr-hash", "setpriv", "prlimit", "stdbuf")
MEMORY = 400_000_000  # bytes of data that one program may have
NOBODY = 65_534


def missing() -> list[str]:
    """Those that this system does not have."""
    return [name for name in NEEDED if shutil.which(name) is None]


def owner() -> int:
    """The user of the programs: nobody where we are root, for whoever connects types into them; else ourselves."""
    return NOBODY if os.getuid() == 0 else os.getuid()


def start(
    command: Sequence[str], environment: Mapping[str, str], orphan: signal.Signals = signal.SIGKILL, keep: int = -1
) -> subprocess.Popen[bytes]:
    """Start one; the kernel sends it `orphan` when the calling thread ends: call it from one that stays.

    It keeps the file `keep` open. Its output is its `stdout`, which somebody has to read. No code of ours runs between
    fork and exec: this process has many threads.
    """
    drop = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.getuid() == 0 else []
    bounded = ["setpriv", *drop, "--no-new-privs", f"--pdeathsig={orphan.name.removeprefix('SIG')}", "--"]
    return subprocess.Popen(
        [*bounded, "prlimit", f"--data={MEMORY}", "--core=0", "--", *command],
        env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
        pass_fds=[keep] if keep >= 0 else [],
    )


def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGKILL) -> None:
    """End it with what it started, and wait for it: `number` is one that it obeys at once."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, number)
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
