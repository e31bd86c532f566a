"""Structures of Windows that the agent reads and fills, as documented for 64 bit, in types of fixed size.

`ctypes.wintypes` is not used: its DWORD and WCHAR have other sizes on other systems, and the layouts are tested there.
Fixed texts are UTF-16 code units; `text` reads them.
"""

from __future__ import annotations

import ctypes
from typing import Any

BYTE, WORD, DWORD, LONG, QWORD, LARGE = (
    ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_int32, ctypes.c_uint64, ctypes.c_int64,
)  # fmt: skip
HANDLE = POINTER = ctypes.c_void_p
TEXT = ctypes.c_wchar_p


def text(units: Any) -> str:
    """A fixed array of UTF-16 code units as text, up to its first zero."""
    return bytes(units).decode("utf-16-le", "replace").partition("\0")[0]


class SessionInfo(ctypes.Structure):
    """WTS_SESSION_INFO_1W, of WTSEnumerateSessionsExW."""

    _fields_ = (
        ("ExecEnvId", DWORD),
        ("State", LONG),
        ("SessionId", DWORD),
        ("SessionName", TEXT),
        ("HostName", TEXT),
        ("UserName", TEXT),
        ("DomainName", TEXT),
        ("FarmName", TEXT),
    )


class SessionDetail(ctypes.Structure):
    """WTSINFOEX_LEVEL1_W: times are FILETIMEs, zero where there is none."""

    _fields_ = (
        ("SessionId", DWORD),
        ("SessionState", LONG),
        ("SessionFlags", LONG),
        ("WinStationName", WORD * 33),
        ("UserName", WORD * 21),
        ("DomainName", WORD * 18),
        ("LogonTime", LARGE),
        ("ConnectTime", LARGE),
        ("DisconnectTime", LARGE),
        ("LastInputTime", LARGE),
        ("CurrentTime", LARGE),
        ("IncomingBytes", DWORD),
        ("OutgoingBytes", DWORD),
        ("IncomingFrames", DWORD),
        ("OutgoingFrames", DWORD),
        ("IncomingCompressedBytes", DWORD),
        ("OutgoingCompressedBytes", DWORD),
    )


class SessionDetails(ctypes.Structure):
    """WTSINFOEXW, of WTSQuerySessionInformationW(WTSSessionInfoEx); its union has level 1 only."""

    _fields_ = (("Level", DWORD), ("Data", SessionDetail))


class ProcessInfo(ctypes.Structure):
    """WTS_PROCESS_INFOW, of WTSEnumerateProcessesW."""

    _fields_ = (("SessionId", DWORD), ("ProcessId", DWORD), ("ProcessName", TEXT), ("UserSid", POINTER))


class SidAndAttributes(ctypes.Structure):
    """SID_AND_ATTRIBUTES; TOKEN_USER is one."""

    _fields_ = (("Sid", POINTER), ("Attributes", DWORD))


class Privilege(ctypes.Structure):
    """TOKEN_PRIVILEGES with one LUID_AND_ATTRIBUTES, whose parts are all 32 bits wide."""

    _fields_ = (("PrivilegeCount", DWORD), ("LuidLow", DWORD), ("LuidHigh", LONG), ("Attributes", DWORD))


class SecurityAttributes(ctypes.Structure):
    """SECURITY_ATTRIBUTES."""

    _fields_ = (("nLength", DWORD), ("lpSecurityDescriptor", POINTER), ("bInheritHandle", LONG))


class StartupInfo(ctypes.Structure):
    """STARTUPINFOW."""

    _fields_ = (
        ("cb", DWORD),
        ("lpReserved", TEXT),
        ("lpDesktop", TEXT),
        ("lpTitle", TEXT),
        ("dwX", DWORD),
        ("dwY", DWORD),
        ("dwXSize", DWORD),
        ("dwYSize", DWORD),
        ("dwXCountChars", DWORD),
        ("dwYCountChars", DWORD),
        ("dwFillAttribute", DWORD),
        ("dwFlags", DWORD),
        ("wShowWindow", WORD),
        ("cbReserved2", WORD),
        ("lpReserved2", POINTER),
        ("hStdInput", HANDLE),
        ("hStdOutput", HANDLE),
        ("hStdError", HANDLE),
    )


