"""What the account holds: directories, bundles, WorkSpaces, and how a WorkSpace moves with time. Pure."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Timings:
    """Seconds that AWS takes. The demo's are shorter than the real ones, and `--speed` divides them."""

    pending: float = 45.0
    starting: float = 20.0
    stopping: float = 15.0
    rebooting: float = 20.0
    rebuilding: float = 40.0
    terminating: float = 15.0
    updating: float = 20.0
    describe_lag: float = 3.0  # a new id is not describable at once (AWS API: DescribeWorkspaces)
    power_lag: float = 2.0  # StartWorkspaces and the like answer before the state moves

    def scaled(self, speed: float) -> "Timings":
        """The same, `speed` times as fast."""
        return Timings(**{name: seconds / speed for name, seconds in asdict(self).items()})


@dataclass
class Step:
    """A change that is due at `at`: a new state, and what else changes with it (field names of Workspace)."""

    at: float
    state: str
    changes: dict[str, Any] = field(default_factory=dict)


GONE = "GONE"  # the last step of a termination: the id is no longer describable


@dataclass
class Workspace:
    """One WorkSpace; the names are AWS's, in our spelling."""

    id: str
    directory_id: str
    user_name: str
    bundle_id: str
    state: str
    running_mode: str
    created: float
    visible_from: float = 0.0
    workspace_name: str = ""
    computer_name: str = ""
    ip_address: str = ""
    subnet_id: str = ""
    error_code: str = ""
    error_message: str = ""
    auto_stop_minutes: int = 0
    root_gb: int = 80
    user_gb: int = 50
    compute_type: str = "STANDARD"
    protocols: list[str] = field(default_factory=list)
    encryption_key: str = ""
    encrypt_root: bool = False
    encrypt_user: bool = False
    modifying: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    connected: bool = False
    last_connection: float | None = None
    steps: list[Step] = field(default_factory=list)

    def settle(self, now: float) -> None:
        """Apply what is due by `now`."""
        while self.steps and self.steps[0].at <= now:
            step = self.steps.pop(0)
            self.state = step.state
            for name, value in step.changes.items():
                setattr(self, name, value)

    def plan(self, *steps: Step) -> None:
        """Replace what was to come by `steps`, in order of time."""
        self.steps = list(steps)

    @property
    def gone(self) -> bool:
        """Terminated: no operation knows it any more."""
        return self.state == GONE

    @property
    def on_its_way(self) -> bool:
        """A transition was accepted and is not finished."""
        return bool(self.steps)


@dataclass
class Bundle:
    """A bundle. Whether it is a Core (BYOP) one is known to AWS alone, no answer tells it (SPEC 13.2)."""

    id: str
    name: str
    owner: str
    description: str = ""
    core: bool = False
    compute_type: str = "STANDARD"
    root_gb: int = 80
    user_gb: int = 50
    state: str = "AVAILABLE"
    bundle_type: str = "REGULAR"
    image_id: str = ""
    created: float = 0.0


@dataclass
class Directory:
    """A directory registered with WorkSpaces. `users` empty means: any user name exists."""

    id: str
    name: str
    alias: str
    directory_type: str
    tenancy: str = "DEDICATED"
    state: str = "REGISTERED"
    workspace_type: str = "PERSONAL"
    registration_code: str = "SLiad+DEMO01"
    subnet_ids: list[str] = field(default_factory=list)
    dns_addresses: list[str] = field(default_factory=list)
    security_group_id: str = "sg-0a1b2c3d4e5f60718"
    tags: dict[str, str] = field(default_factory=dict)
    users: list[str] = field(default_factory=list)
