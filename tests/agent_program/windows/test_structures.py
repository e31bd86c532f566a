"""The structures lie in memory as on 64-bit Windows: sizes and offsets from the documented headers.

All but those of WTSINFOEX and WTS_SESSION_INFO_1 were also read from a program compiled for Windows with those headers.
"""

import ctypes

import pytest

from agents.program.windows import structures
from agents.program.windows.busy import CounterItem
from agents.program.windows.structures import text

LAYOUT: dict[type[ctypes.Structure], tuple[int, dict[str, int]]] = {
    structures.SessionInfo: (
        56,
        {"State": 4, "SessionId": 8, "SessionName": 16, "HostName": 24, "UserName": 32, "DomainName": 40},
    ),
    structures.SessionDetails: (232, {"Level": 0, "Data": 8}),
    structures.SessionDetail: (
        224,
        {
            "SessionState": 4, "SessionFlags": 8, "WinStationName": 12, "UserName": 78, "DomainName": 120,
            "LogonTime": 160, "ConnectTime": 168, "DisconnectTime": 176, "LastInputTime": 184, "CurrentTime": 192,
            "IncomingBytes": 200, "OutgoingCompressedBytes": 220,
        },
    ),
    structures.ProcessInfo: (24, {"ProcessId": 4, "ProcessName": 8, "UserSid": 16}),
    structures.SidAndAttributes: (16, {"Attributes": 8}),
    structures.Privilege: (16, {"LuidLow": 4, "Attributes": 12}),
    structures.SecurityAttributes: (24, {"lpSecurityDescriptor": 8, "bInheritHandle": 16}),
    structures.StartupInfo: (104, {"lpDesktop": 16, "dwFlags": 60, "hStdInput": 80, "hStdError": 96}),
    structures.ProcessHandles: (24, {"hThread": 8, "dwProcessId": 16, "dwThreadId": 20}),
    structures.LastInput: (8, {"dwTime": 4}),
    structures.ServiceStatus: (28, {"dwCurrentState": 4, "dwControlsAccepted": 8, "dwWaitHint": 24}),
    structures.ServiceEntry: (16, {"lpServiceProc": 8}),
    structures.RecoveryAction: (8, {"Delay": 4}),
    structures.RecoveryActions: (40, {"lpRebootMsg": 8, "lpCommand": 16, "cActions": 24, "lpsaActions": 32}),
    structures.Description: (8, {"lpDescription": 0}),
    structures.BlobPointer: (16, {"pbData": 8}),
    structures.Certificate: (40, {"pbCertEncoded": 8, "cbCertEncoded": 16, "hCertStore": 32}),
    structures.SocketAddress: (16, {"iSockaddrLength": 8}),
    structures.UnicastAddress: (32, {"Next": 8, "Address": 16}),
    structures.Adapter: (
        112,
        {"Next": 8, "FirstUnicastAddress": 24, "PhysicalAddress": 80, "PhysicalAddressLength": 88, "IfType": 100,
         "OperStatus": 104},
    ),
    CounterItem: (24, {"CStatus": 8, "doubleValue": 16}),
}  # fmt: skip


@pytest.mark.parametrize("structure", LAYOUT, ids=lambda each: each.__name__)
def test_it_lies_in_memory_as_documented(structure: type[ctypes.Structure]) -> None:
    size, offsets = LAYOUT[structure]
    assert ctypes.sizeof(structure) == size
    assert {name: getattr(structure, name).offset for name in offsets} == offsets


def test_no_structure_is_left_out() -> None:
    own = {
        each
        for each in vars(structures).values()
        if isinstance(each, type) and issubclass(each, ctypes.Structure) and each.__module__ == structures.__name__
    }
    assert own <= set(LAYOUT)


def test_fixed_texts_are_utf_16_up_to_the_first_zero() -> None:
    detail = structures.SessionDetail()
    for index, unit in enumerate("mü€\U0001f600".encode("utf-16-le")[i : i + 2] for i in range(0, 10, 2)):
        detail.UserName[index] = int.from_bytes(unit, "little")
    detail.UserName[6] = ord("x")
    assert text(detail.UserName) == "mü€\U0001f600"
    assert text(detail.DomainName) == ""
