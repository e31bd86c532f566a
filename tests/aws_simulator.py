"""The simulated AWS account for tests: its clock stands still until a test steps it."""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from broker.demo.aws import constants
from broker.demo.aws.account import Account
from broker.demo.aws.clock import Clock
from broker.demo.aws.server import Simulator
from broker.demo.aws.world import Workspace

NOON = 1_800_000_000.0


def stopped_clock_account(**settings: Any) -> Account:
    """An account in which no time passes by itself."""
    return Account(clock=Clock(lambda: NOON), **settings)


def simulator(seeded: str = "demo", **settings: Any) -> Simulator:
    """A simulator on a free port; use it with `with`."""
    return Simulator(stopped_clock_account(**settings), seeded=seeded, poll=0.005)


@cache
def _session(key: str, secret: str) -> boto3.Session:
    return boto3.Session(key, secret, region_name=constants.REGION)


@cache
def _client(endpoint: str, service: str, key: str, secret: str) -> Any:
    once = Config(retries={"mode": "standard", "total_max_attempts": 1}, proxies={})
    session: Any = _session(key, secret)
    return session.client(service, endpoint_url=endpoint, config=once)


def client(
    aws: Simulator | str,
    service: str = "workspaces",
    key: str = constants.ACCESS_KEY,
    secret: str = constants.SECRET_KEY,
    *,
    fresh: bool = False,
) -> Any:
    """A boto3 client of the simulator (or of an address), without retries; an earlier one unless `fresh`."""
    make = _client.__wrapped__ if fresh else _client
    return make(aws if isinstance(aws, str) else aws.endpoint, service, key, secret)


def of_user(aws: Simulator, user: str) -> Workspace:
    """The seeded WorkSpace of that user, in the first directory."""
    with aws.account.at_present():
        row = aws.account.find_of_user(constants.CORP_DIRECTORY, user)
        assert row is not None
        return row


def request(user: str = "alice", bundle: str = constants.CORE_STANDARD, mode: str = "MANUAL", **more: Any) -> Any:
    """One item of CreateWorkspaces."""
    return {
        "DirectoryId": constants.CORP_DIRECTORY,
        "UserName": user,
        "BundleId": bundle,
        "WorkspaceProperties": {"RunningMode": mode},
        **more,
    }
