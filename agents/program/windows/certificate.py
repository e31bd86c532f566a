"""The certificate that Remote Desktop shows, by which gateways pin it (RULES 3).

`SSLCertificateSHA1Hash` of the RDP-Tcp listener names one that an administrator chose; `SelfSignedCertificate` of its
parent the one that Windows made itself. Both lie in a store of the machine, "My" or "Remote Desktop".
"""

from __future__ import annotations

import ctypes
import hashlib

from agents.program.windows import registry
from agents.program.windows.api import Api
from agents.program.windows.structures import BlobPointer, Certificate

STATIONS = r"SYSTEM\CurrentControlSet\Control\Terminal Server\WinStations"
NAMES = ((rf"{STATIONS}\RDP-Tcp", "SSLCertificateSHA1Hash"), (STATIONS, "SelfSignedCertificate"))
STORES = ("My", "Remote Desktop")

SYSTEM_STORE = 10  # CERT_STORE_PROV_SYSTEM_W
OPEN = 0x0002_0000 | 0x8000 | 0x4000  # CERT_SYSTEM_STORE_LOCAL_MACHINE, read only, existing only
ENCODING = 0x1 | 0x10000  # X509_ASN_ENCODING | PKCS_7_ASN_ENCODING
FIND_SHA1 = 0x10000  # CERT_FIND_SHA1_HASH


def rdp_sha256(api: Api) -> str:
    """SHA-256 of the certificate in hex; "" where none is known. Raises CannotDo where Windows has no such store."""
    for key, name in NAMES:
        thumbprint = registry.read(api, key, name, registry.BINARY)
        found = [_find(api, store, thumbprint) for store in STORES] if len(thumbprint) == 20 else []
        for certificate in filter(None, found):
            return hashlib.sha256(certificate).hexdigest()
    return ""


def _find(api: Api, name: str, thumbprint: bytes) -> bytes:
    """The certificate with this SHA-1 in a store, in DER."""
    store = api.call("CertOpenStore", SYSTEM_STORE, 0, None, OPEN, name)
    if not store:
        return b""
    value = ctypes.create_string_buffer(thumbprint, len(thumbprint))
    blob = BlobPointer(len(thumbprint), ctypes.addressof(value))
    context = api.call("CertFindCertificateInStore", store, ENCODING, 0, FIND_SHA1, ctypes.byref(blob), None)
    found = b""
    if context:
        said = Certificate.from_address(context)
        found = ctypes.string_at(said.pbCertEncoded, said.cbCertEncoded)
        api.call("CertFreeCertificateContext", context)
    api.call("CertCloseStore", store, 0)
    return found
