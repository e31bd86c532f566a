"""The simulated account describes what it holds as AWS does: one filter, pages of 25, both protocols."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import botocore.model
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import RpcV2CBORParser

from broker.demo.aws import cbor, constants
from broker.demo.aws.server import Simulator
from tests.aws_simulator import client, request, simulator


@pytest.fixture
def aws() -> Iterator[Simulator]:
    with simulator() as running:
        yield running
        assert running.desk.problems == []


def test_the_demo_holds_two_directories_and_eight_workspaces(aws: Simulator) -> None:
    directories = client(aws).describe_workspace_directories()["Directories"]
    assert [(row["DirectoryId"], row["Tenancy"], row["State"]) for row in directories] == [
        (constants.CORP_DIRECTORY, "DEDICATED", "REGISTERED"),
        (constants.LAB_DIRECTORY, "DEDICATED", "REGISTERED"),
    ]
    rows = client(aws).describe_workspaces(DirectoryId=constants.CORP_DIRECTORY)["Workspaces"]
    assert len(rows) == 8
    assert "alice" not in [row["UserName"] for row in rows]
    assert client(aws).describe_workspaces(DirectoryId=constants.LAB_DIRECTORY)["Workspaces"] == []


def test_own_bundles_and_amazons_are_told_apart_by_owner(aws: Simulator) -> None:
    own = client(aws).describe_workspace_bundles()["Bundles"]
    assert {row["Owner"] for row in own} == {constants.ACCOUNT}
    pages = client(aws).get_paginator("describe_workspace_bundles").paginate(Owner="AMAZON")
    amazons = [row for page in pages for row in page["Bundles"]]
    assert len(amazons) == 30
    assert {row["Owner"] for row in amazons} == {"AMAZON"}
    one = client(aws).describe_workspace_bundles(BundleIds=[constants.CORE_STANDARD])["Bundles"]
    assert [row["Name"] for row in one] == ["Usher Core Windows 11 Standard (BYOP)"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"WorkspaceIds": ["ws-000000000"], "DirectoryId": constants.CORP_DIRECTORY},
        {"DirectoryId": constants.CORP_DIRECTORY, "BundleId": constants.CORE_STANDARD},
        {"DirectoryId": constants.CORP_DIRECTORY, "WorkspaceName": "desk-1"},
        {"UserName": "bob"},
        {"NextToken": "never-given"},
    ],
)
def test_filters_that_do_not_go_together_are_refused(aws: Simulator, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValuesException"):
        client(aws).describe_workspaces(**wrong)


def test_each_filter_selects(aws: Simulator) -> None:
    find = client(aws).describe_workspaces
    by_user = find(DirectoryId=constants.CORP_DIRECTORY, UserName="Bob")["Workspaces"]
    assert [row["UserName"] for row in by_user] == ["bob"]
    by_bundle = find(BundleId=constants.CORE_PERFORMANCE)["Workspaces"]
    assert [row["UserName"] for row in by_bundle] == ["dave"]
    assert find(WorkspaceIds=["ws-000000000", by_user[0]["WorkspaceId"]])["Workspaces"] == by_user


def test_pages_have_25_rows_and_lose_none_when_one_is_deleted_between() -> None:
    with simulator("many:60") as aws:
        first = client(aws).describe_workspaces(DirectoryId=constants.CORP_DIRECTORY)
        assert len(first["Workspaces"]) == 25
        last = first["Workspaces"][-1]["WorkspaceId"]
        del aws.account.workspaces[last]
        second = client(aws).describe_workspaces(DirectoryId=constants.CORP_DIRECTORY, NextToken=first["NextToken"])
        third = client(aws).describe_workspaces(DirectoryId=constants.CORP_DIRECTORY, NextToken=second["NextToken"])
        rows = first["Workspaces"] + second["Workspaces"] + third["Workspaces"]
        assert len({row["WorkspaceId"] for row in rows}) == 60
        assert "NextToken" not in third


def test_a_request_that_the_model_forbids_is_refused(aws: Simulator) -> None:
    with pytest.raises(ClientError, match="ValidationException.*regular expression"):
        client(aws).describe_workspaces(DirectoryId="not-a-directory")
    with pytest.raises(ClientError, match="ValidationException.*length less than or equal to 25"):
        client(aws).describe_workspaces(WorkspaceIds=[f"ws-{n:09}" for n in range(26)])
    with pytest.raises(ClientError, match="ValidationException.*enum"):
        client(aws).create_workspaces(Workspaces=[request(mode="SOMETIMES")])
    with pytest.raises(ClientError, match="ValidationException"):
        client(aws).rebuild_workspaces(RebuildWorkspaceRequests=[{"WorkspaceId": f"ws-{n:09}"} for n in range(2)])


def test_both_protocols_give_the_same_answers(aws: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []
    for protocol in ("json", "smithy-rpc-v2-cbor"):
        monkeypatch.setattr(botocore.model, "PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (protocol,))
        speaker = client(aws, fresh=True)
        found = [speaker.describe_workspaces(), speaker.describe_workspace_bundles(), speaker.describe_tags]
        with pytest.raises(ClientError) as refused:
            speaker.describe_workspaces(UserName="bob")
        assert refused.value.response["Error"]["Code"] == "InvalidParameterValuesException"
        with pytest.raises(ClientError) as stranger:
            client(aws, secret="wrong", fresh=True).describe_workspaces()
        assert stranger.value.response["Error"]["Code"] == "InvalidSignatureException"
        answers.append([found[0]["Workspaces"], found[1]["Bundles"]])
    assert answers[0] == answers[1]
    assert {call["protocol"] for call in aws.desk.log()} == {"json", "smithy-rpc-v2-cbor"}


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, -1, 23, 24, 255, 256, 70000, 2**40], "b": {"c": True, "d": 1.5, "e": "ümlaut " * 50}},
        {"when": datetime(2026, 11, 23, 17, 0, 0, 250000, tzinfo=UTC)},
        {"bytes": b"\x00\xff", "empty": [], "none": {}},
    ],
)
def test_cbor_is_read_by_botocore_and_by_us(value: Any) -> None:
    parser = RpcV2CBORParser()
    theirs = parser.parse_data_item(parser.get_peekable_stream_from_bytes(cbor.dumps(value)))
    assert theirs == value
    assert cbor.loads(cbor.dumps(value)) == value


@pytest.mark.parametrize("broken", [b"", b"\xa1", b"\xa1\x61", b"\x9f\x01", b"\xff", b"\x01\x01", b"\x1f"])
def test_broken_cbor_is_a_value_error(broken: bytes) -> None:
    with pytest.raises(ValueError, match=r"CBOR|byte"):
        cbor.loads(broken)


def test_endless_cbor_items_are_read() -> None:
    assert cbor.loads(b"\xbf\x61a\x9f\x01\x02\xff\xff") == {"a": [1, 2]}
