"""What AWS's states mean, and what may be asked in which."""

import pytest

from centers.providers.base import Power, PowerOp
from centers.providers.states import (
    directory_id_problem,
    is_workspace_id,
    passing,
    possible,
    power_of,
    workspace_name_problem,
)


@pytest.mark.parametrize(
    ("raw", "power"),
    [
        ("AVAILABLE", Power.RUNNING),
        ("STOPPED", Power.STOPPED),
        ("PENDING", Power.STARTING),
        ("REBOOTING", Power.STARTING),
        ("STOPPING", Power.STOPPING),
        ("ADMIN_MAINTENANCE", Power.MAINTENANCE),
        ("IMPAIRED", Power.UNHEALTHY),
        ("SUSPENDED", Power.SUSPENDED),
        ("ERROR", Power.ERROR),
        ("TERMINATING", Power.DELETING),
        ("SOMETHING_NEW", Power.UNKNOWN),
        ("", Power.UNKNOWN),
    ],
)
def test_every_state_has_a_power(raw: str, power: Power) -> None:
    assert power_of(raw) is power


@pytest.mark.parametrize(
    ("op", "state", "mode"),
    [
        (PowerOp.START, "STOPPED", "MANUAL"),
        (PowerOp.STOP, "AVAILABLE", "AUTO_STOP"),
        (PowerOp.STOP, "IMPAIRED", "MANUAL"),
        (PowerOp.REBOOT, "AVAILABLE", "ALWAYS_ON"),
        (PowerOp.REBOOT, "REBOOTING", "MANUAL"),
        (PowerOp.REBUILD, "STOPPED", "MANUAL"),
        (PowerOp.REBUILD, "ERROR", "ALWAYS_ON"),
    ],
)
def test_what_aws_takes_is_possible(op: PowerOp, state: str, mode: str) -> None:
    assert possible(op, state, mode) == ""


@pytest.mark.parametrize(
    ("op", "state", "mode", "words"),
    [
        (PowerOp.STOP, "AVAILABLE", "ALWAYS_ON", "Always On and cannot be stopped. Reboot it"),
        (PowerOp.START, "STOPPED", "ALWAYS_ON", "Always On and cannot be started. Reboot it"),
        (PowerOp.START, "AVAILABLE", "MANUAL", "cannot be started because it is running"),
        (PowerOp.STOP, "STARTING", "MANUAL", "still starting"),
        (PowerOp.REBOOT, "IMPAIRED", "MANUAL", "Stop it, then start it"),
        (PowerOp.REBOOT, "STOPPED", "MANUAL", "Start it"),
        (PowerOp.REBUILD, "SUSPENDED", "MANUAL", "an image is being made"),
        (PowerOp.STOP, "ADMIN_MAINTENANCE", "MANUAL", "maintenance mode"),
        (PowerOp.STOP, "SOMETHING_NEW", "MANUAL", "its state is SOMETHING_NEW"),
    ],
)
def test_what_aws_would_refuse_is_refused_in_words(op: PowerOp, state: str, mode: str, words: str) -> None:
    assert words in possible(op, state, mode)


def test_a_stop_may_wait_for_a_passing_state() -> None:
    assert passing("STARTING")
    assert passing("UPDATING")
    assert not passing("AVAILABLE")
    assert not passing("ERROR")


@pytest.mark.parametrize("name", ["ab", "_x", "(lab)-01", "a" * 64, "9.desk"])
def test_good_workspace_names_have_no_problem(name: str) -> None:
    assert workspace_name_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a", "2 to 64"),
        ("", "2 to 64"),
        ("a" * 65, "2 to 64"),
        ("-desk", "begins with"),
        ("my desk", "only letters"),
        ("desk\n", "only letters"),
    ],
)
def test_bad_workspace_names_are_told_why(name: str, words: str) -> None:
    assert words in workspace_name_problem(name)


def test_ids_have_aws_form() -> None:
    assert directory_id_problem("d-9067aaaaaa") == ""
    assert directory_id_problem("wsd-abc123xyz") == ""
    assert "d-xyz" in directory_id_problem("d-xyz")
    assert is_workspace_id("ws-abc123def")
    assert not is_workspace_id("ws-abc123def'; --")
