"""The simulated account starts, stops, reboots and rebuilds under AWS's conditions, and answers before it acts."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from broker.demo.aws.server import Simulator
from tests.aws_simulator import client, of_user, simulator

KEYS = {
    "start": "StartWorkspaceRequests",
    "stop": "StopWorkspaceRequests",
    "reboot": "RebootWorkspaceRequests",
    "rebuild": "RebuildWorkspaceRequests",
}


@pytest.fixture
def aws() -> Iterator[Simulator]:
    with simulator() as running:
        yield running
        assert running.desk.problems == []


def ask(aws: Simulator, what: str, ref: str) -> str:
    """The error code of the item, or ""."""
    call = getattr(client(aws), f"{what}_workspaces")
    failed: list[Any] = call(**{KEYS[what]: [{"WorkspaceId": ref}]})["FailedRequests"]
    return str(failed[0]["ErrorCode"]) if failed else ""


def seen(aws: Simulator, user: str) -> Any:
    return client(aws).describe_workspaces(WorkspaceIds=[of_user(aws, user).id])["Workspaces"][0]


def test_a_start_is_answered_before_the_state_moves(aws: Simulator) -> None:
    assert ask(aws, "start", of_user(aws, "carol").id) == ""
    assert seen(aws, "carol")["State"] == "STOPPED"
    aws.account.clock.step(3)
    assert seen(aws, "carol")["State"] == "STARTING"
    aws.account.clock.step(20)
    assert seen(aws, "carol")["State"] == "AVAILABLE"


def test_a_second_start_changes_nothing(aws: Simulator) -> None:
    ask(aws, "start", of_user(aws, "carol").id)
    aws.account.clock.step(1.5)
    assert ask(aws, "start", of_user(aws, "carol").id) == ""
    aws.account.clock.step(1)
    assert seen(aws, "carol")["State"] == "STARTING"


def test_a_stop_passes_through_stopping_and_keeps_the_address(aws: Simulator) -> None:
    address = seen(aws, "bob")["IpAddress"]
    assert ask(aws, "stop", of_user(aws, "bob").id) == ""
    assert seen(aws, "bob")["State"] == "AVAILABLE"
    aws.account.clock.step(3)
    assert seen(aws, "bob")["State"] == "STOPPING"
    aws.account.clock.step(15)
    assert (seen(aws, "bob")["State"], seen(aws, "bob")["IpAddress"]) == ("STOPPED", address)


def test_always_on_is_neither_started_nor_stopped_but_rebooted(aws: Simulator) -> None:
    ref = of_user(aws, "dave").id
    assert ask(aws, "stop", ref) == ask(aws, "start", ref) == "OperationNotSupportedException"
    assert ask(aws, "reboot", ref) == ""
    aws.account.clock.step(3)
    assert seen(aws, "dave")["State"] == "REBOOTING"
    aws.account.clock.step(20)
    assert seen(aws, "dave")["State"] == "AVAILABLE"


def test_a_rebuild_gives_a_new_address(aws: Simulator) -> None:
    address = seen(aws, "bob")["IpAddress"]
    assert ask(aws, "rebuild", of_user(aws, "bob").id) == ""
    assert seen(aws, "bob")["State"] == "REBUILDING"
    aws.account.clock.step(60)
    assert seen(aws, "bob")["State"] == "AVAILABLE"
    assert seen(aws, "bob")["IpAddress"] != address


ALL = (
    *("PENDING", "AVAILABLE", "IMPAIRED", "UNHEALTHY", "REBOOTING", "STARTING", "REBUILDING", "RESTORING"),
    *("MAINTENANCE", "ADMIN_MAINTENANCE", "TERMINATING", "SUSPENDED", "UPDATING", "STOPPING", "STOPPED", "ERROR"),
)
TAKEN = {
    "start": {"STOPPED"},
    "stop": {"AVAILABLE", "IMPAIRED", "UNHEALTHY", "ERROR"},
    "reboot": {"AVAILABLE", "UNHEALTHY", "REBOOTING"},
    "rebuild": {"AVAILABLE", "ERROR", "UNHEALTHY", "STOPPED", "REBOOTING"},
}


@pytest.mark.parametrize("what", sorted(KEYS))
def test_only_the_documented_states_take_it(aws: Simulator, what: str) -> None:
    row = of_user(aws, "bob")
    taken = set()
    for state in ALL:
        row.state = state
        row.plan()
        if ask(aws, what, row.id) == "":
            taken.add(state)
    assert taken == TAKEN[what]


def test_stopping_and_starting_heals_an_unhealthy_one(aws: Simulator) -> None:
    ref = of_user(aws, "frank").id
    ask(aws, "stop", ref)
    aws.account.clock.step(30)
    ask(aws, "start", ref)
    aws.account.clock.step(30)
    assert seen(aws, "frank")["State"] == "AVAILABLE"


def test_the_running_mode_changes_within_what_the_bundle_allows(aws: Simulator) -> None:
    modify = client(aws).modify_workspace_properties
    modify(WorkspaceId=of_user(aws, "dave").id, WorkspaceProperties={"RunningMode": "MANUAL"})
    assert seen(aws, "dave")["WorkspaceProperties"]["RunningMode"] == "MANUAL"
    with pytest.raises(ClientError, match="UnsupportedWorkspaceConfigurationException"):
        modify(WorkspaceId=of_user(aws, "dave").id, WorkspaceProperties={"RunningMode": "AUTO_STOP"})
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        modify(WorkspaceId="ws-000000000", WorkspaceProperties={"RunningMode": "MANUAL"})


def test_a_larger_compute_type_passes_through_updating(aws: Simulator) -> None:
    modify = client(aws).modify_workspace_properties
    modify(WorkspaceId=of_user(aws, "bob").id, WorkspaceProperties={"ComputeTypeName": "POWER"})
    assert seen(aws, "bob")["State"] == "UPDATING"
    assert seen(aws, "bob")["ModificationStates"][0]["Resource"] == "COMPUTE_TYPE"
    with pytest.raises(ClientError, match="OperationInProgressException"):
        modify(WorkspaceId=of_user(aws, "bob").id, WorkspaceProperties={"RunningMode": "ALWAYS_ON"})
    aws.account.clock.step(30)
    assert seen(aws, "bob")["WorkspaceProperties"]["ComputeTypeName"] == "POWER"


def test_admin_maintenance_holds_off_every_power_operation(aws: Simulator) -> None:
    ref = of_user(aws, "bob").id
    client(aws).modify_workspace_state(WorkspaceId=ref, WorkspaceState="ADMIN_MAINTENANCE")
    assert {ask(aws, what, ref) for what in KEYS} == {"InvalidResourceStateException"}
    client(aws).modify_workspace_state(WorkspaceId=ref, WorkspaceState="AVAILABLE")
    assert ask(aws, "stop", ref) == ""
    with pytest.raises(ClientError, match="InvalidResourceStateException"):
        client(aws).modify_workspace_state(WorkspaceId=of_user(aws, "carol").id, WorkspaceState="ADMIN_MAINTENANCE")


def test_the_connection_status_of_a_stopped_one_is_unknown(aws: Simulator) -> None:
    of_user(aws, "bob").connected = True
    rows = client(aws).describe_workspaces_connection_status()["WorkspacesConnectionStatus"]
    states = {row["WorkspaceId"]: row["ConnectionState"] for row in rows}
    assert [states[of_user(aws, user).id] for user in ("bob", "carol", "dave")] == [
        "CONNECTED",
        "UNKNOWN",
        "DISCONNECTED",
    ]
