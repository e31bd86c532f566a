"""The real parts: a broker as a process, two gateways in front of it, desktops that speak RDP."""

import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.settings import BASE_DIR
from tests.embedded.running import Running
from tests.gateway_program import rdp_servers
from tests.gateway_program.rdp_servers import Server
from tests.gateway_program.ssh.servers import SshServer, needed, ssh_server
from tests.gateway_program.vnc.servers import VncServer, need, vnc_server
from tests.ports import VIEWER, free_port
from tests.services import wait_for

READY = 60  # seconds; on a machine that others use, too


class Gateway:
    """`python -m gateways.program` on a port that stays when it is started again."""

    def __init__(self, data: Path, broker: str, ports: range) -> None:
        self.data, self.port, self.ports = data, free_port(), ports
        listen = ["--listen", f"127.0.0.1:{self.port}", "--ports", f"{self.ports[0]}-{self.ports[-1]}"]
        more = ["--data", str(data / "state"), "--drain-seconds", "0"]
        self.command = [sys.executable, "-m", "gateways.program", "--broker", broker, *listen, *more]
        data.mkdir()

    @property
    def address(self) -> str:
        """As an administrator types it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """For browsers."""
        return f"https://{self.address}"

    @property
    def log(self) -> str:
        """All that it ever said."""
        return (self.data / "log").read_text(encoding="utf-8")

    @property
    def last_used(self) -> str:
        """When the latest session began, as its log writes times; "" if none did."""
        lines = [json.loads(line) for line in self.log.splitlines() if "session.used" in line]
        return max((line["time"] for line in lines), default="")

    def start(self) -> None:
        """Until it says that it is ready."""
        with (self.data / "log").open("ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(self.command, cwd=BASE_DIR, stdout=log, stderr=log)
        wait_for(lambda: self.is_ready(before) or self.process.poll() is not None, READY, "ready")
        assert self.process.poll() is None, self.log

    def is_ready(self, since: int = 0) -> bool:
        """Whether it serves and knows the broker's key."""
        return "gateway.ready" in self.log[since:] and "broker.pinned" in self.log

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """In order, or by SIGKILL."""
        self.process.send_signal(number)
        self.process.wait(15)


@dataclass
class Stage:
    """Where everything is, and who the user is: the same name and password on broker and desktops."""

    folder: Path
    broker: Running
    login: str
    password: str
    servers: dict[str, Server]
    gone: int  # a port where nobody listens
    vnc: VncServer
    shell: SshServer
    gateways: list[Gateway] = field(default_factory=list)

    @property
    def desktop(self) -> Server:
        """The one that most tests use: xrdp in Xorg."""
        return self.servers["Desk"]

    @property
    def in_use(self) -> Gateway:
        """Where the desktop that came last is; one that was killed never told the end of what it led."""
        return max(self.gateways, key=lambda each: each.last_used)

    @property
    def url(self) -> str:
        """Of the broker itself."""
        return f"http://127.0.0.1:{self.broker.port}"

    @property
    def home(self) -> Path:
        """Of the user on the desktop."""
        return Path(f"/home/{self.login}")

    def terminal(self) -> None:
        """Wait until the desktop's terminal is there and has the focus."""
        self.focus("a desktop")

    def focus(self, window: str) -> None:
        """Wait until the window of this name on the desktop has the focus."""
        wait_for(lambda: self.desktop.focused(window), READY, f"the focus of {window}")

    def run(self, function: str, *words: str | int, **named: Any) -> str:
        """A function of plant.py inside the broker."""
        said = ", ".join([*map(repr, words), *(f"{name}={value!r}" for name, value in named.items())])
        return self.broker.manage(
            "shell", "-v", "0", "-c", f"from tests.browser.viewer import plant; plant.{function}({said})"
        )

    def logs(self) -> str:
        """What broker and gateways wrote."""
        files = sorted((self.broker.data / "log").glob("*"))
        written = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
        return "\n".join([written, *(each.log for each in self.gateways)])


def restarted(stage: Stage) -> None:
    """The broker is ended in order and started again on its data."""
    stage.broker.end(signal.SIGINT)
    stage.broker = broker(stage.broker.data, stage.broker.port)


def broker(data: Path, port: int) -> Running:
    """An empty one; its center's account is nowhere."""
    away = {f"AWS_ENDPOINT_URL_{name}": "http://127.0.0.1:9" for name in ("WORKSPACES", "STS")}
    made = Running(data, port, USHER_ADMIN_PASSWORD=secrets.token_urlsafe(12), AWS_MAX_ATTEMPTS="1", **away)
    made.wait_ready()
    return made


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Everything, until the block ends."""
    for present in (rdp_servers.need, need, needed):
        present()
    with ExitStack() as stack:
        starts = {"Desk": rdp_servers.xrdp, "Classic": classic, "NLA": rdp_servers.shadow}
        servers = {name: stack.enter_context(start(made(folder / name))) for name, start in starts.items()}
        standing = broker(made(folder / "broker"), free_port())
        user = servers["Desk"]
        vnc = stack.enter_context(vnc_server(made(folder / "VNC"), "VncAuth", "800x600"))
        shell = stack.enter_context(ssh_server(made(folder / "Shell")))
        stage = Stage(folder, standing, user.user, user.password, servers, free_port(), vnc, shell)
        stack.callback(lambda: stage.broker.end(signal.SIGINT))
        for number, ports in ((1, VIEWER[:10]), (2, VIEWER[10:])):
            gateway = Gateway(folder / f"gateway-{number}", stage.url, ports)
            stage.gateways.append(gateway)
            stack.callback(gateway.end, signal.SIGKILL)
            gateway.start()
        stage.run("main", json.dumps(configuration(stage)))
        yield stage


def classic(folder: Path) -> AbstractContextManager[Server]:
    """xrdp in Xvnc, which knows no RemoteFX."""
    return rdp_servers.xrdp(folder, "Xvnc")


def configuration(stage: Stage) -> dict[str, Any]:
    """For plant.main()."""
    desk, classic, nla = (stage.servers[name] for name in ("Desk", "Classic", "NLA"))
    desktops = [
        ("Desk", "html5_rdp", desk.port, "{USER}"),
        ("Classic", "html5_rdp", classic.port, classic.user),
        ("NLA", "html5_rdp", nla.port, "{USER}"),
        ("Gone", "html5_rdp", stage.gone, "{USER}"),
        ("Rendered", "html5_screen", desk.port, "{USER}"),
        ("Padded", "html5_screen", classic.port, classic.user),
        ("VNC", "html5_vnc", stage.vnc.port, "{USER}"),
        ("Shell", "html5_ssh", stage.shell.port, stage.shell.user),
        ("Native", "rdp", desk.port, "{USER}"),
    ]
    keys = ("name", "protocol", "port", "user")
    return {
        "login": stage.login, "password": stage.password, "gateways": [each.address for each in stage.gateways],
        "desktops": [dict(zip(keys, each, strict=True)) for each in desktops],
    }  # fmt: skip


def made(folder: Path) -> Path:
    """A folder that other users may reach into."""
    folder.mkdir(parents=True)
    for each in (folder, folder.parent):
        each.chmod(0o755)
    return folder
