"""CreateWorkspaces and TerminateWorkspaces."""

from typing import Any

from broker.demo.aws.account import Account
from broker.demo.aws.constants import UNDEFINED
from broker.demo.aws.describe import shown
from broker.demo.aws.errors import AwsError, ItemError
from broker.demo.aws.power import each
from broker.demo.aws.world import GONE, Bundle, Directory, Step, Workspace

Params = dict[str, Any]
Answer = dict[str, Any]


def create_workspaces(account: Account, params: Params) -> Answer:
    """AWS API: CreateWorkspaces. Each request is served or refused alone; there is no idempotency token (RULES 25)."""
    pending: list[Answer] = []
    failed: list[Answer] = []
    with account.at_present() as now:
        _keep_quota(account, len(params["Workspaces"]))
        for request in params["Workspaces"]:
            try:
                pending.append(shown(_create(account, request, now)))
            except ItemError as error:
                failed.append({"WorkspaceRequest": request, "ErrorCode": error.code, "ErrorMessage": error.message})
    return {"FailedRequests": failed, "PendingRequests": pending}


def _keep_quota(account: Account, more: int) -> None:
    if account.quota and len(account.workspaces) + more > account.quota:
        raise AwsError("ResourceLimitExceededException", "Your resource limits have been exceeded.")


def _create(account: Account, request: Params, now: float) -> Workspace:
    directory = _directory(account, request)
    bundle = _bundle(account, request)
    _check_user(account, directory, bundle, request)
    properties = request.get("WorkspaceProperties") or {}
    mode = _running_mode(properties, bundle)
    row = Workspace(
        id=account.new_id(),
        directory_id=directory.id,
        user_name=request["UserName"],
        bundle_id=bundle.id,
        state="PENDING",
        running_mode=mode,
        created=now,
        visible_from=now + account.timings.describe_lag,
        workspace_name=request.get("WorkspaceName", ""),
        subnet_id=directory.subnet_ids[len(account.workspaces) % len(directory.subnet_ids)],
        auto_stop_minutes=properties.get("RunningModeAutoStopTimeoutInMinutes", 60) if mode == "AUTO_STOP" else 0,
        root_gb=properties.get("RootVolumeSizeGib", bundle.root_gb),
        user_gb=properties.get("UserVolumeSizeGib", bundle.user_gb),
        compute_type=properties.get("ComputeTypeName", bundle.compute_type),
        protocols=[] if bundle.core else properties.get("Protocols", ["WSP"]),
        encryption_key=request.get("VolumeEncryptionKey", ""),
        encrypt_root=request.get("RootVolumeEncryptionEnabled", False),
        encrypt_user=request.get("UserVolumeEncryptionEnabled", False),
        tags={tag["Key"]: tag.get("Value", "") for tag in request.get("Tags") or ()},
    )
    born = {"ip_address": account.new_address(), "computer_name": account.new_computer_name()}
    row.plan(Step(now + account.timings.pending, "AVAILABLE", born))
    account.workspaces[row.id] = row
    return row


def _directory(account: Account, request: Params) -> Directory:
    directory = account.directories.get(request["DirectoryId"])
    if directory is None or directory.state != "REGISTERED":
        raise ItemError(
            "ResourceNotFound.Directory", "The specified directory could not be found in the specified region."
        )
    return directory


def _bundle(account: Account, request: Params) -> Bundle:
    bundle = account.bundles.get(request["BundleId"])
    if bundle is None:
        raise ItemError("ResourceNotFound.Bundle", f"The bundle '{request['BundleId']}' could not be found.")
    if bundle.state != "AVAILABLE" or bundle.bundle_type == "STANDBY":
        raise ItemError("ResourceUnavailableException", f"The bundle '{bundle.id}' is not available.")
    return bundle


def _check_user(account: Account, directory: Directory, bundle: Bundle, request: Params) -> None:
    user, name = request["UserName"], request.get("WorkspaceName", "")
    if user == UNDEFINED:
        _check_decoupled(bundle, name)
        return
    if name:
        raise ItemError("InvalidParameterValuesException", "WorkspaceName is not applicable if UserName is specified.")
    if directory.users and user.lower() not in [known.lower() for known in directory.users]:
        raise ItemError("ResourceNotFound.User", f"The user '{user}' could not be found in the directory.")
    if account.find_of_user(directory.id, user):
        raise ItemError("ResourceExists.WorkSpace", "A WorkSpace already exists for the specified user.")


def _check_decoupled(bundle: Bundle, name: str) -> None:
    if not name:
        raise ItemError("InvalidParameterValuesException", "WorkspaceName is required if UserName is [UNDEFINED].")
    if not bundle.core:
        raise ItemError(
            "OperationNotSupportedException", "User-decoupled WorkSpaces are only supported by Amazon WorkSpaces Core."
        )


def _running_mode(properties: Params, bundle: Bundle) -> str:
    mode: str = properties.get("RunningMode", "ALWAYS_ON")
    timeout = properties.get("RunningModeAutoStopTimeoutInMinutes")
    if timeout and mode == "ALWAYS_ON":
        raise ItemError(
            "AutoStopTimeoutIsNotApplicableForAnAlwaysOnWorkspace",
            "RunningModeAutoStopTimeoutInMinutes is not applicable for WorkSpace with running mode set to ALWAYS_ON.",
        )
    if timeout and mode == "MANUAL":
        raise ItemError("AutoStopTimeoutIsNotDefaultForManualWorkspace", "The time-out is not applicable.")
    check_mode(mode, bundle)
    return mode


def check_mode(mode: str, bundle: Bundle | None) -> None:
    """AUTO_STOP is not for Core bundles, MANUAL is for them alone (seed ch. 6; AWS API: CreateWorkspaces)."""
    core = bundle is not None and bundle.core
    if mode == "AUTO_STOP" and core:
        raise ItemError("OperationNotSupportedException", "The AUTO_STOP running mode is not supported by this bundle.")
    if mode == "MANUAL" and not core:
        raise ItemError(
            "OperationNotSupportedException", "The MANUAL running mode is only supported by Amazon WorkSpaces Core."
        )


def terminate_workspaces(account: Account, params: Params) -> Answer:
    """AWS API: TerminateWorkspaces: any state but SUSPENDED. The user's place stays taken until it is gone."""
    return each(account, params["TerminateWorkspaceRequests"], _terminate)


def _terminate(account: Account, row: Workspace, now: float) -> None:
    if row.state == "SUSPENDED":
        raise ItemError("InvalidResourceStateException", "The WorkSpace is suspended and cannot be terminated.")
    if row.state == "TERMINATING":
        return
    row.state = "TERMINATING"
    row.plan(Step(now + account.timings.terminating, GONE))
