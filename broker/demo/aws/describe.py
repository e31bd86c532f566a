"""The operations that only read."""

import base64
import binascii
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from broker.demo.aws.account import Account
from broker.demo.aws.errors import AwsError
from broker.demo.aws.world import Bundle, Directory, Workspace

PAGE = 25
_FILTERS = ("WorkspaceIds", "DirectoryId", "BundleId", "WorkspaceName")
Params = dict[str, Any]
Answer = dict[str, Any]
Row = TypeVar("Row", Workspace, Bundle, Directory)


def describe_workspaces(account: Account, params: Params) -> Answer:
    """AWS API: DescribeWorkspaces. One filter only; UserName goes with DirectoryId; an unknown id is simply absent."""
    given = [name for name in _FILTERS if params.get(name)]
    if len(given) > 1:
        raise _invalid(
            "An invalid number of parameters provided with DescribeWorkspaces. Only one of the following are allowed "
            "to be specified: BundleId, DirectoryId, WorkSpaceIds, WorkspaceName."
        )
    if params.get("UserName") and given != ["DirectoryId"]:
        raise _invalid("The DirectoryId parameter is required when UserName is used.")
    with account.at_present() as now:
        wanted = _filter(params)
        rows = [row for row in account.workspaces.values() if row.visible_from <= now and wanted(row)]
        page, token = _page(rows, params)
        return {"Workspaces": [shown(row) for row in page], **token}


def _filter(params: Params) -> Callable[[Workspace], bool]:
    ids = set(params.get("WorkspaceIds") or ())
    if ids:
        return lambda row: row.id in ids
    if params.get("WorkspaceName"):
        return lambda row: row.workspace_name == params["WorkspaceName"]
    if params.get("BundleId"):
        return lambda row: row.bundle_id == params["BundleId"]
    directory, user = params.get("DirectoryId"), (params.get("UserName") or "").lower()
    return lambda row: (not directory or row.directory_id == directory) and (not user or row.user_name.lower() == user)


def shown(row: Workspace) -> Answer:
    """A WorkSpace as DescribeWorkspaces tells it: empty things are left out. No timestamps, no tags (RULES 25, 28)."""
    properties = {
        "RunningMode": row.running_mode,
        "RunningModeAutoStopTimeoutInMinutes": row.auto_stop_minutes,
        "RootVolumeSizeGib": row.root_gb,
        "UserVolumeSizeGib": row.user_gb,
        "ComputeTypeName": row.compute_type,
        "Protocols": row.protocols,
    }
    answer = {
        "WorkspaceId": row.id,
        "DirectoryId": row.directory_id,
        "UserName": row.user_name,
        "IpAddress": row.ip_address,
        "State": row.state,
        "BundleId": row.bundle_id,
        "SubnetId": row.subnet_id,
        "ErrorMessage": row.error_message,
        "ErrorCode": row.error_code,
        "ComputerName": row.computer_name,
        "VolumeEncryptionKey": row.encryption_key,
        "UserVolumeEncryptionEnabled": row.encrypt_user,
        "RootVolumeEncryptionEnabled": row.encrypt_root,
        "WorkspaceName": row.workspace_name,
        "WorkspaceProperties": _filled(properties),
        "ModificationStates": [{"Resource": what, "State": "UPDATE_IN_PROGRESS"} for what in row.modifying],
    }
    return _filled(answer)


def describe_directories(account: Account, params: Params) -> Answer:
    """AWS API: DescribeWorkspaceDirectories. An unknown id is simply absent."""
    ids = params.get("DirectoryIds")
    with account.at_present():
        rows = [row for row in account.directories.values() if not ids or row.id in ids]
        for clause in params.get("Filters") or ():
            if clause["Name"] == "WORKSPACE_TYPE":
                rows = [row for row in rows if row.workspace_type in clause["Values"]]
        page, token = _page(rows, params)
        return {"Directories": [_directory(account, row) for row in page], **token}


