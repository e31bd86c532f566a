"""Who may sign in to a demo's desktop: the people of its directories, with the password that all of them have."""

import subprocess
from functools import cache

from broker.demo.aws import constants
from broker.demo.directory import seed

DOMAINS = {
    constants.CORP_DIRECTORY: ("CORP", "corp.example.test"),
    constants.LAB_DIRECTORY: ("LAB", "lab.example.test"),
}
TOLD = 9  # characters of a name that some clients put into the cookie, no more


@cache
def nt_hash() -> str:
    """Of that password, as NTLM wants it. Raises OSError, SubprocessError."""
    command = ["winpr-hash", "-u", "x", "-p", seed.PASSWORD, "-f", "sam"]
    said = subprocess.run(command, check=True, capture_output=True, timeout=10, text=True).stdout
    return said.split(":")[3]


def names(directory: str) -> list[str]:
    """The accounts of a directory; those that are in trouble too: the desktop is not the directory."""
    people = seed.LAB if directory == constants.LAB_DIRECTORY else seed.STAFF
    return [person[0] for person in people]


def accounts(directory: str) -> str:
    """The password file of an RDP server: each name alone, which stands for any domain, and as user@domain."""
    _netbios, dns = DOMAINS.get(directory, ("", ""))
    whole = [spelling for name in names(directory) for spelling in (name, f"{name}@{dns}")]
    return "".join(f"{name}:::{nt_hash()}:::\n" for name in whole)


def windows_name(directory: str, said: str) -> str:
    """The account that a client's cookie means, such as CORP\\bob; "" where it means none, or several."""
    netbios, dns = DOMAINS.get(directory, ("", ""))
    meant = said.casefold()
    found = [
        name
        for name in names(directory)
        for spelling in (name, f"{netbios}\\{name}".casefold(), f"{name}@{dns}")
        if meant == spelling or (len(meant) == TOLD and spelling.startswith(meant))
    ]
    return f"{netbios}\\{found[0]}" if len(set(found)) == 1 else ""
