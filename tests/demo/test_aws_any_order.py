"""Whatever is asked in whatever order, the account answers within AWS's model and keeps its promises."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.demo.aws import constants, seed
from broker.demo.aws.errors import AwsError
from broker.demo.aws.service import Service
from tests.aws_simulator import request, stopped_clock_account

USERS = ["alice", "bob", "Bob", "carol", constants.UNDEFINED]
POWER = {
    "StartWorkspaces": "StartWorkspaceRequests",
    "StopWorkspaces": "StopWorkspaceRequests",
    "RebootWorkspaces": "RebootWorkspaceRequests",
    "RebuildWorkspaces": "RebuildWorkspaceRequests",
    "TerminateWorkspaces": "TerminateWorkspaceRequests",
}
STEP = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.5, 3, 20, 60])),
    st.tuples(st.just("create"), st.sampled_from(USERS), st.sampled_from(["MANUAL", "ALWAYS_ON", "AUTO_STOP"])),
    st.tuples(st.just("power"), st.sampled_from(sorted(POWER)), st.integers(0, 9)),
    st.tuples(st.just("state"), st.sampled_from(["AVAILABLE", "ADMIN_MAINTENANCE"]), st.integers(0, 9)),
    st.tuples(st.just("look"), st.sampled_from(["DescribeWorkspaces", "DescribeWorkspacesConnectionStatus"])),
)


def ask(service: Service, name: str, params: dict[str, Any]) -> None:
    try:
        service.answer(name, params, "json")
    except AwsError as error:
        assert error.code != "SimulatorBug", error


def take(service: Service, step: Any) -> None:
    refs = [*service.account.workspaces, "ws-000000000"]
    match step:
        case "wait", seconds:
            service.account.clock.step(seconds)
        case "create", user, mode:
            named = {"WorkspaceName": "shared-1"} if user == constants.UNDEFINED else {}
            ask(service, "CreateWorkspaces", {"Workspaces": [request(user, mode=mode, **named)]})
        case "power", name, number:
            ask(service, name, {POWER[name]: [{"WorkspaceId": refs[number % len(refs)]}]})
        case "state", state, number:
            ref = refs[number % len(refs)]
            ask(service, "ModifyWorkspaceState", {"WorkspaceId": ref, "WorkspaceState": state})
        case "look", name:
            ask(service, name, {})


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_any_order_of_calls_keeps_the_promises(steps: list[Any]) -> None:
    account = stopped_clock_account()
    seed.fill(account, "demo")
    service = Service(account)
    for step in steps:
        take(service, step)
    with account.at_present():
        rows = list(account.workspaces.values())
    owners = Counter((row.directory_id, row.user_name.lower()) for row in rows if row.user_name != constants.UNDEFINED)
    assert max(owners.values()) == 1
    addresses = Counter(row.ip_address for row in rows if row.ip_address)
    assert max(addresses.values()) == 1
    assert all(row.ip_address for row in rows if row.state == "AVAILABLE")
    assert all(row.running_mode != "AUTO_STOP" or row.bundle_id == constants.ORDINARY_CUSTOM for row in rows)
