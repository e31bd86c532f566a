"""Signature Version 4, verified: a wrong secret is refused as AWS refuses it."""

import hmac
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from broker.demo.aws.errors import AwsError

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request,\s*"
    r"SignedHeaders=(?P<headers>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Signed:
    """What the Authorization header says."""

    key: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str


def parse(environ: dict[str, Any]) -> Signed:
    """Read the Authorization header. Raises AwsError when there is none or it is no SigV4 one."""
    match = _AUTHORIZATION.match(environ.get("HTTP_AUTHORIZATION", ""))
    if match is None:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
    return Signed(
        match["key"], match["region"], match["service"], tuple(match["headers"].split(";")), match["signature"]
    )


def matches(signed: Signed, environ: dict[str, Any], body: bytes, secret: str) -> bool:
    """Whether `secret` gives the same signature for this request."""
    values = {name: _header(environ, name) for name in signed.headers}
    query = environ.get("QUERY_STRING", "")
    url = f"http://{_header(environ, 'host')}{quote(environ.get('PATH_INFO') or '/')}" + (f"?{query}" if query else "")
    request = AWSRequest(method=environ["REQUEST_METHOD"], url=url, headers=values, data=body)
    request.context["timestamp"] = environ.get("HTTP_X_AMZ_DATE", "")
    auth = SigV4Auth(Credentials(signed.key, secret), signed.service, signed.region)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return hmac.compare_digest(auth.signature(text, request), signed.signature)


def _header(environ: dict[str, Any], name: str) -> str:
    key = name.upper().replace("-", "_")
    if key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        return str(environ.get(key, ""))
    return str(environ.get(f"HTTP_{key}", ""))
