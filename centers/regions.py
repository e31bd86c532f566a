"""AWS regions that have WorkSpaces, as botocore knows them."""

from functools import cache
from typing import Any

from botocore.loaders import create_loader

PARTITIONS = ("aws", "aws-us-gov", "aws-cn")  # the others are closed networks


@cache
def regions() -> tuple[tuple[str, str], ...]:
    """(code, "code – name") of each region, for a drop-down; read once (50 ms)."""
    found = []
    partitions: list[Any] = create_loader().load_data("endpoints")["partitions"]
    for partition in partitions:
        if partition["partition"] in PARTITIONS:
            codes = partition["services"].get("workspaces", {}).get("endpoints", {})
            names = partition["regions"]
            found += [(code, f"{code} – {names[code]['description']}") for code in sorted(codes) if code in names]
    return tuple(found)
