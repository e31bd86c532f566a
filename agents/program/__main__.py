"""usher-agent: run, register, test, prepare-image, status, version."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from agents.program import VERSION
from agents.program.check import check
from agents.program.client import Away, Client, Refused
from agents.program.files import alone, read_json
from agents.program.link import Link
from agents.program.loop import Agent
from agents.program.machine import CannotDo
from agents.program.settings import FILE, BadSettings, Settings, load
from agents.program.spool import Spool
from agents.program.state import State
from agents.program.system import this_machine

WORDS = {
    "run": "work until told to stop (what the service does)",
    "register": "introduce this machine to the broker now",
    "test": "say line by line what works; registers where that was not done yet",
    "prepare-image": "forget who this machine is, before an image is made of it",
    "status": "say what is known here, without asking the broker",
    "version": "say which version this is",
}
FLAGS = {
    "broker": "address of the broker, like https://broker.example.com",
    "dns": "domain in which the broker is found: SRV _usher._tcp.<domain>, else usher.<domain>",
    "token": "enrolment string from the broker's page of the center",
    "ca": "file with the CA that signed the broker's certificate, where the enrolment string names none",
    "port": "port to listen on; 0: do not listen",
    "state": "folder for what the agent remembers",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 all is well, 1 it is not, 2 the settings are wrong."""
    said = parsed(arguments)
    if said.command == "version":
        print(VERSION)  # noqa: T201 - the answer
        return 0
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        settings = load(said.config, {name: getattr(said, name) for name in FLAGS})
        return COMMANDS[said.command](settings)
    except BadSettings as error:
        return told(f"usher-agent: {error}", 2)
    except (Refused, Away, CannotDo, OSError) as error:
        return told(f"usher-agent: {error}", 1)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    commands = "\n".join(f"  {name:14} {words}" for name, words in WORDS.items())
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("usher-agent", description=f"commands:\n{commands}", formatter_class=form)
    parser.add_argument("command", choices=WORDS, metavar="command")
    parser.add_argument("--config", type=Path, help=f"settings file, {FILE} where not given; flags win over it")
    for name, words in FLAGS.items():
        parser.add_argument(f"--{name}", help=words)
    return parser.parse_args(arguments)


def told(text: str, code: int) -> int:
    """Say why it ends like this."""
    print(text, file=sys.stderr)  # noqa: T201 - for who called us
    return code


def run(settings: Settings) -> int:
    """The service."""
    Client(settings, settings.state).place()  # wrong settings are said now, not once a minute
    claim = alone(settings.state)
    if claim is None:
        return told(f"usher-agent: another agent works with {settings.state} already.", 1)
    machine = this_machine(settings)
    agent = Agent(settings, machine)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: agent.stop(machine.stop_reason()))
    with claim:
        agent.run()
    return 1 if agent.broken else 0


def register(settings: Settings) -> int:
    """Once, by hand or by an installer."""
    link = linked(settings)
    link.register()
    return told(standing(link.state), 0)


def linked(settings: Settings) -> Link:
    """What a single call needs."""
    machine, state = this_machine(settings), State(settings.state)
    state.settle(machine.facts().fingerprint)
    return Link(settings, machine, state, Client(settings, settings.state))


def test(settings: Settings) -> int:
    """Line by line."""
    lines = list(check(settings, linked(settings)))
    for works, text in lines:
        print(f"{'ok    ' if works else 'FAILED'}  {text}", flush=True)  # noqa: T201 - the answer
    return 0 if all(works for works, _text in lines) else 1


def prepare_image(settings: Settings) -> int:
    """Before an image is made. An agent that runs would write anew what it knows."""
    claim = alone(settings.state)
    if claim is None:
        return told("usher-agent: the agent runs. Stop it first, and leave it stopped until the image is made.", 1)
    claim.close()
    count = State(settings.state).wipe()
    return told(f"{count} files removed from {settings.state}. Make the image before the agent starts again.", 0)


def status(settings: Settings) -> int:
    """From the files alone."""
    state = State(settings.state)
    waiting = len(Spool(settings.state / "spool.jsonl", ""))
    seen = read_json(settings.state / "sessions.json").get("sessions") or []
    for line in (standing(state), f"{waiting} events wait to be told.", f"{len(seen)} sessions at the last look."):
        print(line)  # noqa: T201 - the answer
    return 0 if state.key else 1


def standing(state: State) -> str:
    """Who we are to the broker."""
    if not state.key:
        return "Not registered."
    what = f"as desktop {state.desktop}" if state.desktop else "; no desktop is known for this machine"
    return f"Registered {what}{'' if state.approved else ', waiting for approval'} (uuid {state.uuid})."


COMMANDS = {
    "run": run,
    "register": register,
    "test": test,
    "prepare-image": prepare_image,
    "status": status,
}

if __name__ == "__main__":
    sys.exit(main())
