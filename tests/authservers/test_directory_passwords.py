"""What the look-alike takes as a change of a password; what every directory does is in test_directory_contract.py."""

import traceback
from dataclasses import replace
from typing import Any

import ldap3
import pytest

from authservers.directories.active_directory import ActiveDirectory
from authservers.directories.base import (
    DirectoryBusy,
    DirectoryConfig,
    Objection,
    PasswordKept,
    Refusal,
    SignInRefused,
)
from authservers.directories.hosts import HostMemory
from broker.demo.directory import seed
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.server import DirectoryServer, Fault, Listen
from tests.authservers.test_directory_lookalike import CORP, raw
from tests.directory_fixtures import directory_certificates, directory_config, directory_server, lookalike

__all__ = ["directory_certificates", "directory_config", "directory_server"]

NEW = "another-One1"


def quoted(password: str) -> bytes:
    """As unicodePwd is written."""
    return f'"{password}"'.encode("utf-16-le")


GOOD = [(ldap3.MODIFY_DELETE, [quoted(seed.PASSWORD)]), (ldap3.MODIFY_ADD, [quoted(NEW)])]


@pytest.mark.parametrize(
    "changes",
    [
        {"unicodePwd": [(ldap3.MODIFY_REPLACE, [quoted(NEW)])]},
        {"unicodePwd": [(ldap3.MODIFY_DELETE, [b"demo-User1"]), (ldap3.MODIFY_ADD, [b"another-One1"])]},
        {"unicodePwd": [(ldap3.MODIFY_DELETE, []), (ldap3.MODIFY_ADD, [])]},
        {"unicodePwd": GOOD, "description": [(ldap3.MODIFY_ADD, ["x"])]},
    ],
    ids=["a reset", "without quotes", "without values", "more beside it"],
)
def test_only_a_change_of_the_password_is_taken(directory_server: DirectoryServer, changes: dict[str, Any]) -> None:
    zoe = directory_server.domain.lookup("samaccountname", "zoe")[0].dn
    with raw(directory_server, f"{seed.SEARCH_USER}@corp.example.test", seed.SEARCH_PASSWORD) as connection:
        write: Any = connection
        assert not write.modify(zoe, changes)
        assert write.result["description"] == "unwillingToPerform"
    assert directory_server.domain.authenticate(zoe, seed.PASSWORD) == "773"


def test_an_account_that_may_not_change_its_password_is_told_so(
    directory_server: DirectoryServer, directory_config: DirectoryConfig
) -> None:
    zoe = directory_server.domain.lookup("samaccountname", "zoe")[0].dn
    directory_server.domain.put(zoe, "userAccountControl", 0x240)
    with pytest.raises(PasswordKept) as kept:
        ActiveDirectory(directory_config).change_password("zoe", seed.PASSWORD, NEW)
    assert kept.value.why is Objection.FORBIDDEN


def test_wrong_current_passwords_count_to_the_lock(
    directory_server: DirectoryServer, directory_config: DirectoryConfig
) -> None:
    directory = ActiveDirectory(directory_config)
    for _ in range(10):
        with pytest.raises(PasswordKept, match="current password is not correct"):
            directory.change_password("zoe", "not it", "another-One1")
    with pytest.raises(SignInRefused) as refused:
        directory.authenticate("zoe", seed.PASSWORD)
    assert refused.value.refusal is Refusal.LOCKED


def test_nothing_is_changed_without_encryption(directory_certificates: Certificates) -> None:
    with lookalike(seed.company(), directory_certificates, Listen(require_tls=False)) as server:
        zoe = server.domain.lookup("samaccountname", "zoe")[0].dn
        with raw(server, f"{seed.SEARCH_USER}@corp.example.test", seed.SEARCH_PASSWORD, ldaps=False) as connection:
            write: Any = connection
            assert not write.modify(zoe, {"unicodePwd": GOOD})
            assert write.result["message"].startswith("0000001F")
        assert server.domain.authenticate(zoe, seed.PASSWORD) == "773"


def test_nobody_who_is_not_bound_changes_anything(directory_server: DirectoryServer) -> None:
    with raw(directory_server) as connection:
        write: Any = connection
        assert not write.modify(f"CN=Zo\u00eb Zeller,OU=Staff,{CORP}", {"unicodePwd": GOOD})
        assert write.result["description"] == "operationsError"


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.CLOSE, Fault.GARBAGE, Fault.BUSY])
def test_a_directory_that_fails_is_said_without_the_passwords(
    fault: Fault, directory_server: DirectoryServer, directory_config: DirectoryConfig
) -> None:
    directory_server.fault = fault
    directory = ActiveDirectory(replace(directory_config, timeout=0.5), memory=HostMemory())
    with pytest.raises(DirectoryBusy) as busy:
        directory.change_password("zoe", seed.PASSWORD, NEW)
    told = "".join(traceback.format_exception(busy.value))
    assert seed.PASSWORD not in told
    assert NEW not in told
