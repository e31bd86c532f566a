"""Benchmarks fail where a budget is missed, and say which."""

import os
import subprocess
import sys

import pytest

from broker.settings import BASE_DIR

MEASURED = """
from bench import budgets
budgets.at_most(1.5, "the first", {}, "s")
budgets.at_least(0.7, "the second", {}, "x direct")
raise SystemExit(budgets.verdict())
"""


@pytest.mark.parametrize(
    ("first", "second", "missed"),
    [(1.5, 0.7, []), (1.51, 3, ["the first"]), (0, 0.69, ["the second"]), (9, 0, ["the first", "the second"])],
)
def test_a_budget_that_is_missed_is_named_at_the_end_and_fails_the_run(
    first: float, second: float, missed: list[str]
) -> None:
    command = [sys.executable, "-c", MEASURED.format(first, second)]
    there = {**os.environ, "PYTHONPATH": str(BASE_DIR)}
    done = subprocess.run(command, env=there, capture_output=True, text=True, timeout=20)
    assert done.returncode == bool(missed)
    assert [each for each in ("the first", "the second") if each in done.stderr] == missed
    assert all(each in done.stdout for each in ("the first", "the second"))
    assert done.stdout.count("MISSED") == len(missed)
