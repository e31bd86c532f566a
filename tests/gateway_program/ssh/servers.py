"""A real SSH server on a free port of the loopback, with a unix user of its own, until the block ends. Needs root."""

import base64
import hashlib
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from agents.program.linux.proc import processes
from tests.agent_program.xrdp_world import PASSWORD, SETTLED, answers
from tests.gateway_program.vnc.servers import need
from tests.ports import free_port
from tests.services import wait_for

BY_PASSWORD = "UsePAM no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n"
BY_QUESTIONS = "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\n"


@dataclass
class SshServer:
    """One that listens."""

    folder: Path
    port: int
    user: str
    key: str  # SHA-256 of its host key, in hex
    uid: int
    password: str = PASSWORD

    def runs(self) -> bool:
        """Whether the user has any program."""
        return any(each.uid == self.uid for each in processes())


def needed() -> None:
    """Skip or fail where it cannot be."""
    need("sshd", "ssh-keygen", "useradd", "chpasswd")


@contextmanager
def ssh_server(folder: Path, settings: str = BY_PASSWORD) -> Iterator[SshServer]:
    """sshd that takes one user."""
    user = f"usher{secrets.token_hex(3)}"
    Path("/run/sshd").mkdir(exist_ok=True)
    port, key = free_port(), folder / "host_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {key}\nPidFile none\nAllowUsers {user}\nPrintMotd no\n{settings}"
    )
    subprocess.run(["useradd", "-m", "-s", "/bin/sh", user], check=True)
    daemon = None
    try:
        subprocess.run(["chpasswd"], input=f"{user}:{PASSWORD}".encode(), check=True)
        with (folder / "sshd.log").open("wb") as log:
            daemon = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], stdout=log, stderr=log)
        wait_for(lambda: answers(port), SETTLED, "sshd listens")
        public = base64.b64decode(key.with_suffix(".pub").read_text().split()[1])
        uid = int(subprocess.run(["id", "-u", user], capture_output=True, check=True).stdout)
        yield SshServer(folder, port, user, hashlib.sha256(public).hexdigest(), uid)
    finally:
        if daemon is not None:
            daemon.terminate()
            daemon.wait(SETTLED)
        remove(user)


def remove(user: str) -> None:
    """The user's programs, then the user."""
    uid = int(subprocess.run(["id", "-u", user], capture_output=True, check=True).stdout)

    def gone() -> bool:
        left = [each.pid for each in processes() if each.uid == uid]
        for pid in left:
            with suppress(ProcessLookupError):  # it ends by itself just now
                os.kill(pid, signal.SIGKILL)
        return not left

    wait_for(gone, SETTLED, "the user's programs are gone")
    subprocess.run(["userdel", "-r", "-f", user], check=False, capture_output=True)
