"""*Log in as*: in whose domain a user logs in, and whose an account of the desktop itself is then (SPEC 3.2, 3.5.2)."""

from collections.abc import Iterator

import pytest

from broker.connect import actions, log_in_as
from broker.connect.models import DesktopSession
from centers.models import Center
from policies.models import Policy, PoolAssignment, Role
from pools.models import Assignment
from tests import make
from tests.connect.stage import Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(monkeypatch) as made:
        Center.objects.update(rogue_ignores_local=False)
        yield made


def says(stage: Stage, line: str, *, hard: bool = False, role: bool = False) -> None:
    """What the line, or the hard section, and the role say."""
    PoolAssignment.objects.update(log_in_as="D" if hard else line)
    Policy.objects.update(hard_log_in_as=line if hard else "D")
    Role.objects.update(local_user=role)
    if hard:
        Assignment.objects.update(kind=Assignment.Kind.HARD)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(
    ("line", "role", "local"),
    [("R", False, False), ("R", True, True), ("D", True, False), ("L", False, True)],
)
def test_the_pool_assignment_decides_and_leaves_it_to_the_role_by_r(
    stage: Stage, line: str, role: bool, local: bool, hard: bool
) -> None:
    says(stage, line, hard=hard, role=role)
    held = Assignment.objects.get()
    expected = stage.desktop.computer_name if local else stage.alice.netbios
    assert (log_in_as.locally(held), log_in_as.domain(stage.desktop, held)) == (local, expected)


def here(stage: Stage) -> DesktopSession:
    """The session of an account of the machine that is called alice."""
    stage.talker.tell("login", user=f"{stage.desktop.computer_name}\\Alice", session="5")
    return DesktopSession.objects.get()


def test_the_account_of_the_machine_with_the_users_name_is_the_users(stage: Stage) -> None:
    says(stage, "L")
    session = here(stage)
    assert (session.user, session.rogue, session.assignment_id) == (stage.alice, False, stage.held.pk)


def test_a_name_that_names_another_machine_or_domain_is_not(stage: Stage) -> None:
    says(stage, "L")
    stage.talker.tell("heartbeat", user="", session="", sessions=[
        {"session": "5", "user": "OTHER\\alice", "local": True, "state": "active"}])  # fmt: skip
    assert DesktopSession.objects.get().user is None


def test_a_user_without_an_account_name_is_known_by_the_front_of_the_login(stage: Stage) -> None:
    says(stage, "L")
    type(stage.alice).objects.update(sam="", login="alice@corp.example.test")
    assert here(stage).user == stage.alice


def test_the_backup_pool_of_the_hard_section_logs_in_as_it_says(stage: Stage) -> None:
    policy = stage.alice.access.policy
    assert policy
    Policy.objects.update(hard_log_in_as="L", hard_backup_pool=policy.lines.get().pool)
    policy.lines.all().delete()
    assert log_in_as.locally(Assignment.objects.get())


def test_without_it_an_account_of_the_machine_is_nobodys(stage: Stage) -> None:
    says(stage, "D")
    session = here(stage)
    assert (session.user, session.rogue, session.assignment_id) == (None, True, None)


def test_another_account_of_the_machine_is_a_rogues_all_the_same(stage: Stage) -> None:
    says(stage, "L")
    stage.talker.tell("login", user=f"{stage.desktop.computer_name}\\Administrator", session="5")
    session = DesktopSession.objects.get()
    assert (session.user, session.rogue) == (None, True)


def test_once_released_the_account_of_the_machine_is_nobodys_again(stage: Stage) -> None:
    says(stage, "L")
    actions.release(stage.held.pk, "by the test")
    make.assignment(make.user("bob", at=stage.desktop.center.server), stage.desktop)
    session = here(stage)
    assert (session.user, session.rogue) == (None, True)
