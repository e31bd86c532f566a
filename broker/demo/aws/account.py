"""The account's state and its lock. Operations work on it; every one of them sees the present time once."""

import ipaddress
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from broker.demo.aws import constants
from broker.demo.aws.clock import Clock
from broker.demo.aws.world import Bundle, Directory, Timings, Workspace

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass
class Account:
    """One AWS account in one region. Take it with `with account.at_present() as now:`."""

    clock: Clock = field(default_factory=Clock)
    timings: Timings = field(default_factory=Timings)
    network: str = "10.0.0.0/16"
    quota: int = 0  # WorkSpaces per region; 0 = none
    directories: dict[str, Directory] = field(default_factory=dict)
    bundles: dict[str, Bundle] = field(default_factory=dict)
    workspaces: dict[str, Workspace] = field(default_factory=dict)
    addresses_given: int = 0
    id: str = constants.ACCOUNT
    region: str = constants.REGION
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @contextmanager
    def at_present(self) -> Iterator[float]:
        """Hold the account, with every due transition applied; gives the present time."""
        with self.lock:
            now = self.clock.now()
            for workspace in self.workspaces.values():
                if workspace.steps:
                    workspace.settle(now)
            for ref in [ref for ref, workspace in self.workspaces.items() if workspace.gone]:
                del self.workspaces[ref]
            yield now

    def new_address(self) -> str:
        """The next address of the network: never one that was given before (a rebuild gets a new one, RULES 3)."""
        network = ipaddress.ip_network(self.network)
        self.addresses_given += 1
        offset = 9 + self.addresses_given  # the first ten are the subnet's own
        return str(network.network_address + offset % (network.num_addresses - 1))

    def new_id(self) -> str:
        """An unused WorkSpace id, in AWS's form."""
        while True:
            ref = "ws-" + _random(9)
            if ref not in self.workspaces:
                return ref

    def new_computer_name(self) -> str:
        """A computer name as WorkSpaces gives them."""
        return "WSAMZN-" + _random(8).upper()

    def find_of_user(self, directory_id: str, user_name: str) -> Workspace | None:
        """The WorkSpace which that user has in that directory; a TERMINATING one counts (RULES 25)."""
        wanted = user_name.lower()
        for workspace in self.workspaces.values():
            if workspace.directory_id == directory_id and workspace.user_name.lower() == wanted:
                return workspace
        return None


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
