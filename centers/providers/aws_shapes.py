"""AWS's answers as our dataclasses, and our requests as AWS's. Pure."""

from collections.abc import Mapping
from typing import Any

from centers.providers.base import DeployRequest, RemoteDesktop, RemoteDirectory, RemoteImage
from centers.providers.states import power_of

UNDEFINED = "[UNDEFINED]"  # AWS's user name of a user-decoupled WorkSpace
Answer = Mapping[str, Any]


def desktop(row: Answer) -> RemoteDesktop:
    """A WorkSpace of DescribeWorkspaces."""
    properties = row.get("WorkspaceProperties") or {}
    user, ref = row.get("UserName", ""), row["WorkspaceId"]
    computer, name = row.get("ComputerName", ""), row.get("WorkspaceName", "")
    state = row.get("State", "")
    decoupled = user == UNDEFINED
    return RemoteDesktop(
        ref=ref,
        name=computer or name or ref,
        raw_state=state,
        power=power_of(state),
        computer_name=computer,
        workspace_name=name,
        bound_user="" if decoupled else user,
        decoupled=decoupled,
        address=row.get("IpAddress", ""),
        error_code=row.get("ErrorCode", ""),
        error_message=row.get("ErrorMessage", ""),
        running_mode=properties.get("RunningMode", ""),
        bundle_ref=row.get("BundleId", ""),
        compute_type=properties.get("ComputeTypeName", ""),
        root_gb=properties.get("RootVolumeSizeGib", 0),
        user_gb=properties.get("UserVolumeSizeGib", 0),
        directory=row.get("DirectoryId", ""),
        subnet=row.get("SubnetId", ""),
        protocols=tuple(properties.get("Protocols", ())),
    )


def image(row: Answer) -> RemoteImage:
    """A bundle of DescribeWorkspaceBundles."""
    return RemoteImage(
        ref=row["BundleId"],
        name=row.get("Name", "") or row["BundleId"],
        description=row.get("Description", ""),
        compute_type=(row.get("ComputeType") or {}).get("Name", ""),
        root_gb=_gigabytes(row.get("RootStorage")),
        user_gb=_gigabytes(row.get("UserStorage")),
        state=row.get("State", "AVAILABLE"),
        owner=row.get("Owner", ""),
        image_ref=row.get("ImageId", ""),
        updated_at=row.get("LastUpdatedTime"),
    )


def deployable(row: Answer) -> RemoteImage | None:
    """The bundle, or None: stand-by bundles and those that are not AVAILABLE are hidden (RULES 27)."""
    ready = (row.get("State", "AVAILABLE"), row.get("BundleType", "REGULAR")) == ("AVAILABLE", "REGULAR")
    return image(row) if ready else None


def _gigabytes(storage: Answer | None) -> int:
    text = str((storage or {}).get("Capacity", "0"))
    return int(text) if text.isdigit() else 0


def directory(row: Answer) -> RemoteDirectory:
    """A directory of DescribeWorkspaceDirectories."""
    return RemoteDirectory(
        ref=row["DirectoryId"],
        name=row.get("DirectoryName", "") or row.get("Alias", ""),
        kind=row.get("DirectoryType", ""),
        state=row.get("State", ""),
        tenancy=row.get("Tenancy", ""),
        personal=row.get("WorkspaceType", "PERSONAL") == "PERSONAL",
    )


def workspace_request(request: DeployRequest) -> dict[str, Any]:
    """One item of CreateWorkspaces. The user name goes as given: it is the sAMAccountName (RULES 6)."""
    properties = {
        "RunningMode": request.running_mode,
        "RootVolumeSizeGib": request.root_gb,
        "UserVolumeSizeGib": request.user_gb,
        "ComputeTypeName": request.compute_type,
    }
    item: dict[str, Any] = {
        "DirectoryId": request.directory,
        "UserName": request.user_name or UNDEFINED,
        "BundleId": request.bundle,
        "WorkspaceProperties": {name: value for name, value in properties.items() if value},
    }
    if request.workspace_name:
        item["WorkspaceName"] = request.workspace_name
    if request.tags:
        item["Tags"] = [{"Key": key, "Value": value} for key, value in request.tags.items()]
    if request.encryption_key:
        item["VolumeEncryptionKey"] = request.encryption_key
        item["RootVolumeEncryptionEnabled"] = item["UserVolumeEncryptionEnabled"] = True
    return item


def same_request(sent: Answer, told: Answer) -> bool:
    """Whether AWS's answer `told` is about the item `sent`; user names compare without case."""
    if sent.get("WorkspaceName"):
        return bool(sent["WorkspaceName"] == told.get("WorkspaceName"))
    user: str = told.get("UserName", "")
    return bool(sent["DirectoryId"] == told.get("DirectoryId") and sent["UserName"].lower() == user.lower())