class ProcessHandles(ctypes.Structure):
    """PROCESS_INFORMATION."""

    _fields_ = (("hProcess", HANDLE), ("hThread", HANDLE), ("dwProcessId", DWORD), ("dwThreadId", DWORD))


class LastInput(ctypes.Structure):
    """LASTINPUTINFO."""

    _fields_ = (("cbSize", DWORD), ("dwTime", DWORD))


class ServiceStatus(ctypes.Structure):
    """SERVICE_STATUS."""

    _fields_ = (
        ("dwServiceType", DWORD),
        ("dwCurrentState", DWORD),
        ("dwControlsAccepted", DWORD),
        ("dwWin32ExitCode", DWORD),
        ("dwServiceSpecificExitCode", DWORD),
        ("dwCheckPoint", DWORD),
        ("dwWaitHint", DWORD),
    )


# Called with the numbers of arguments and the arguments; on 64 bit there is one calling convention for all.
ServiceMain = ctypes.CFUNCTYPE(None, DWORD, POINTER)
ServiceHandler = ctypes.CFUNCTYPE(DWORD, DWORD, DWORD, POINTER, POINTER)


class ServiceEntry(ctypes.Structure):
    """SERVICE_TABLE_ENTRYW."""

    _fields_ = (("lpServiceName", TEXT), ("lpServiceProc", ServiceMain))


class RecoveryAction(ctypes.Structure):
    """SC_ACTION; the delay is in milliseconds."""

    _fields_ = (("Type", LONG), ("Delay", DWORD))


class RecoveryActions(ctypes.Structure):
    """SERVICE_FAILURE_ACTIONSW; the period is in seconds."""

    _fields_ = (
        ("dwResetPeriod", DWORD),
        ("lpRebootMsg", TEXT),
        ("lpCommand", TEXT),
        ("cActions", DWORD),
        ("lpsaActions", ctypes.POINTER(RecoveryAction)),
    )


class Description(ctypes.Structure):
    """SERVICE_DESCRIPTIONW."""

    _fields_ = (("lpDescription", TEXT),)


class BlobPointer(ctypes.Structure):
    """CRYPT_HASH_BLOB."""

    _fields_ = (("cbData", DWORD), ("pbData", POINTER))


class Certificate(ctypes.Structure):
    """CERT_CONTEXT."""

    _fields_ = (
        ("dwCertEncodingType", DWORD),
        ("pbCertEncoded", POINTER),
        ("cbCertEncoded", DWORD),
        ("pCertInfo", POINTER),
        ("hCertStore", HANDLE),
    )


class SocketAddress(ctypes.Structure):
    """SOCKET_ADDRESS."""

    _fields_ = (("lpSockaddr", POINTER), ("iSockaddrLength", LONG))


class UnicastAddress(ctypes.Structure):
    """IP_ADAPTER_UNICAST_ADDRESS_LH, as far as it is read."""


class Adapter(ctypes.Structure):
    """IP_ADAPTER_ADDRESSES_LH, as far as it is read."""


UnicastAddress._fields_ = [
    ("Length", DWORD),
    ("Flags", DWORD),
    ("Next", ctypes.POINTER(UnicastAddress)),
    ("Address", SocketAddress),
]
Adapter._fields_ = [
    ("Length", DWORD),
    ("IfIndex", DWORD),
    ("Next", ctypes.POINTER(Adapter)),
    ("AdapterName", POINTER),
    ("FirstUnicastAddress", ctypes.POINTER(UnicastAddress)),
    ("FirstAnycastAddress", POINTER),
    ("FirstMulticastAddress", POINTER),
    ("FirstDnsServerAddress", POINTER),
    ("DnsSuffix", TEXT),
    ("Description", TEXT),
    ("FriendlyName", TEXT),
    ("PhysicalAddress", BYTE * 8),
    ("PhysicalAddressLength", DWORD),
    ("Flags", DWORD),
    ("Mtu", DWORD),
    ("IfType", DWORD),
    ("OperStatus", LONG),
]
