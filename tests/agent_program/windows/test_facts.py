"""What a Windows machine says of itself: SMBIOS, adapters, boots, names."""

import ctypes
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.program.windows import adapters, certificate, smbios
from agents.program.windows.adapters import Card
from agents.program.windows.facts import boot_id, facts, fingerprint, os_name
from agents.program.windows.structures import Certificate
from tests.agent_program.windows.fake import FakeWindows, out

UUID = "ec2a1b2c-3d4e-5f60-7182-93a4b5c6d7e8"
UUID_BYTES = bytes.fromhex("2c1b2aec4e3d605f718293a4b5c6d7e8")


def table(uuid: bytes = UUID_BYTES, extra: bytes = b"") -> bytes:
    bios = bytes([0, 24]) + bytes(22) + b"Amazon EC2\x001.0\x00\x00"
    system = bytes([1, 27, 0, 1, 1, 2, 0, 0]) + uuid + bytes(3) + b"Amazon EC2\x00\x00"
    end = bytes([127, 4, 0, 255]) + b"\x00\x00"
    whole = bios + extra + system + end
    return bytes([0, 2, 7, 0]) + len(whole).to_bytes(4, "little") + whole


def test_the_machine_s_uuid_is_read_from_smbios_in_its_byte_order() -> None:
    assert smbios.machine_uuid(table()) == UUID
    assert smbios.machine_uuid(table(extra=bytes([11, 5, 0, 0, 1]) + b"text\x00\x00")) == UUID


@pytest.mark.parametrize("unset", [bytes(16), b"\xff" * 16])
def test_a_uuid_that_is_not_set_is_none(unset: bytes) -> None:
    assert smbios.machine_uuid(table(unset)) == ""


def test_a_table_cut_anywhere_is_no_error() -> None:
    whole = table()
    assert {smbios.machine_uuid(whole[:size]) for size in range(len(whole))} <= {"", UUID}


def test_a_clone_has_another_fingerprint_and_a_restart_the_same() -> None:
    one = fingerprint(UUID, ["0a:01", "0a:02"], "WS-1")
    assert fingerprint(UUID, ["0a:02", "0a:01"], "ws-1") == one
    assert len({one, fingerprint(UUID[::-1], [], "WS-1"), fingerprint(UUID, [], "WS-2")}) == 3


def test_a_network_that_is_not_up_yet_makes_no_machine_its_own_clone() -> None:
    assert fingerprint(UUID, [], "WS-1") == fingerprint(UUID, ["0a:01"], "WS-1")
    cards = [Card("0a:02", (), up=False), Card("0a:01", ("10.0.1.5",)), Card("0a:03", (), ethernet=False), Card("", ())]
    assert adapters.built_in(cards) == ["0a:01", "0a:02"]


def test_without_a_uuid_the_adapters_tell_clones_apart() -> None:
    assert fingerprint("", ["0a:01"], "WS-1") != fingerprint("", ["0a:02"], "WS-1")


def test_only_adapters_with_an_address_of_the_desktop_count() -> None:
    cards = [
        Card("0a:01", ("10.0.1.5", "fe80::1")),
        Card("0a:02", ("198.19.4.7",)),
        Card("", ("127.0.0.1", "::1"), loopback=True),
        Card("0a:03", ("169.254.10.1",)),
        Card("0a:04", ("10.9.9.9",), up=False),
    ]
    assert adapters.of_desktop(cards) == [Card("0a:01", ("10.0.1.5",))]


def test_addresses_are_read_out_of_what_sockets_use() -> None:
    assert adapters.address(bytes([2, 0, 0, 0, 10, 0, 1, 5]) + bytes(8)) == "10.0.1.5"
    assert adapters.address(bytes([23, 0]) + bytes(6) + bytes(15) + b"\x01" + bytes(4)) == "::1"
    assert adapters.address(b"") == adapters.address(bytes([1, 0, 3])) == adapters.address(bytes([2, 0])) == ""