def _directory(account: Account, row: Directory) -> Answer:
    return {
        "DirectoryId": row.id,
        "Alias": row.alias,
        "DirectoryName": row.name,
        "RegistrationCode": row.registration_code,
        "SubnetIds": row.subnet_ids,
        "DnsIpAddresses": row.dns_addresses,
        "CustomerUserName": "Administrator",
        "IamRoleId": f"arn:aws:iam::{account.id}:role/workspaces_DefaultRole",
        "DirectoryType": row.directory_type,
        "WorkspaceSecurityGroupId": row.security_group_id,
        "State": row.state,
        "Tenancy": row.tenancy,
        "WorkspaceType": row.workspace_type,
        "UserIdentityType": "AWS_DIRECTORY_SERVICE",
        "WorkspaceCreationProperties": {"EnableInternetAccess": True, "UserEnabledAsLocalAdministrator": False},
    }


def describe_bundles(account: Account, params: Params) -> Answer:
    """AWS API: DescribeWorkspaceBundles. Without Owner: the account's own; AMAZON: Amazon's."""
    ids, owner = params.get("BundleIds"), params.get("Owner")
    if ids and owner:
        raise _invalid("BundleIds cannot be combined with Owner.")
    with account.at_present():
        rows = [
            row for row in account.bundles.values() if (row.id in ids if ids else row.owner == (owner or account.id))
        ]
        page, token = _page(rows, params)
        return {"Bundles": [_bundle(row) for row in page], **token}


def _bundle(row: Bundle) -> Answer:
    answer = {
        "BundleId": row.id,
        "Name": row.name,
        "Owner": row.owner,
        "Description": row.description,
        "ImageId": row.image_id,
        "RootStorage": {"Capacity": str(row.root_gb)},
        "UserStorage": {"Capacity": str(row.user_gb)},
        "ComputeType": {"Name": row.compute_type},
        "State": row.state,
        "BundleType": row.bundle_type,
        "CreationTime": datetime.fromtimestamp(row.created, UTC),
        "LastUpdatedTime": datetime.fromtimestamp(row.created, UTC),
    }
    return _filled(answer)


def describe_connections(account: Account, params: Params) -> Answer:
    """AWS API: DescribeWorkspacesConnectionStatus: about AWS's own clients; UNKNOWN while not AVAILABLE (SPEC 13.2)."""
    ids = params.get("WorkspaceIds")
    with account.at_present() as now:
        rows = [row for row in account.workspaces.values() if row.visible_from <= now and (not ids or row.id in ids)]
        page, token = _page(rows, params)
        return {"WorkspacesConnectionStatus": [_connection(row, now) for row in page], **token}


def _connection(row: Workspace, now: float) -> Answer:
    state = "UNKNOWN"
    if row.state == "AVAILABLE":
        state = "CONNECTED" if row.connected else "DISCONNECTED"
    answer = {
        "WorkspaceId": row.id,
        "ConnectionState": state,
        "ConnectionStateCheckTimestamp": datetime.fromtimestamp(now, UTC),
    }
    if row.last_connection is not None:
        answer["LastKnownUserConnectionTimestamp"] = datetime.fromtimestamp(row.last_connection, UTC)
    return answer


def _page(rows: list[Row], params: Params) -> tuple[list[Row], dict[str, str]]:
    """At most 25 rows, and the token of the next page: it names the last row, so that deletions shift nothing.

    Rows come oldest first, as the account keeps them.
    """
    token = params.get("NextToken")
    if token:
        rows = _after(rows, token)
    limit = min(params.get("Limit") or PAGE, PAGE)
    page = rows[:limit]
    if len(rows) > limit:
        position = f"{getattr(page[-1], 'created', 0)!r} {page[-1].id}"
        return page, {"NextToken": base64.urlsafe_b64encode(position.encode()).decode()}
    return page, {}


def _after(rows: list[Row], token: str) -> list[Row]:
    try:
        created, ref = base64.urlsafe_b64decode(token.encode()).decode().split(" ")
        last = (float(created), ref)
    except (binascii.Error, ValueError) as error:
        raise _invalid("The NextToken is invalid.") from error
    if any(row.id == ref for row in rows):
        return list(itertools.dropwhile(lambda row: row.id != ref, rows))[1:]
    return [row for row in rows if (getattr(row, "created", 0), row.id) > last]


def _filled(values: Answer) -> Answer:
    return {name: value for name, value in values.items() if value not in ("", [], {}, None, 0, False)}


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValuesException", message)
