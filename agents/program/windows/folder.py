"""The agent's folder under %ProgramData%: for LocalSystem and administrators alone, since keys lie in it.

Every user may make folders in %ProgramData%, so one that is there already is taken over: owner, rights, no inheritance.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

from agents.program.machine import CannotDo
from agents.program.windows.api import Api
from agents.program.windows.power import allow
from agents.program.windows.structures import POINTER

# Owner Administrators; protected, inherited by files and folders: full access for SYSTEM and Administrators.
RIGHTS = "O:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
REPARSE_POINT = 0x400
OWNER, RIGHTS_LIST, PROTECTED = 0x1, 0x4, 0x8000_0000  # SECURITY_INFORMATION


def make_private(api: Api, folder: Path) -> None:
    """Make the folder and its `state` where they are not there, and close them to everybody else.

    Raises CannotDo, also where somebody put a link in their place; OSError.
    """
    descriptor = security(api, RIGHTS)
    try:
        allow(api, "SeRestorePrivilege")  # to give ownership to Administrators
        for each in (folder, folder / "state"):
            each.mkdir(parents=True, exist_ok=True)
            if is_link(each):
                raise CannotDo(f"{each} leads elsewhere. Somebody may have put it there: remove it.")
            api.ask("SetFileSecurityW", str(each), OWNER | RIGHTS_LIST | PROTECTED, descriptor)
    finally:
        api.call("LocalFree", descriptor)


def is_link(folder: Path) -> bool:
    """Whether it is a symbolic link or a junction (FILE_ATTRIBUTE_REPARSE_POINT)."""
    return folder.is_symlink() or bool(getattr(folder.lstat(), "st_file_attributes", 0) & REPARSE_POINT)


def security(api: Api, rights: str) -> ctypes.c_void_p:
    """A security descriptor out of its text (SDDL), to be freed by LocalFree. Raises CannotDo."""
    descriptor = POINTER()
    api.ask("ConvertStringSecurityDescriptorToSecurityDescriptorW", rights, 1, ctypes.byref(descriptor), None)
    return descriptor
