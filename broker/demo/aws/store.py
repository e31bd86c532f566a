"""The account as a JSON file, so that a second start goes on where the first one stopped."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from broker.demo.aws.account import Account
from broker.demo.aws.world import Bundle, Directory, Step, Workspace


def save(account: Account, path: Path) -> None:
    """Write the account; a reader sees the old file or the new one, never a part."""
    with account.lock:
        text = json.dumps(_dump(account))
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        with fresh.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)


def _dump(account: Account) -> dict[str, Any]:
    return {
        "offset": account.clock.offset,
        "addresses_given": account.addresses_given,
        "directories": [asdict(row) for row in account.directories.values()],
        "bundles": [asdict(row) for row in account.bundles.values()],
        "workspaces": [asdict(row) for row in account.workspaces.values()],
    }


def load(account: Account, path: Path) -> bool:
    """Fill the account from the file; False when there is none. Raises ValueError when it is not ours."""
    if not path.exists():
        return False
    try:
        saved = json.loads(path.read_text())
        account.clock.offset = saved["offset"]
        account.addresses_given = saved["addresses_given"]
        account.directories = {row["id"]: Directory(**row) for row in saved["directories"]}
        account.bundles = {row["id"]: Bundle(**row) for row in saved["bundles"]}
        account.workspaces = {row["id"]: _workspace(row) for row in saved["workspaces"]}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a state file of this simulator: {error}") from error
    return True


def _workspace(row: dict[str, Any]) -> Workspace:
    return Workspace(**{**row, "steps": [Step(**step) for step in row["steps"]]})
