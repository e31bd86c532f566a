"""Programs of a rendered screen: they end with the gateway, are held to their memory, and gain no rights."""

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
LIBC = ctypes.CDLL(None, use_errno=True)
NICE = 5
MEGABYTE = 1 << 20
PATIENCE = 0.3  # seconds between asking a program to end and ending it


async def start(command: list[str], environment: dict[str, str], megabytes: int) -> Process:
    """Start one in its folder, with pipes for its input and output; it hears SIGTERM when the gateway dies.

    From the main thread: the kernel watches the thread that forked.
    """
    parent = os.getpid()

    def before_exec() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * MEGABYTE, megabytes * MEGABYTE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it knows a password
        os.nice(NICE)

    return await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment, cwd=Path(environment["HOME"]),
        start_new_session=True, preexec_fn=before_exec,
    )  # fmt: skip


async def end(processes: list[Process]) -> None:
    """All of them are gone when this returns; within PATIENCE, or not much later."""
    signalled(processes, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            for each in processes:
                await each.wait()
    signalled(processes, signal.SIGKILL)
    for each in processes:
        await each.wait()


def signalled(processes: list[Process], number: signal.Signals) -> None:
    """Signal those that live, with all that they started."""
    for each in processes:
        if each.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.pid, number)
