"""The border to Windows: its functions by name, each with its library and the types of what it takes and gives.

Nothing is loaded before the first call, so that every module can be imported anywhere. On 64 bit there is one calling
convention, so `ctypes.CDLL` serves all libraries. Tests put an object with the same three methods in its place.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from agents.program.machine import CannotDo
from agents.program.windows.structures import DWORD, HANDLE, LONG, POINTER, TEXT

Where = tuple[str, Any, tuple[Any, ...]]
_KERNEL, _ADVAPI, _WTS = "kernel32", "advapi32", "wtsapi32"

FUNCTIONS: Mapping[str, Where] = {
    # Sessions
    "WTSEnumerateSessionsExW": (_WTS, LONG, (HANDLE, POINTER, DWORD, POINTER, POINTER)),
    "WTSQuerySessionInformationW": (_WTS, LONG, (HANDLE, DWORD, LONG, POINTER, POINTER)),
    "WTSEnumerateProcessesW": (_WTS, LONG, (HANDLE, DWORD, DWORD, POINTER, POINTER)),
    "WTSQueryUserToken": (_WTS, LONG, (DWORD, POINTER)),
    "WTSSendMessageW": (_WTS, LONG, (HANDLE, DWORD, TEXT, DWORD, TEXT, DWORD, DWORD, DWORD, POINTER, LONG)),
    "WTSDisconnectSession": (_WTS, LONG, (HANDLE, DWORD, LONG)),
    "WTSLogoffSession": (_WTS, LONG, (HANDLE, DWORD, LONG)),
    "WTSFreeMemory": (_WTS, None, (POINTER,)),
    "WTSFreeMemoryExW": (_WTS, LONG, (LONG, POINTER, DWORD)),
    # Accounts, rights, registry
    "GetTokenInformation": (_ADVAPI, LONG, (HANDLE, LONG, POINTER, DWORD, POINTER)),
    "ConvertSidToStringSidW": (_ADVAPI, LONG, (POINTER, POINTER)),
    "ConvertStringSidToSidW": (_ADVAPI, LONG, (TEXT, POINTER)),
    "LookupAccountNameW": (_ADVAPI, LONG, (TEXT, TEXT, POINTER, POINTER, POINTER, POINTER, POINTER)),
    "LookupAccountSidW": (_ADVAPI, LONG, (TEXT, POINTER, POINTER, POINTER, POINTER, POINTER, POINTER)),
    "NetLocalGroupAddMembers": ("netapi32", DWORD, (TEXT, TEXT, DWORD, POINTER, DWORD)),
    "NetLocalGroupDelMembers": ("netapi32", DWORD, (TEXT, TEXT, DWORD, POINTER, DWORD)),
    "RegGetValueW": (_ADVAPI, LONG, (HANDLE, TEXT, TEXT, DWORD, POINTER, POINTER, POINTER)),
    "OpenProcessToken": (_ADVAPI, LONG, (HANDLE, DWORD, POINTER)),
    "LookupPrivilegeValueW": (_ADVAPI, LONG, (TEXT, TEXT, POINTER)),
    "AdjustTokenPrivileges": (_ADVAPI, LONG, (HANDLE, LONG, POINTER, DWORD, POINTER, POINTER)),
    "ConvertStringSecurityDescriptorToSecurityDescriptorW": (_ADVAPI, LONG, (TEXT, DWORD, POINTER, POINTER)),
    "SetFileSecurityW": (_ADVAPI, LONG, (TEXT, DWORD, POINTER)),
    "InitiateSystemShutdownExW": (_ADVAPI, LONG, (TEXT, TEXT, DWORD, LONG, LONG, DWORD)),
    # Services
    "StartServiceCtrlDispatcherW": (_ADVAPI, LONG, (POINTER,)),
    "RegisterServiceCtrlHandlerExW": (_ADVAPI, HANDLE, (TEXT, POINTER, POINTER)),
    "SetServiceStatus": (_ADVAPI, LONG, (HANDLE, POINTER)),
    "OpenSCManagerW": (_ADVAPI, HANDLE, (TEXT, TEXT, DWORD)),
    "OpenServiceW": (_ADVAPI, HANDLE, (HANDLE, TEXT, DWORD)),
    "CreateServiceW": (
        _ADVAPI,
        HANDLE,
        (HANDLE, TEXT, TEXT, DWORD, DWORD, DWORD, DWORD, TEXT, TEXT, POINTER, TEXT, TEXT, TEXT),
    ),
    "ChangeServiceConfigW": (
        _ADVAPI,
        LONG,
        (HANDLE, DWORD, DWORD, DWORD, TEXT, TEXT, POINTER, TEXT, TEXT, TEXT, TEXT),
    ),
    "ChangeServiceConfig2W": (_ADVAPI, LONG, (HANDLE, DWORD, POINTER)),
    "StartServiceW": (_ADVAPI, LONG, (HANDLE, DWORD, POINTER)),
    "ControlService": (_ADVAPI, LONG, (HANDLE, DWORD, POINTER)),
    "QueryServiceStatus": (_ADVAPI, LONG, (HANDLE, POINTER)),
    "DeleteService": (_ADVAPI, LONG, (HANDLE,)),
    "CloseServiceHandle": (_ADVAPI, LONG, (HANDLE,)),
    # Processes, pipes, memory
    "CreateProcessAsUserW": (
        _ADVAPI, LONG, (HANDLE, TEXT, TEXT, POINTER, POINTER, LONG, DWORD, POINTER, TEXT, POINTER, POINTER),
    ),
    "CreateEnvironmentBlock": ("userenv", LONG, (POINTER, HANDLE, LONG)),
    "DestroyEnvironmentBlock": ("userenv", LONG, (POINTER,)),
    "CreateNamedPipeW": (_KERNEL, HANDLE, (TEXT, DWORD, DWORD, DWORD, DWORD, DWORD, DWORD, POINTER)),
    "ConnectNamedPipe": (_KERNEL, LONG, (HANDLE, POINTER)),
    "GetNamedPipeClientProcessId": (_KERNEL, LONG, (HANDLE, POINTER)),
    "PeekNamedPipe": (_KERNEL, LONG, (HANDLE, POINTER, DWORD, POINTER, POINTER, POINTER)),
    "ReadFile": (_KERNEL, LONG, (HANDLE, POINTER, DWORD, POINTER, POINTER)),
    "WriteFile": (_KERNEL, LONG, (HANDLE, POINTER, DWORD, POINTER, POINTER)),
    "OpenProcess": (_KERNEL, HANDLE, (DWORD, LONG, DWORD)),
    "GetProcessTimes": (_KERNEL, LONG, (HANDLE, POINTER, POINTER, POINTER, POINTER)),
    "GetCurrentProcess": (_KERNEL, HANDLE, ()),
    "TerminateProcess": (_KERNEL, LONG, (HANDLE, DWORD)),
    "CloseHandle": (_KERNEL, LONG, (HANDLE,)),
    "LocalFree": (_KERNEL, HANDLE, (POINTER,)),
    # The machine
    "GetSystemFirmwareTable": (_KERNEL, DWORD, (DWORD, DWORD, POINTER, DWORD)),
    "GetTickCount": (_KERNEL, DWORD, ()),
    "GetTickCount64": (_KERNEL, ctypes.c_uint64, ()),
    "GetSystemTimes": (_KERNEL, LONG, (POINTER, POINTER, POINTER)),
    "CallNtPowerInformation": ("powrprof", LONG, (LONG, POINTER, DWORD, POINTER, DWORD)),
    "GetAdaptersAddresses": ("iphlpapi", DWORD, (DWORD, DWORD, POINTER, POINTER, POINTER)),
    "GetLastInputInfo": ("user32", LONG, (POINTER,)),
    "LockWorkStation": ("user32", LONG, ()),
    "CertOpenStore": ("crypt32", HANDLE, (POINTER, DWORD, HANDLE, DWORD, TEXT)),
    "CertFindCertificateInStore": ("crypt32", POINTER, (HANDLE, DWORD, DWORD, DWORD, POINTER, POINTER)),
    "CertFreeCertificateContext": ("crypt32", LONG, (POINTER,)),
    "CertCloseStore": ("crypt32", LONG, (HANDLE, DWORD)),
    "PdhOpenQueryW": ("pdh", LONG, (TEXT, POINTER, POINTER)),
    "PdhAddEnglishCounterW": ("pdh", LONG, (HANDLE, TEXT, POINTER, POINTER)),
    "PdhCollectQueryData": ("pdh", LONG, (HANDLE,)),
    "PdhGetFormattedCounterArrayW": ("pdh", LONG, (HANDLE, DWORD, POINTER, POINTER, POINTER)),
}  # fmt: skip

INVALID_HANDLE = ctypes.c_void_p(-1).value


class Refused(CannotDo):
    """A function of Windows says no; `code` is its error (winerror.h)."""

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function}: {_words(code)}")
        self.code = code


class Api(Protocol):
    """What the rest of the agent sees of Windows."""

    def call(self, function: str, *arguments: Any) -> Any:
        """Its answer, whatever it means."""

    def ask(self, function: str, *arguments: Any) -> Any:
        """Its answer; raises Refused where that is 0, no handle or no pointer, with GetLastError's code."""

    def status(self, function: str, *arguments: Any, fine: tuple[int, ...] = ()) -> int:
        """For functions that answer an error code: raises Refused unless it is 0 or one of `fine`."""


