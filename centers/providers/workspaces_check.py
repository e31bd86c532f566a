"""The Test of an Amazon WorkSpaces center: what works and what will not, in words (RULES 27)."""

from collections.abc import Callable
from typing import Protocol

from centers.providers.base import (
    Finding,
    Level,
    ProviderBusy,
    ProviderConfig,
    ProviderError,
    RemoteDirectory,
    RemoteImage,
)
from centers.providers.states import directory_id_problem


class Account(Protocol):
    """What the examination asks of the provider."""

    config: ProviderConfig

    def identity(self) -> tuple[str, str]: ...
    def directory(self, ref: str) -> RemoteDirectory | None: ...
    def images(self) -> list[RemoteImage]: ...


def examine(account: Account) -> list[Finding]:
    """Every finding up to the first error that makes the rest senseless. Never raises."""
    findings: list[Finding] = []
    steps: tuple[Callable[[Account], list[Finding]], ...] = (_credentials, _directory, _images)
    for step in steps:
        try:
            findings += step(account)
        except ProviderError as error:
            findings.append(Finding(Level.ERROR, error.message))
        if findings and findings[-1].level is Level.ERROR:
            break
    return findings


def _credentials(account: Account) -> list[Finding]:
    try:
        number, arn = account.identity()
    except ProviderBusy as error:  # a network that lets only WorkSpaces out is no reason to refuse
        return [Finding(Level.WARNING, f"The credentials could not be looked up: {error.message}")]
    return [Finding(Level.OK, f"Signed in to AWS account {number} as {arn}.")]


def _directory(account: Account) -> list[Finding]:
    ref, region = account.config.directory_id, account.config.region
    problem = directory_id_problem(ref)
    if problem:
        return [Finding(Level.ERROR, problem)]
    found = account.directory(ref)
    if found is None:
        text = f"The directory {ref} is not registered with WorkSpaces in {region}. Check the ID and the region."
        return [Finding(Level.ERROR, text)]
    if found.state != "REGISTERED":
        return [Finding(Level.ERROR, f"The directory {ref} is {found.state or 'not registered'}, not REGISTERED.")]
    if not found.personal:
        return [Finding(Level.ERROR, f"The directory {ref} is for WorkSpaces Pools, not for personal WorkSpaces.")]
    return [Finding(Level.OK, f"The directory {ref} ({found.name}) is registered."), *_tenancy(found)]


def _tenancy(found: RemoteDirectory) -> list[Finding]:
    if found.tenancy == "DEDICATED":
        return []
    text = (
        f"The directory {found.ref} has {found.tenancy or 'no DEDICATED'} tenancy. WorkSpaces Core needs DEDICATED; "
        "existing ordinary WorkSpaces can still be used."
    )
    return [Finding(Level.WARNING, text)]


def _images(account: Account) -> list[Finding]:
    number = len(account.images())
    if number == 0:
        return [Finding(Level.WARNING, "The account has no custom bundle that is ready, so nothing can be deployed.")]
    return [Finding(Level.OK, f"{number} custom {'bundle is' if number == 1 else 'bundles are'} ready to deploy.")]
