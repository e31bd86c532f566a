"""Keys, trouble, the control page, and the life of the simulated account over restarts."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError, ParamValidationError

from broker.demo.aws import checks, constants, service
from broker.demo.aws.remote import Remote
from broker.demo.aws.server import Simulator
from broker.demo.aws.trouble import Trouble
from broker.demo.aws.world import Timings
from tests.aws_simulator import client, of_user, request, simulator, stopped_clock_account


@pytest.fixture
def aws() -> Iterator[Simulator]:
    with simulator() as running:
        yield running


@pytest.mark.parametrize(
    ("key", "secret", "codes"),
    [
        ("AKIAUNKNOWN000000000", constants.SECRET_KEY, {"UnrecognizedClientException", "InvalidClientTokenId"}),
        (constants.ACCESS_KEY, "not the secret", {"InvalidSignatureException", "SignatureDoesNotMatch"}),
    ],
    ids=["unknown key", "wrong secret"],
)
def test_wrong_keys_are_refused(aws: Simulator, key: str, secret: str, codes: set[str]) -> None:
    found = set()
    for name, method in (("workspaces", "describe_workspaces"), ("sts", "get_caller_identity")):
        with pytest.raises(ClientError) as refused:
            getattr(client(aws, name, key, secret), method)()
        found.add(refused.value.response["Error"]["Code"])
    assert found == codes


def test_right_keys_have_an_identity(aws: Simulator) -> None:
    assert client(aws, "sts").get_caller_identity()["Account"] == constants.ACCOUNT


def test_the_role_is_assumed_with_its_external_id_only(aws: Simulator) -> None:
    sts = client(aws, "sts")
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=constants.ROLE_ARN, RoleSessionName="usher")
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(
            RoleArn=f"arn:aws:iam::{constants.ACCOUNT}:role/Other",
            RoleSessionName="usher",
            ExternalId=constants.EXTERNAL_ID,
        )
    given = sts.assume_role(RoleArn=constants.ROLE_ARN, RoleSessionName="usher", ExternalId=constants.EXTERNAL_ID)
    assert given["Credentials"]["AccessKeyId"].startswith("ASIA")


def test_a_call_can_be_throttled_a_number_of_times(aws: Simulator) -> None:
    aws.desk.set(Trouble("throttle", "DescribeWorkspaces", times=2))
    for _ in range(2):
        with pytest.raises(ClientError, match="ThrottlingException"):
            client(aws).describe_workspaces()
    assert client(aws).describe_workspaces()["Workspaces"]
    assert aws.desk.counts()["DescribeWorkspaces"] == {"calls": 3, "accepted": 1, "items": 0}


def test_a_rate_can_be_limited(aws: Simulator) -> None:
    aws.desk.set(Trouble("limit", "DescribeWorkspaces", per_second=0.5, burst=2))
    outcomes = []
    for wait in (0, 0, 0, 2, 0):
        aws.account.clock.step(wait)
        try:
            client(aws).describe_workspaces()
            outcomes.append("ok")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
    assert outcomes == ["ok", "ok", "ThrottlingException", "ok", "ThrottlingException"]


def test_the_second_call_can_be_the_one_that_fails(aws: Simulator) -> None:
    aws.desk.set(Trouble("fail", "DescribeWorkspaces", on_call=2, code="AccessDeniedException", message="no"))
    client(aws).describe_workspaces()
    with pytest.raises(ClientError, match="AccessDeniedException"):
        client(aws).describe_workspaces()
    client(aws).describe_workspaces()


def test_an_answer_can_be_lost_after_the_work_was_done(aws: Simulator) -> None:
    aws.desk.set(Trouble("lose", "CreateWorkspaces"))
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        client(aws).create_workspaces(Workspaces=[request()])
    assert of_user(aws, "alice").state == "PENDING"


def test_one_item_can_be_refused(aws: Simulator) -> None:
    bob, dave = of_user(aws, "bob").id, of_user(aws, "dave").id
    aws.desk.set(Trouble("refuse", "RebootWorkspaces", ref=bob, code="InternalServerException", message="later"))
    items = [{"WorkspaceId": bob}, {"WorkspaceId": dave}]
    failed = client(aws).reboot_workspaces(RebootWorkspaceRequests=items)["FailedRequests"]
    assert [(row["WorkspaceId"], row["ErrorMessage"]) for row in failed] == [(bob, "later")]
    assert of_user(aws, "dave").on_its_way
    assert not of_user(aws, "bob").on_its_way


def test_an_answer_that_aws_never_gives_is_a_bug_of_the_simulator(
    aws: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(service.READS, "DescribeWorkspaces", lambda account, params: {"Desktops": []})
    with pytest.raises(ClientError, match="SimulatorBug"):
        client(aws).describe_workspaces()
    assert "Desktops" in aws.desk.problems[0]


def test_every_operation_exists_in_botocore() -> None:
    for name in (*service.READS, *service.WRITES):
        assert checks.operation_model(name).input_shape is not None
    with pytest.raises(ParamValidationError):
        simulator_client_without_parameters()


def simulator_client_without_parameters() -> None:
    with simulator() as aws:
        client(aws).start_workspaces()


def test_the_control_page_drives_it(aws: Simulator) -> None:
    remote = Remote(aws.endpoint)
    ref = of_user(aws, "bob").id
    assert remote.set_workspace(ref, state="IMPAIRED")["state"] == "IMPAIRED"
    assert remote.set_workspace(ref, connected=True)["last_connection"] is not None
    assert len(remote.workspaces()) == 8
    remote.switch("slow", operation="DescribeWorkspaces", seconds=0.01)
    assert remote.ask("GET", "switches")[0]["kind"] == "slow"
    client(aws).describe_workspaces()
    assert remote.calls()["DescribeWorkspaces"]["calls"] == 1
    assert remote.ask("GET", "calls/log")[0]["outcome"] == "ok"
    remote.clear()
    assert (remote.calls(), remote.ask("GET", "switches")) == ({}, [])
    assert remote.timings(pending=600)["pending"] == remote.ask("GET", "timings")["pending"] == 600
    before = aws.account.clock.now()
    assert remote.step(60) == before + 60
    assert remote.ask("POST", f"users/{constants.CORP_DIRECTORY}", {"users": ["bob"]})["users"] == ["bob"]
    assert remote.ask("POST", "quota", {"quota": 9}) == {"quota": 9}
    assert remote.ask("GET", "problems") == []


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("nothing", {}, "GET /_usher/workspaces"),
        ("switches", {"kind": "explode"}, "kind must be one of"),
        ("clock", {"step": -1}, "backwards"),
        ("workspaces/ws-x", {"id": "y"}, "can be set"),
    ],
)
def test_the_control_page_says_what_is_wrong(aws: Simulator, path: str, body: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Remote(aws.endpoint).ask("POST", path, body)


def test_no_web_page_may_drive_the_control_api(aws: Simulator) -> None:
    line = http.client.HTTPConnection("127.0.0.1", int(aws.endpoint.rpartition(":")[2]), timeout=5)
    with contextlib.closing(line):
        line.request("GET", "/_usher/workspaces", headers={"Origin": "https://evil.example"})
        assert line.getresponse().status == 400


def test_a_second_start_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    state = tmp_path / "aws" / "state.json"
    with Simulator(stopped_clock_account(), state=state) as aws:
        ref = client(aws).create_workspaces(Workspaces=[request()])["PendingRequests"][0]["WorkspaceId"]
        aws.account.clock.step(10)
    with Simulator(stopped_clock_account(), state=state) as again:
        assert of_user(again, "alice").id == ref
        assert of_user(again, "alice").state == "PENDING"
        again.account.clock.step(36)
        assert client(again).describe_workspaces(WorkspaceIds=[ref])["Workspaces"][0]["State"] == "AVAILABLE"
        assert not list(state.parent.glob("*.new"))


def test_a_strange_state_file_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text('{"something": "else"}')
    with pytest.raises(ValueError, match="not a state file"):
        Simulator(stopped_clock_account(), state=state)


def test_addresses_come_from_the_network_that_was_asked_for() -> None:
    with simulator(network="127.77.0.0/16") as aws:
        assert of_user(aws, "bob").ip_address.startswith("127.77.0.")


def test_speed_divides_every_time() -> None:
    assert Timings().scaled(10).pending == Timings().pending / 10


def test_a_port_in_use_is_one_clear_line(aws: Simulator) -> None:
    port = aws.endpoint.rpartition(":")[2]
    command = [sys.executable, "-m", "broker.demo.aws", "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"The simulated AWS account cannot start: port {port} is in use\n"


def test_a_killed_program_has_lost_nothing_that_it_answered(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "broker.demo.aws", "--port", "0", "--state", str(tmp_path / "s")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        endpoint = program.stdout.readline().rsplit(" ", 1)[1].strip()
        speaker = client(endpoint)
        ref = speaker.create_workspaces(Workspaces=[request()])["PendingRequests"][0]["WorkspaceId"]
        program.kill()
    with Simulator(stopped_clock_account(), state=tmp_path / "s") as again:
        assert of_user(again, "alice").id == ref


def test_the_program_starts_answers_and_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "broker.demo.aws", "--port", "0", "--state", str(tmp_path / "s"), "--speed", "50"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as program:
        assert program.stdout is not None
        line = program.stdout.readline()
        endpoint = line.rsplit(" ", 1)[1].strip()
        assert len(Remote(endpoint).workspaces()) == 8
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=30) == 0
