"""The gateway as an SSH client: it knows the server by its pinned key, and signs in with what it has or asks for."""

import asyncio
import hashlib
import logging
from collections.abc import Sequence

import asyncssh

from gateways.program.sessions import Session
from gateways.program.ssh.terminal import Terminal
from gateways.program.viewing import Failed, Gone

SECONDS = 10  # for the server to answer
SIGN_IN_SECONDS = 120  # a person may have to type
TRIES = 3  # at a password
LONGEST_WORDS = 200
logging.getLogger("asyncssh").setLevel(logging.WARNING)  # it tells of each step of each connection


class Client(asyncssh.SSHClient):
    """What asyncssh asks while it connects. Nothing of the gateway's own machine is used: no keys, no files."""

    def __init__(self, session: Session, terminal: Terminal, password: str) -> None:
        self.session, self.terminal, self.password = session, terminal, password
        self.injected = bool(password)  # and not refused yet
        self.asked = 0
        self.gone = False

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Whether it is the pinned one; the first one where none is. It is told to the broker either way."""
        self.session.certificate = hashlib.sha256(key.public_data).hexdigest()
        return self.session.opening.pin.lower() in ("", self.session.certificate)

    async def password_auth_requested(self) -> str | None:
        """The injected password first; then the person's, a few times."""
        if self.password:
            return self._spent()
        return await self._asked("Password: ", echo=False)

    def kbdint_auth_requested(self) -> str | None:
        """Any kind of questions."""
        return ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> Sequence[str] | None:
        """Answers to the server's questions. One for a password, without echo, takes the injected one."""
        if len(prompts) == 1 and self.password and not prompts[0][1] and "password" in prompts[0][0].lower():
            return [self._spent()]
        if name or instructions:
            await self.terminal.show(f"{name}\n{instructions}\n".lstrip())
        answers = [await self._asked(prompt, echo=echo) for prompt, echo in prompts]
        known = [each for each in answers if each is not None]
        return known if len(known) == len(answers) else None

    def _spent(self) -> str:
        password, self.password = self.password, ""
        return password

    async def _asked(self, prompt: str, *, echo: bool) -> str | None:
        """None where the person is gone or has had their tries: then asyncssh tries no more this way."""
        self.asked += 1
        if self.gone or self.asked > TRIES * 2:
            return None
        try:
            if self.injected:
                self.injected = False
                await self.terminal.show("The password of your sign-in is not accepted here.\n")
            return await self.terminal.ask(prompt, echo=echo)
        except Gone:
            self.gone = True
            return None


async def connect(session: Session, terminal: Terminal) -> asyncssh.SSHClientConnection:
    """Signed in. Raises Failed or Gone."""
    opening = session.opening
    login = opening.login or await terminal.ask("Login: ", echo=True)
    client = Client(session, terminal, session.spend_password())
    ways = ["password", "keyboard-interactive"]
    try:
        async with asyncio.timeout(SIGN_IN_SECONDS):
            return await asyncssh.connect(
                opening.host, opening.port, client_factory=lambda: client, username=login, known_hosts=([], [], []),
                config=None, client_keys=None, agent_path=None, gss_host=None, disable_trivial_auth=False,
                preferred_auth=ways if client.password else ways[::-1], connect_timeout=SECONDS,
                login_timeout=SIGN_IN_SECONDS, keepalive_interval=60, client_version="Usher",
            )  # fmt: skip
    except TimeoutError:
        raise Failed(
            f"The desktop does not answer on port {opening.port}, or nobody signed in in time.", code="unreachable"
        ) from None
    except asyncssh.HostKeyNotVerifiable:
        words = "The SSH host key of the desktop is not the one that is known. Nothing was sent to it."
        raise Failed(f"{words} It shows {session.certificate or 'none'}.", code="certificate") from None
    except asyncssh.PermissionDenied:
        if client.gone:
            raise Gone from None
        raise Failed("The desktop does not accept the name or the password.") from None
    except OSError:
        raise Failed(f"The desktop does not answer on port {opening.port}.", code="unreachable") from None
    except asyncssh.Error as error:
        raise Failed(f"The SSH server broke off: {plain(error.reason)}.") from None
    finally:
        client.password = ""


def plain(words: str) -> str:
    """What a server says, fit to be shown."""
    return "".join(filter(str.isprintable, words))[:LONGEST_WORDS]
