"""The WorkSpaces provider against the simulated account, over real sockets."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import botocore.model
import pytest
from botocore.retries.bucket import TokenBucket
from botocore.retries.standard import ExponentialBackoff

from broker.demo.aws import constants
from broker.demo.aws.server import Simulator
from broker.demo.aws.trouble import Trouble
from centers.providers import PROVIDERS, aws_clients
from centers.providers.base import (
    DeployRequest,
    Level,
    Power,
    PowerOp,
    ProviderBusy,
    ProviderConfig,
    ProviderError,
)
from centers.providers.workspaces import WorkSpaces
from tests.aws_simulator import of_user, simulator

CONFIG = ProviderConfig(
    constants.REGION, constants.CORP_DIRECTORY, access_key=constants.ACCESS_KEY, secret_key=constants.SECRET_KEY
)
ALICE = DeployRequest(constants.CORP_DIRECTORY, constants.CORE_STANDARD, "alice")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with simulator() as running:
        point_at(monkeypatch, running.endpoint)
        yield running
        assert running.desk.problems == []


def point_at(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_WORKSPACES", endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def impatient(**changes: Any) -> WorkSpaces:
    """A provider that tries reads once, so that no test waits for a back-off."""
    provider = WorkSpaces(replace(CONFIG, **changes))
    provider._clients = aws_clients.Clients(provider.config, provider.guard, read_attempts=1)
    return provider


def said(provider: WorkSpaces) -> dict[Level, str]:
    """The findings of Test, one text per level."""
    findings = provider.check()
    return {level: " ".join(f.text for f in findings if f.level is level) for level in Level}


def test_the_inventory_comes_in_our_words(aws: Simulator) -> None:
    desktops = {desktop.bound_user or desktop.workspace_name: desktop for desktop in next(WorkSpaces(CONFIG).pages())}
    bob, shared = desktops["bob"], desktops["shared-win11-01"]
    assert (bob.power, bob.raw_state, bob.running_mode) == (Power.RUNNING, "AVAILABLE", "MANUAL")
    assert bob.name == bob.computer_name
    assert bob.address.startswith("10.0.")
    assert (bob.directory, bob.bundle_ref) == (constants.CORP_DIRECTORY, constants.CORE_STANDARD)
    assert (bob.root_gb, bob.user_gb, bob.compute_type, bob.protocols) == (80, 50, "STANDARD", ())
    assert (shared.decoupled, shared.bound_user) == (True, "")
    assert desktops["grace"].error_code == "DomainJoinError"
    assert desktops["erin"].protocols == ("WSP",)


def test_sixty_desktops_are_three_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    with simulator("many:60") as aws:
        point_at(monkeypatch, aws.endpoint)
        assert [len(page) for page in WorkSpaces(CONFIG).pages()] == [25, 25, 10]
        refs = list(aws.account.workspaces)
        assert len(WorkSpaces(CONFIG).describe([*refs, "ws-unknown00", "nonsense"])) == 60
        assert aws.desk.counts()["DescribeWorkspaces"]["calls"] == 6


def test_a_scan_whose_page_fails_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with simulator("many:60") as aws:
        point_at(monkeypatch, aws.endpoint)
        aws.desk.set(Trouble("fail", "DescribeWorkspaces", on_call=2, code="AccessDeniedException"))
        pages = WorkSpaces(CONFIG).pages()
        assert len(next(pages)) == 25
        with pytest.raises(ProviderError, match="permission workspaces:DescribeWorkspaces"):
            next(pages)


def test_the_inventory_of_an_unknown_directory_is_an_error_and_not_empty(aws: Simulator) -> None:
    with pytest.raises(ProviderError, match="d-0000000000 is not registered"):
        list(WorkSpaces(replace(CONFIG, directory_id="d-0000000000")).pages())
    assert list(WorkSpaces(replace(CONFIG, directory_id=constants.LAB_DIRECTORY)).pages()) == [[]]


def test_keys_pasted_with_blanks_around_them_work(aws: Simulator) -> None:
    pasted = replace(CONFIG, access_key=f" {constants.ACCESS_KEY}\n", secret_key=f"{constants.SECRET_KEY} ")
    assert WorkSpaces(pasted).identity() == (constants.ACCOUNT, f"arn:aws:iam::{constants.ACCOUNT}:user/usher-demo")


def test_one_provider_serves_many_threads(aws: Simulator) -> None:
    provider = WorkSpaces(CONFIG)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: len(next(provider.pages())), range(16)))
    assert found == [8] * 16


def test_two_deployments_at_once_give_a_user_one_desktop(aws: Simulator) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: WorkSpaces(CONFIG).deploy([ALICE])[0], range(4)))
    assert sorted(result.exists for result in results) == [False, True, True, True]


def test_images_hide_stand_by_and_broken_ones(aws: Simulator) -> None:
    images = WorkSpaces(CONFIG).images()
    assert [image.ref for image in images] == [
        constants.CORE_STANDARD,
        constants.CORE_PERFORMANCE,
        constants.CORE_GRAPHICS,
        constants.ORDINARY_CUSTOM,
    ]
    assert (images[1].compute_type, images[1].root_gb, images[1].user_gb) == ("PERFORMANCE", 80, 100)


def test_a_desktop_is_deployed_started_stopped_and_deleted(aws: Simulator) -> None:
    provider = WorkSpaces(CONFIG)
    ref = provider.deploy([ALICE])[0].ref
    assert provider.describe([ref]) == []
    assert provider.find(user_name="alice") is None
    aws.account.clock.step(60)
    found = provider.find(user_name="Alice")
    assert found is not None
    assert (found.ref, found.power) == (ref, Power.RUNNING)
    assert provider.power(PowerOp.STOP, [ref])[0].ok
    aws.account.clock.step(60)
    assert provider.describe([ref])[0].power is Power.STOPPED
    assert provider.power(PowerOp.START, [ref])[0].ok
    aws.account.clock.step(60)
    assert provider.power(PowerOp.REBOOT, [ref])[0].ok
    aws.account.clock.step(60)
    address = provider.describe([ref])[0].address
    assert provider.power(PowerOp.REBUILD, [ref])[0].ok
    aws.account.clock.step(60)
    assert provider.describe([ref])[0].address != address
    assert provider.delete([ref])[0].ok
    aws.account.clock.step(60)
    assert provider.describe([ref]) == []
    assert provider.delete([ref])[0].ok


def test_results_stand_in_the_order_of_the_requests(aws: Simulator) -> None:
    wrong_bundle = replace(ALICE, user_name="ivan", bundle="not-a-bundle")
    named = replace(ALICE, user_name="", workspace_name="pool-01")
    bad_name = replace(named, workspace_name="-")
    auto = replace(ALICE, user_name="judy", running_mode="AUTO_STOP")
    bob = replace(ALICE, user_name="BOB")
    results = WorkSpaces(CONFIG).deploy([bob, ALICE, wrong_bundle, named, bad_name, auto, ALICE])
    assert [bool(result.ref) for result in results] == [False, True, False, True, False, False, False]
    assert results[0].exists
    assert "already has a WorkSpace" in results[0].error_message
    assert "not an image" in results[2].error_message
    assert "2 to 64" in results[4].error_message
    assert "AUTO_STOP" in results[5].error_message
    assert results[6].exists
    aws.account.clock.step(5)
    found = WorkSpaces(CONFIG).find(workspace_name="pool-01")
    assert found is not None
    assert found.ref == results[3].ref


def test_a_vanished_image_and_an_unknown_directory_are_told_in_words(aws: Simulator) -> None:
    gone = replace(ALICE, bundle="wsb-deleted00")
    elsewhere = replace(ALICE, directory="d-0000000000")
    results = WorkSpaces(CONFIG).deploy([gone, elsewhere])
    assert "no longer exists" in results[0].error_message
    assert "does not know this directory" in results[1].error_message


def test_refused_items_are_told_each_in_its_place(aws: Simulator) -> None:
    bob, dave = of_user(aws, "bob").id, of_user(aws, "dave").id
    outcomes = WorkSpaces(CONFIG).power(PowerOp.STOP, [dave, "x", bob, "ws-000000000"])
    assert [outcome.ok for outcome in outcomes] == [False, False, True, False]
    assert "ALWAYS_ON" in outcomes[0].message
    assert "not a WorkSpace id" in outcomes[1].message
    assert "does not know this WorkSpace" in outcomes[3].message
    assert aws.desk.counts()["StopWorkspaces"]["calls"] == 1


def test_the_running_mode_is_changed_or_refused(aws: Simulator) -> None:
    provider = WorkSpaces(CONFIG)
    provider.set_running_mode(of_user(aws, "dave").id, "MANUAL")
    assert of_user(aws, "dave").running_mode == "MANUAL"
    with pytest.raises(ProviderError, match="AUTO_STOP"):
        provider.set_running_mode(of_user(aws, "dave").id, "AUTO_STOP")


def test_a_write_is_tried_once_and_a_read_again(aws: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
    monkeypatch.setattr(TokenBucket, "acquire", lambda *_: True)
    aws.desk.set(Trouble("throttle", times=1), Trouble("throttle", "StopWorkspaces", times=9))
    with pytest.raises(ProviderBusy, match="throttling"):
        WorkSpaces(CONFIG).power(PowerOp.STOP, [of_user(aws, "bob").id])
    assert aws.desk.counts()["StopWorkspaces"]["calls"] == 1
    aws.desk.set(Trouble("throttle", "DescribeWorkspaces", times=1))
    assert next(WorkSpaces(CONFIG).pages())
    assert aws.desk.counts()["DescribeWorkspaces"]["calls"] == 2


def test_a_lost_answer_may_have_been_done_and_is_found_again(aws: Simulator) -> None:
    aws.desk.set(Trouble("lose", "CreateWorkspaces", times=1))
    with pytest.raises(ProviderBusy) as lost:
        WorkSpaces(CONFIG).deploy([ALICE])
    assert lost.value.maybe_done
    aws.account.clock.step(5)
    found = WorkSpaces(CONFIG).find(user_name="alice")
    assert found is not None
    assert WorkSpaces(CONFIG).deploy([ALICE])[0].exists


def test_a_slow_answer_is_busy(aws: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_clients, "READ_TIMEOUT", 0.05)
    aws.desk.set(Trouble("slow", "StopWorkspaces", seconds=0.2))
    with pytest.raises(ProviderBusy, match="longer than") as slow:
        WorkSpaces(CONFIG).power(PowerOp.STOP, [of_user(aws, "bob").id])
    assert slow.value.maybe_done


def test_garbage_is_busy(aws: Simulator) -> None:
    aws.desk.set(Trouble("garbage"))
    with pytest.raises(ProviderBusy, match="was not AWS"):
        next(impatient().pages())
    with pytest.raises(ProviderBusy, match="was not AWS"):
        impatient().identity()
    with pytest.raises(ProviderBusy) as write:
        impatient().power(PowerOp.STOP, [of_user(aws, "bob").id])
    assert write.value.maybe_done


@pytest.mark.parametrize("answer", [{}, {"Workspaces": None}, {"Workspaces": [{}]}, {"Workspaces": ["x"]}])
def test_a_strange_answer_is_not_an_empty_inventory(answer: dict[str, Any]) -> None:
    provider = impatient()
    odd = SimpleNamespace(describe_workspaces=lambda **_: answer)
    provider._clients.get = lambda *_, **__: odd  # type: ignore[method-assign]
    with pytest.raises(ProviderBusy, match="was not AWS"):
        next(provider.pages())


def test_garbage_is_busy_in_the_other_protocol_too(aws: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.model, "PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", ("smithy-rpc-v2-cbor",))
    assert next(impatient().pages())
    aws.desk.set(Trouble("garbage"))
    with pytest.raises(ProviderBusy, match="was not AWS"):
        next(impatient().pages())
    assert {call["protocol"] for call in aws.desk.log()} == {"smithy-rpc-v2-cbor"}


def test_an_absent_endpoint_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        point_at(monkeypatch, f"http://127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(ProviderBusy, match="cannot be reached"):
        next(impatient().pages())
    texts = said(impatient())
    assert "cannot be reached" in texts[Level.ERROR]


def test_test_finds_nothing_wrong_with_the_demo(aws: Simulator) -> None:
    texts = said(WorkSpaces(CONFIG))
    assert texts[Level.ERROR] == texts[Level.WARNING] == ""
    assert constants.ACCOUNT in texts[Level.OK]
    assert "corp.example.test" in texts[Level.OK]
    assert "4 custom bundles" in texts[Level.OK]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"access_key": "AKIAUNKNOWN000000000"}, "does not know this access key"),
        ({"secret_key": "wrong"}, "does not fit"),
        ({"secret_key": ""}, "Enter both"),
        ({"access_key": "AKIA\N{EN DASH}0"}, "only letters and digits"),
        ({"region": "nowhere at all"}, "not an AWS region"),
        ({"region": "eu-west-1"}, "not registered with WorkSpaces in eu-west-1"),
        ({"directory_id": "d-0000000000"}, "not registered with WorkSpaces in us-east-1"),
        ({"directory_id": "corp"}, "not an AWS Directory ID"),
    ],
)
def test_test_says_what_is_wrong_with_the_settings(aws: Simulator, changes: dict[str, str], words: str) -> None:
    assert words in said(WorkSpaces(replace(CONFIG, **changes)))[Level.ERROR]


@pytest.mark.parametrize(
    ("attribute", "value", "level", "words"),
    [
        ("tenancy", "SHARED", Level.WARNING, "WorkSpaces Core needs DEDICATED"),
        ("state", "DEREGISTERING", Level.ERROR, "not REGISTERED"),
        ("workspace_type", "POOLS", Level.ERROR, "Pools"),
    ],
)
def test_test_looks_at_the_directory(aws: Simulator, attribute: str, value: str, level: Level, words: str) -> None:
    setattr(aws.account.directories[constants.CORP_DIRECTORY], attribute, value)
    assert words in said(WorkSpaces(CONFIG))[level]


def test_only_registered_personal_directories_are_offered(aws: Simulator) -> None:
    assert [row.ref for row in WorkSpaces(CONFIG).directories()] == [constants.CORP_DIRECTORY, constants.LAB_DIRECTORY]
    aws.account.directories[constants.CORP_DIRECTORY].workspace_type = "POOLS"
    aws.account.directories[constants.LAB_DIRECTORY].state = "ERROR"
    assert WorkSpaces(CONFIG).directories() == []


def test_credentials_come_from_the_environment_or_a_role(aws: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    role = {"auth": "assume_role", "role_arn": constants.ROLE_ARN, "external_id": constants.EXTERNAL_ID}
    assert "assumed-role/UsherBroker/usher" in impatient(**role).identity()[1]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", constants.ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", constants.SECRET_KEY)
    assert impatient(auth="default", access_key="", secret_key="").identity()[0] == constants.ACCOUNT
    assert next(impatient(access_key="", secret_key="", **role).pages())
    with pytest.raises(ProviderError, match="permission sts:AssumeRole"):
        impatient(**(role | {"external_id": ""})).identity()


def test_a_revoked_role_is_assumed_anew(aws: Simulator) -> None:
    provider = impatient(auth="assume_role", role_arn=constants.ROLE_ARN, external_id=constants.EXTERNAL_ID)
    assert next(provider.pages())
    aws.desk.set(Trouble("fail", "DescribeWorkspaces", times=1, code="ExpiredTokenException"))
    with pytest.raises(ProviderError, match="expired"):
        next(provider.pages())
    assert next(provider.pages())
    assert aws.desk.counts()["AssumeRole"]["calls"] == 2


def test_a_role_is_assumed_again_before_it_ends(aws: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = impatient(auth="assume_role", role_arn=constants.ROLE_ARN, external_id=constants.EXTERNAL_ID)
    assert next(provider.pages())
    monkeypatch.setattr(aws_clients, "_RENEW_BEFORE", 3600.0)
    provider._clients.forget()
    assert next(provider.pages())
    assert next(provider.pages())
    assert aws.desk.counts()["AssumeRole"]["calls"] == 3


def test_no_credentials_anywhere_is_said(aws: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(ProviderError, match="No AWS credentials"):
        impatient(auth="default", access_key="", secret_key="").identity()


def test_the_guard_is_asked_before_each_call(aws: Simulator) -> None:
    calls = []
    provider = PROVIDERS["workspaces"](CONFIG, lambda: calls.append(1))
    provider.images()
    provider.describe([of_user(aws, "bob").id])
    assert len(calls) == 2


def test_a_proxy_that_is_not_there_is_named(aws: Simulator) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(ProviderBusy, match="proxy does not answer"):
        impatient(proxy=proxy).identity()
