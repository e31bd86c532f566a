"""The agent as a Windows service: the loop that is the same everywhere, under the Service Control Manager."""

from __future__ import annotations

from pathlib import Path

from agents.program.client import Client
from agents.program.files import log
from agents.program.loop import Agent
from agents.program.machine import CannotDo
from agents.program.settings import FILE, BadSettings, load
from agents.program.windows.api import Api
from agents.program.windows.control import Reaction
from agents.program.windows.host import Host
from agents.program.windows.service import Service

BEFORE_SLEEP = 2.0  # seconds that a suspension may be held up


class Running:
    """One agent and the service around it."""

    def __init__(self, api: Api, folder: Path) -> None:
        """`folder` is where the settings lie and the state: what the installer said, whatever a service's variables."""
        self._api, self._folder = api, folder
        self._agent: Agent | None = None
        self.service = Service(api, self.work, self.hook)

    def work(self) -> int:
        """The agent from start to end; wrong settings end it with words in the log, and Windows tries again later."""
        try:
            settings = load(self._folder / FILE.name, {"state": self._folder / "state"})
            Client(settings, settings.state).place()
            host = Host(settings, self._api)
            host.going = self.service.ordered
            agent = Agent(settings, host)
        except (BadSettings, CannotDo, OSError) as trouble:
            log.error("The agent cannot start: %s", trouble)
            return 1
        self._agent = agent
        if not self.service.stops:  # told to stop before there was an agent
            agent.run()
        return 1 if agent.broken else 0

    def hook(self, reaction: Reaction) -> None:
        """What Windows orders, passed on; in Windows' thread."""
        agent = self._agent
        if agent is None:
            return
        if reaction.stop:
            agent.stop(self.service.reason)
        if reaction.look:
            agent.changed.set()
        if reaction.sleep:
            agent.suspends(BEFORE_SLEEP)
        if reaction.awake:
            agent.resumes()


def run_service(api: Api, folder: Path) -> int:
    """Blocks until the service has stopped. Raises CannotDo outside of a service."""
    Running(api, folder).service.run()
    return 0
