"""ModifyWorkspaceProperties, ModifyWorkspaceState, and tags."""

from typing import Any

from broker.demo.aws.account import Account
from broker.demo.aws.create import check_mode
from broker.demo.aws.errors import AwsError, ItemError
from broker.demo.aws.world import Directory, Step, Workspace

Params = dict[str, Any]
Answer = dict[str, Any]

_MODIFIABLE = ("AVAILABLE", "STOPPED", "IMPAIRED", "UNHEALTHY", "ERROR")
_SIZES = {
    "RootVolumeSizeGib": ("root_gb", "ROOT_VOLUME"),
    "UserVolumeSizeGib": ("user_gb", "USER_VOLUME"),
    "ComputeTypeName": ("compute_type", "COMPUTE_TYPE"),
}


def modify_properties(account: Account, params: Params) -> Answer:
    """AWS API: ModifyWorkspaceProperties: the running mode at once; sizes and compute type through UPDATING."""
    properties = params.get("WorkspaceProperties") or {}
    with account.at_present() as now:
        row = _known(account, params["WorkspaceId"], now)
        if row.state == "UPDATING":
            raise AwsError("OperationInProgressException", "The properties of this WorkSpace are being modified.")
        if row.state not in _MODIFIABLE:
            raise AwsError("InvalidResourceStateException", f"The WorkSpace is {row.state}.")
        _set_mode(account, row, properties)
        _resize(account, row, properties, now)
    return {}


def _set_mode(account: Account, row: Workspace, properties: Params) -> None:
    mode = properties.get("RunningMode")
    if not mode:
        return
    try:
        check_mode(mode, account.bundles.get(row.bundle_id))
    except ItemError as error:
        raise AwsError("UnsupportedWorkspaceConfigurationException", error.message) from error
    row.running_mode = mode
    row.auto_stop_minutes = properties.get("RunningModeAutoStopTimeoutInMinutes", 60) if mode == "AUTO_STOP" else 0


def _resize(account: Account, row: Workspace, properties: Params, now: float) -> None:
    wanted = {name: properties[name] for name in _SIZES if name in properties}
    if not wanted:
        return
    changes: dict[str, Any] = {_SIZES[name][0]: value for name, value in wanted.items()}
    row.modifying = [_SIZES[name][1] for name in wanted]
    before, row.state = row.state, "UPDATING"
    row.plan(Step(now + account.timings.updating, before, {**changes, "modifying": []}))


def modify_state(account: Account, params: Params) -> Answer:
    """AWS API: ModifyWorkspaceState: AVAILABLE to ADMIN_MAINTENANCE and back."""
    wanted = params["WorkspaceState"]
    with account.at_present() as now:
        row = _known(account, params["WorkspaceId"], now)
        if row.state not in ("AVAILABLE", "ADMIN_MAINTENANCE"):
            raise AwsError("InvalidResourceStateException", f"The WorkSpace is {row.state}.")
        row.state = wanted
        row.plan()
    return {}


def create_tags(account: Account, params: Params) -> Answer:
    """AWS API: CreateTags."""
    with account.at_present() as now:
        tags = _taggable(account, params["ResourceId"], now).tags
        tags.update({tag["Key"]: tag.get("Value", "") for tag in params["Tags"]})
        if len(tags) > 50:
            raise AwsError("ResourceLimitExceededException", "Your resource limits have been exceeded.")
    return {}


def describe_tags(account: Account, params: Params) -> Answer:
    """AWS API: DescribeTags."""
    with account.at_present() as now:
        tags = _taggable(account, params["ResourceId"], now).tags
        return {"TagList": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _taggable(account: Account, ref: str, now: float) -> Workspace | Directory:
    if ref in account.directories:
        return account.directories[ref]
    return _known(account, ref, now)


def _known(account: Account, ref: str, now: float) -> Workspace:
    row = account.workspaces.get(ref)
    if row is None or row.visible_from > now:
        raise AwsError("ResourceNotFoundException", "The resource could not be found.")
    return row
