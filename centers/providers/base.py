"""What every provider of desktops can do, in words that know no database row (DESIGN 6)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar


class ProviderError(Exception):
    """No: asking again changes nothing. `message` is for an administrator, `code` is the provider's own or ""."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class ProviderBusy(ProviderError):
    """Not now: ask again, after `retry_after` seconds when known.

    `maybe_done`: the call may have taken effect although no answer came; look before asking again (RULES 25).
    """

    def __init__(
        self, message: str, code: str = "", *, retry_after: float | None = None, maybe_done: bool = False
    ) -> None:
        super().__init__(message, code)
        self.retry_after = retry_after
        self.maybe_done = maybe_done


class PowerOp(StrEnum):
    """What can be asked of a machine's power."""

    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    REBUILD = "rebuild"


class Power(StrEnum):
    """The broker's power states (SPEC 13.3)."""

    RUNNING = "running"
    STOPPED = "stopped"
    STARTING = "starting"
    STOPPING = "stopping"
    MAINTENANCE = "maintenance"
    UNHEALTHY = "unhealthy"
    SUSPENDED = "suspended"
    ERROR = "error"
    DELETING = "deleting"
    UNKNOWN = "unknown"


class Level(StrEnum):
    """How much a finding of Test matters."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a center's Test."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class RemoteDesktop:
    """A desktop as its provider tells it. Times are not among it: DescribeWorkspaces has none (RULES 28)."""

    ref: str
    name: str  # ComputerName, else WorkspaceName, else ref (CONTRACTS 3)
    raw_state: str
    power: Power
    computer_name: str = ""
    workspace_name: str = ""
    bound_user: str = ""  # "" = bound to nobody
    decoupled: bool = False
    address: str = ""
    error_code: str = ""
    error_message: str = ""
    running_mode: str = ""
    bundle_ref: str = ""
    compute_type: str = ""
    root_gb: int = 0
    user_gb: int = 0
    directory: str = ""
    subnet: str = ""
    protocols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """An image that desktops can be deployed from."""

    ref: str
    name: str
    description: str = ""
    compute_type: str = ""
    root_gb: int = 0
    user_gb: int = 0
    state: str = ""
    owner: str = ""
    image_ref: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RemoteDirectory:
    """A directory that desktops can be joined to."""

    ref: str
    name: str
    kind: str
    state: str
    tenancy: str
    personal: bool


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """One desktop to create. `user_name` is the sAMAccountName (RULES 6); "" makes a user-decoupled one.

    What stands below `tags` exists only at creation (RULES 28); 0 and "" mean: as the image says.
    """

    directory: str
    bundle: str
    user_name: str = ""
    workspace_name: str = ""
    running_mode: str = "MANUAL"
    tags: Mapping[str, str] = field(default_factory=dict)
    root_gb: int = 0
    user_gb: int = 0
    compute_type: str = ""
    encryption_key: str = ""  # KMS key ARN; encrypts both volumes


@dataclass(frozen=True, slots=True)
class DeployResult:
    """What became of one request: `ref`, or an error in words.

    `exists`: the user has one already (adopt it, RULES 25). `retry`: not now. `maybe_done`: no answer came, look first.
    """

    ref: str = ""
    error_code: str = ""
    error_message: str = ""
    exists: bool = False
    retry: bool = False
    maybe_done: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item of a power or delete call. `retry`: not now, ask again."""

    ref: str
    ok: bool
    code: str = ""
    message: str = ""
    retry: bool = False


@dataclass(frozen=True)
class ProviderConfig:
    """How to reach an account. `auth`: access_key, default (the environment's chain, instance role), assume_role.

    assume_role starts from the access key when one is given, else from the default chain.
    """

    region: str
    directory_id: str = ""
    auth: str = "access_key"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    role_arn: str = ""
    external_id: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)  # may hold a password


def no_guard() -> None:
    """The default guard: allows every call."""


class Provider(ABC):
    """A source of desktops. Raises ProviderError and ProviderBusy only.

    `guard` is called before each network call; callers pass their check that no transaction is open (CONTRACTS 5.18).
    """

    kind: ClassVar[str]
    label: ClassVar[str]

    def __init__(self, config: ProviderConfig, guard: Callable[[], None] = no_guard) -> None:
        self.config = config
        self.guard = guard

    @abstractmethod
    def check(self) -> list[Finding]:
        """Test: does it work, and what will not? Never raises."""

    @abstractmethod
    def pages(self) -> Iterator[list[RemoteDesktop]]:
        """The whole inventory, page by page; an error ends it, and then what was not seen is not missing."""

    @abstractmethod
    def describe(self, refs: Sequence[str]) -> list[RemoteDesktop]:
        """These desktops as they are now; absent ones are absent."""

    @abstractmethod
    def find(self, user_name: str = "", workspace_name: str = "") -> RemoteDesktop | None:
        """The desktop of that user, or of that name; for the look-up after a crash (RULES 25)."""

    @abstractmethod
    def images(self) -> list[RemoteImage]:
        """What can be deployed."""

    @abstractmethod
    def directories(self) -> list[RemoteDirectory]:
        """The directories that a center may use."""

    @abstractmethod
    def deploy(self, requests: Sequence[DeployRequest]) -> list[DeployResult]:
        """Create; one result per request, in order."""

    @abstractmethod
    def power(self, op: PowerOp, refs: Sequence[str]) -> list[Outcome]:
        """Ask for power changes; one outcome per ref, in order. Accepted is not done: the state moves later."""

    @abstractmethod
    def delete(self, refs: Sequence[str]) -> list[Outcome]:
        """Delete for ever; one outcome per ref, in order."""

    @abstractmethod
    def set_running_mode(self, ref: str, mode: str) -> None:
        """Change how the desktop is billed and whether it can be stopped."""
