"""The WorkSpaces service: one call in, one checked answer out, whatever the protocol around it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from broker.demo.aws import checks, create, describe, modify, power
from broker.demo.aws.account import Account
from broker.demo.aws.errors import AwsError
from broker.demo.aws.trouble import Call, Desk, Trouble

Operation = Callable[[Account, dict[str, Any]], dict[str, Any]]

READS: dict[str, Operation] = {
    "DescribeTags": modify.describe_tags,
    "DescribeWorkspaceBundles": describe.describe_bundles,
    "DescribeWorkspaceDirectories": describe.describe_directories,
    "DescribeWorkspaces": describe.describe_workspaces,
    "DescribeWorkspacesConnectionStatus": describe.describe_connections,
}
WRITES: dict[str, Operation] = {
    "CreateTags": modify.create_tags,
    "CreateWorkspaces": create.create_workspaces,
    "ModifyWorkspaceProperties": modify.modify_properties,
    "ModifyWorkspaceState": modify.modify_state,
    "RebootWorkspaces": power.reboot_workspaces,
    "RebuildWorkspaces": power.rebuild_workspaces,
    "StartWorkspaces": power.start_workspaces,
    "StopWorkspaces": power.stop_workspaces,
    "TerminateWorkspaces": create.terminate_workspaces,
}


class Garbage(Exception):
    """A switch wants an answer that is not AWS's."""


class Lost(ConnectionError):
    """A switch wants the connection to drop after the work was done."""


@dataclass
class Service:
    """`answer` is the whole of it. `changed` is called after each write (it saves the state).

    Regions other than the account's are empty, as they are in AWS for who mistakes the region.
    """

    account: Account
    desk: Desk = field(default_factory=Desk)
    changed: Callable[[], None] = lambda: None
    sleep: Callable[[float], None] = time.sleep
    elsewhere: Account = field(default_factory=Account)

    def answer(self, name: str, params: dict[str, Any], protocol: str, region: str = "") -> dict[str, Any]:
        """Serve one call. Raises AwsError, or Garbage and Lost when a switch says so."""
        call = Call(self.account.clock.now(), name, protocol, _items(params))
        acting = self.desk.arrives(call)
        try:
            account = self.account if region in ("", self.account.region) else self.elsewhere
            answer = self._served(account, name, params, acting)
        except (AwsError, Garbage, Lost) as error:
            self.desk.served(call, getattr(error, "code", type(error).__name__))
            raise
        self.desk.served(call)
        return answer

    def trouble(self, name: str, protocol: str) -> None:
        """Count a call that moto serves, and let the switches act on it. Raises AwsError or Garbage."""
        call = Call(self.account.clock.now(), name, protocol, 0)
        acting = self.desk.arrives(call)
        try:
            self._misbehave(acting)
        except (AwsError, Garbage) as error:
            self.desk.served(call, getattr(error, "code", type(error).__name__))
            raise
        self.desk.served(call)

    def _served(self, account: Account, name: str, params: dict[str, Any], acting: list[Trouble]) -> dict[str, Any]:
        self._misbehave(acting)
        operation = READS.get(name) or WRITES.get(name)
        if operation is None:
            raise AwsError("UnknownOperationException", f"The simulated account does not know {name}.", 404)
        self._check_request(name, params)
        params, refused = _without_refused(params, [switch for switch in acting if switch.kind == "refuse"])
        answer = operation(account, params) if _items(params) or not refused else {}
        if refused:
            answer["FailedRequests"] = answer.get("FailedRequests", []) + refused
        if name in WRITES:
            self.changed()
        self._check_answer(name, answer)
        if any(switch.kind == "lose" for switch in acting):
            raise Lost("the connection drops here")
        return answer

    def _misbehave(self, acting: list[Trouble]) -> None:
        for switch in acting:
            if switch.kind == "slow":
                self.sleep(switch.seconds)
            elif switch.kind in ("throttle", "limit"):
                raise AwsError("ThrottlingException", "Rate exceeded")
            elif switch.kind == "fail":
                raise AwsError(switch.code, switch.message, switch.status)
            elif switch.kind == "garbage":
                raise Garbage

    def _check_request(self, name: str, params: dict[str, Any]) -> None:
        found = checks.problems(checks.operation_model(name).input_shape, params)
        if found:
            errors = "error" if len(found) == 1 else "errors"
            text = "; ".join(found)
            raise AwsError("ValidationException", f"{len(found)} validation {errors} detected: {text}")

    def _check_answer(self, name: str, answer: dict[str, Any]) -> None:
        found = checks.problems(checks.operation_model(name).output_shape, answer)
        if found:
            self.desk.problems.append(f"{name}: {'; '.join(found)}")
            raise AwsError("SimulatorBug", f"{name} would answer what AWS never does: {'; '.join(found)}", 500)


def _items(params: dict[str, Any]) -> int:
    return sum(len(value) for value in params.values() if isinstance(value, list))


def _without_refused(params: dict[str, Any], switches: list[Trouble]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Take the items that a "refuse" switch names out of the request; they come back as FailedRequests."""
    refused: list[dict[str, Any]] = []
    left = dict(params)
    for switch in switches:
        for key, items in left.items():
            if not isinstance(items, list) or not items or not isinstance(items[0], dict):
                continue
            hit = [item for item in items if not switch.ref or switch.ref in item.values()]
            left[key] = [item for item in items if item not in hit]
            refused += [_refusal(key, item, switch) for item in hit]
    return left, refused


def _refusal(key: str, item: dict[str, Any], switch: Trouble) -> dict[str, Any]:
    what = {"WorkspaceRequest": item} if key == "Workspaces" else {"WorkspaceId": item.get("WorkspaceId", "")}
    return {**what, "ErrorCode": switch.code, "ErrorMessage": switch.message}