def test_a_boot_has_one_id_and_the_next_boot_another_also_after_a_rebuild() -> None:
    when = datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert boot_id(7, 0x1DA0, when) == boot_id(7, 0x1DA0, when.replace(hour=12)) == "7-1da0"
    assert len({boot_id(7, 0x1DA0, when), boot_id(8, 0x1DA0, when), boot_id(7, 0x1DA1, when)}) == 3
    assert boot_id(7, 0, when) == "7-202611231000"
    assert boot_id(None, 0x1DA0, when) == "1da0"


@pytest.mark.parametrize(
    ("product", "build", "revision", "name"),
    [
        ("Windows Server 2022 Datacenter", "20348", 2113, "Windows Server 2022 Datacenter, build 20348.2113"),
        ("Windows 10 Enterprise", "22631", 1, "Windows 11 Enterprise, build 22631.1"),
        ("Windows 10 Enterprise", "19045", None, "Windows 10 Enterprise, build 19045.0"),
        ("", "", None, "Windows"),
    ],
)
def test_windows_11_calls_itself_10(product: str, build: str, revision: int | None, name: str) -> None:
    assert os_name(product, build, revision) == name


def test_a_machine_that_tells_nothing_still_has_facts() -> None:
    said = facts(FakeWindows({name: 0 for name in ("GetSystemFirmwareTable", "OpenProcess", "CertOpenStore")}
                             | {"RegGetValueW": 2, "GetAdaptersAddresses": 232, "GetTickCount64": 5_000}))  # fmt: skip
    assert (said.addresses, said.macs, said.rdp_cert_sha256, said.workspace_id) == ((), (), "", "")
    assert said.hostname
    assert len(said.fingerprint) == 64
    assert said.boot_id


def test_dcv_is_told_where_its_service_is_installed() -> None:
    def value(_hive: Any, key: str, _name: str, _kind: int, _type: Any, buffer: Any, size: Any) -> int:
        if not key.endswith("DCVServer"):
            return 2
        path = "LocalSystem\0".encode("utf-16-le")
        ctypes.memmove(buffer, path, len(path))
        out(size).value = len(path)
        return 0

    nothing = {name: 0 for name in ("GetSystemFirmwareTable", "OpenProcess", "CertOpenStore")}
    more = {"GetAdaptersAddresses": 232, "GetTickCount64": 5_000}
    assert facts(FakeWindows({**nothing, **more, "RegGetValueW": value})).protocols == ("rdp", "dcv")
    assert facts(FakeWindows({**nothing, **more, "RegGetValueW": 2})).protocols == ("rdp",)


def test_the_certificate_that_remote_desktop_shows_is_found_by_its_thumbprint() -> None:
    der = b"0\x82 a certificate"
    kept = ctypes.create_string_buffer(der, len(der))
    context = Certificate(1, ctypes.addressof(kept), len(der))
    stores: list[str] = []

    def value(_hive: Any, _key: str, name: str, _kind: int, _type: Any, buffer: Any, size: Any) -> int:
        if name != "SelfSignedCertificate":
            return 2
        ctypes.memmove(buffer, hashlib.sha1(der).digest(), 20)
        out(size).value = 20
        return 0

    def store(*arguments: Any) -> int:
        stores.append(arguments[-1])
        return len(stores)

    def find(number: int, _encoding: int, _flags: int, _kind: int, blob: Any, _before: Any) -> int:
        wanted = ctypes.string_at(out(blob).pbData, out(blob).cbData)
        return ctypes.addressof(context) if number == 2 and wanted == hashlib.sha1(der).digest() else 0

    api = FakeWindows({"RegGetValueW": value, "CertOpenStore": store, "CertFindCertificateInStore": find})
    assert certificate.rdp_sha256(api) == hashlib.sha256(der).hexdigest()
    assert stores == ["My", "Remote Desktop"]
    assert len(api.called("CertCloseStore")) == 2
