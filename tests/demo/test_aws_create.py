"""The simulated account creates and deletes WorkSpaces as AWS does."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from broker.demo.aws import constants
from broker.demo.aws.server import Simulator
from tests.aws_simulator import client, of_user, request, simulator


@pytest.fixture
def aws() -> Iterator[Simulator]:
    with simulator() as running:
        yield running
        assert running.desk.problems == []


def create(aws: Simulator, *items: Any) -> Any:
    return client(aws).create_workspaces(Workspaces=list(items))


def refused(aws: Simulator, item: Any) -> str:
    answer = create(aws, item)
    assert answer["PendingRequests"] == []
    assert answer["FailedRequests"][0]["WorkspaceRequest"]["BundleId"] == item["BundleId"]
    return str(answer["FailedRequests"][0]["ErrorCode"])


def states(aws: Simulator, ref: str) -> list[str]:
    return [row["State"] for row in client(aws).describe_workspaces(WorkspaceIds=[ref])["Workspaces"]]


def test_a_new_workspace_is_pending_then_available_with_an_address(aws: Simulator) -> None:
    ref = create(aws, request())["PendingRequests"][0]["WorkspaceId"]
    aws.account.clock.step(10)
    pending = client(aws).describe_workspaces(WorkspaceIds=[ref])["Workspaces"][0]
    assert pending["State"] == "PENDING"
    assert "IpAddress" not in pending
    aws.account.clock.step(40)
    ready = client(aws).describe_workspaces(WorkspaceIds=[ref])["Workspaces"][0]
    assert (ready["State"], ready["UserName"]) == ("AVAILABLE", "alice")
    assert ready["IpAddress"].startswith("10.0.")
    assert ready["ComputerName"]


def test_a_new_id_is_not_describable_at_once(aws: Simulator) -> None:
    ref = create(aws, request())["PendingRequests"][0]["WorkspaceId"]
    assert states(aws, ref) == []
    aws.account.clock.step(3)
    assert states(aws, ref) == ["PENDING"]


def test_a_user_has_one_workspace_per_directory_whatever_the_case(aws: Simulator) -> None:
    assert refused(aws, request("BOB")) == "ResourceExists.WorkSpace"
    elsewhere = request("bob") | {"DirectoryId": constants.LAB_DIRECTORY}
    assert create(aws, elsewhere)["FailedRequests"] == []


def test_a_terminating_workspace_still_blocks_its_user(aws: Simulator) -> None:
    ref = of_user(aws, "bob").id
    client(aws).terminate_workspaces(TerminateWorkspaceRequests=[{"WorkspaceId": ref}])
    assert states(aws, ref) == ["TERMINATING"]
    assert refused(aws, request("bob")) == "ResourceExists.WorkSpace"
    aws.account.clock.step(20)
    assert states(aws, ref) == []
    assert create(aws, request("bob"))["FailedRequests"] == []


def test_one_refused_item_leaves_its_neighbours_alone(aws: Simulator) -> None:
    answer = create(aws, request("alice"), request("bob"), request("heidi"))
    assert [row["UserName"] for row in answer["PendingRequests"]] == ["alice", "heidi"]
    assert [row["WorkspaceRequest"]["UserName"] for row in answer["FailedRequests"]] == ["bob"]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (request() | {"DirectoryId": "d-0000000000"}, "ResourceNotFound.Directory"),
        (request(bundle="wsb-00000000"), "ResourceNotFound.Bundle"),
        (request(bundle=constants.STANDBY_CUSTOM, mode="ALWAYS_ON"), "ResourceUnavailableException"),
        (request(bundle=constants.BROKEN_CUSTOM, mode="ALWAYS_ON"), "ResourceUnavailableException"),
        (request(mode="AUTO_STOP"), "OperationNotSupportedException"),
        (request(bundle=constants.ORDINARY_CUSTOM), "OperationNotSupportedException"),
        (request(constants.UNDEFINED), "InvalidParameterValuesException"),
        (request(WorkspaceName="desk-1"), "InvalidParameterValuesException"),
        (
            request(constants.UNDEFINED, constants.ORDINARY_CUSTOM, "ALWAYS_ON", WorkspaceName="desk-1"),
            "OperationNotSupportedException",
        ),
    ],
    ids=[
        "unknown directory",
        "unknown bundle",
        "stand-by bundle",
        "bundle in error",
        "AUTO_STOP for Core",
        "MANUAL for an ordinary bundle",
        "decoupled without a name",
        "a name for a user's own",
        "decoupled from an ordinary bundle",
    ],
)
def test_a_wrong_request_is_refused_alone(aws: Simulator, item: Any, code: str) -> None:
    assert refused(aws, item) == code


def test_a_user_decoupled_workspace_is_found_by_its_name(aws: Simulator) -> None:
    create(aws, request(constants.UNDEFINED, WorkspaceName="pool-07"), request(constants.UNDEFINED, WorkspaceName="x8"))
    aws.account.clock.step(5)
    rows = client(aws).describe_workspaces(WorkspaceName="pool-07")["Workspaces"]
    assert [(row["UserName"], row["WorkspaceName"]) for row in rows] == [("[UNDEFINED]", "pool-07")]


def test_a_user_who_is_not_in_the_directory_is_refused_where_users_are_known(aws: Simulator) -> None:
    aws.account.directories[constants.CORP_DIRECTORY].users = ["alice"]
    assert refused(aws, request("nobody")) == "ResourceNotFound.User"
    assert create(aws, request("Alice"))["FailedRequests"] == []


def test_a_used_up_quota_refuses_the_whole_call(aws: Simulator) -> None:
    aws.account.quota = len(aws.account.workspaces)
    with pytest.raises(ClientError, match="ResourceLimitExceededException"):
        create(aws, request())


def test_tags_live_on_the_workspace_but_not_in_its_description(aws: Simulator) -> None:
    tagged = request(Tags=[{"Key": "usher-deploy", "Value": "17"}])
    ref = create(aws, tagged)["PendingRequests"][0]["WorkspaceId"]
    aws.account.clock.step(5)
    client(aws).create_tags(ResourceId=ref, Tags=[{"Key": "team", "Value": "red"}])
    assert client(aws).describe_tags(ResourceId=ref)["TagList"] == [
        {"Key": "usher-deploy", "Value": "17"},
        {"Key": "team", "Value": "red"},
    ]
    assert "Tags" not in client(aws).describe_workspaces(WorkspaceIds=[ref])["Workspaces"][0]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client(aws).describe_tags(ResourceId="ws-000000000")


def test_a_suspended_workspace_cannot_be_terminated_and_an_unknown_one_is_said_to_be(aws: Simulator) -> None:
    of_user(aws, "bob").state = "SUSPENDED"
    items = [{"WorkspaceId": of_user(aws, "bob").id}, {"WorkspaceId": "ws-000000000"}]
    failed = client(aws).terminate_workspaces(TerminateWorkspaceRequests=items)["FailedRequests"]
    assert [row["ErrorCode"] for row in failed] == ["InvalidResourceStateException", "ResourceNotFound.Workspace"]
