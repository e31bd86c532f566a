"""What the simulated account holds at its first start."""

from broker.demo.aws import constants
from broker.demo.aws.account import Account
from broker.demo.aws.world import Bundle, Directory, Workspace

_SUBNETS = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]
_OWN = (
    Bundle(constants.CORE_STANDARD, "Usher Core Windows 11 Standard (BYOP)", "", "Windows 11, 2 vCPU, 4 GiB", True),
    Bundle(
        constants.CORE_PERFORMANCE,
        "Usher Core Windows 11 Performance (BYOP)",
        "",
        "Windows 11, 2 vCPU, 8 GiB",
        True,
        "PERFORMANCE",
        80,
        100,
    ),
    Bundle(
        constants.CORE_GRAPHICS,
        "Usher Core Ubuntu Graphics (BYOP)",
        "",
        "Ubuntu 22.04, 4 vCPU, 16 GiB, one GPU",
        True,
        "GRAPHICS_G4DN",
        100,
        100,
    ),
    Bundle(constants.ORDINARY_CUSTOM, "Office Windows 10", "", "An ordinary custom bundle (not Core)"),
    Bundle(constants.STANDBY_CUSTOM, "Office Windows 10 standby", "", "Standby", bundle_type="STANDBY"),
    Bundle(constants.BROKEN_CUSTOM, "Import that failed", "", "Never became available", state="ERROR"),
)
_AMAZON = [
    (compute, system)
    for system in ("Windows 10", "Windows 11", "Amazon Linux 2", "Ubuntu 22.04", "Red Hat Enterprise Linux 8")
    for compute in ("VALUE", "STANDARD", "PERFORMANCE", "POWER", "POWERPRO", "GRAPHICS_G4DN")
]
# user, WorkspaceName, bundle, state, running mode, AWS's error
_ROWS: tuple[tuple[str, str, str, str, str, str], ...] = (
    ("bob", "", constants.CORE_STANDARD, "AVAILABLE", "MANUAL", ""),
    ("carol", "", constants.CORE_STANDARD, "STOPPED", "MANUAL", ""),
    ("dave", "", constants.CORE_PERFORMANCE, "AVAILABLE", "ALWAYS_ON", ""),
    ("erin", "", constants.ORDINARY_CUSTOM, "STOPPED", "AUTO_STOP", ""),
    ("frank", "", constants.CORE_STANDARD, "UNHEALTHY", "MANUAL", ""),
    ("grace", "", constants.CORE_STANDARD, "ERROR", "MANUAL", "DomainJoinError"),
    (constants.UNDEFINED, "shared-win11-01", constants.CORE_STANDARD, "AVAILABLE", "MANUAL", ""),
    (constants.UNDEFINED, "shared-win11-02", constants.CORE_STANDARD, "STOPPED", "MANUAL", ""),
)


def fill(account: Account, kind: str = "demo") -> None:
    """`demo`: directories, bundles, eight WorkSpaces. `empty`: no WorkSpaces. `many:N`: N of them in one directory."""
    _directories(account)
    _bundles(account)
    if kind == "demo":
        for user, name, bundle, state, mode, error in _ROWS:
            row = _row(account, user, bundle, state, mode)
            row.workspace_name = name
            row.error_code = error
            row.error_message = "The WorkSpace could not join the directory." if error else ""
    elif kind.startswith("many:"):
        for number in range(int(kind.removeprefix("many:"))):
            state = "AVAILABLE" if number % 2 else "STOPPED"
            _row(account, f"user{number:05}", constants.CORE_STANDARD, state, "MANUAL")
    elif kind != "empty":
        raise ValueError(f"no seed named {kind!r}: use demo, empty or many:N")


def _directories(account: Account) -> None:
    dns = ["10.0.0.2", "10.0.1.2"]
    for ref, name, kind in (
        (constants.CORP_DIRECTORY, "corp.example.test", "SIMPLE_AD"),
        (constants.LAB_DIRECTORY, "lab.example.test", "AD_CONNECTOR"),
    ):
        account.directories[ref] = Directory(ref, name, ref, kind, subnet_ids=list(_SUBNETS), dns_addresses=dns)


def _bundles(account: Account) -> None:
    now = account.clock.now()
    for number, bundle in enumerate(_OWN):
        own = {
            **vars(bundle),
            "owner": account.id,
            "image_id": f"wsi-usher{number:04}",
            "created": now - 86400 + number,
        }
        account.bundles[bundle.id] = Bundle(**own)
    for number, (compute, system) in enumerate(_AMAZON):
        ref = f"wsb-amazon{number:03}"
        name = f"{compute.title()} with {system}"
        account.bundles[ref] = Bundle(ref, name, "AMAZON", name, compute_type=compute, created=float(number))


def _row(account: Account, user: str, bundle_id: str, state: str, mode: str) -> Workspace:
    bundle = account.bundles[bundle_id]
    row = Workspace(
        id=account.new_id(),
        directory_id=constants.CORP_DIRECTORY,
        user_name=user,
        bundle_id=bundle_id,
        state=state,
        running_mode=mode,
        created=account.clock.now() - 3600 + len(account.workspaces) / 1000,
        computer_name=account.new_computer_name(),
        ip_address=account.new_address(),
        subnet_id=_SUBNETS[len(account.workspaces) % 2],
        root_gb=bundle.root_gb,
        user_gb=bundle.user_gb,
        compute_type=bundle.compute_type,
        protocols=[] if bundle.core else ["WSP"],
        auto_stop_minutes=60 if mode == "AUTO_STOP" else 0,
    )
    account.workspaces[row.id] = row
    return row