class Windows:
    """The real thing: `Api` by ctypes. Raises CannotDo where this system has no such function."""

    def __init__(self) -> None:
        self._functions: dict[str, Any] = {}

    def call(self, function: str, *arguments: Any) -> Any:
        """As in Api."""
        found = self._functions.get(function) or self._load(function)
        return found(*arguments)

    def ask(self, function: str, *arguments: Any) -> Any:
        """As in Api."""
        answer = self.call(function, *arguments)
        if not answer or answer == INVALID_HANDLE:
            raise Refused(function, _last_error())
        return answer

    def status(self, function: str, *arguments: Any, fine: tuple[int, ...] = ()) -> int:
        """As in Api."""
        code = int(self.call(function, *arguments))
        if code and code not in fine:
            raise Refused(function, code)
        return code

    def _load(self, name: str) -> Any:
        library, answer, arguments = FUNCTIONS[name]
        try:
            function = getattr(ctypes.CDLL(library, use_last_error=True), name)
        except (OSError, AttributeError) as error:
            raise CannotDo(f"This system has no {name}.") from error
        function.restype, function.argtypes = answer, arguments
        self._functions[name] = function
        return function


def _last_error() -> int:
    if sys.platform == "win32":
        return ctypes.get_last_error()
    return 0


def _words(code: int) -> str:
    if sys.platform == "win32":
        return f"{ctypes.FormatError(code).strip()} ({code})"
    return f"error {code}"
