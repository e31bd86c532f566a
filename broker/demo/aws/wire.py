"""The two protocols of the WorkSpaces service, JSON 1.1 and smithy-rpc-v2-cbor, as one WSGI application."""

import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broker.demo.aws import cbor
from broker.demo.aws.errors import AwsError
from broker.demo.aws.service import Garbage, Service

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
GARBAGE = b"<html><body>Please sign in to the hotel's network</body></html>"


@dataclass(frozen=True)
class Protocol:
    """How a protocol writes its bodies."""

    name: str
    content_type: str
    loads: Callable[[bytes], Any]
    dumps: Callable[[Any], bytes]


def _json_dumps(value: Any) -> bytes:
    return json.dumps(value, default=_json_time).encode()


def _json_time(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"no JSON for {type(value).__name__}")


JSON = Protocol("json", "application/x-amz-json-1.1", lambda body: json.loads(body or b"{}"), _json_dumps)
CBOR = Protocol("smithy-rpc-v2-cbor", "application/cbor", lambda body: cbor.loads(body or b"\xa0"), cbor.dumps)


def protocol_of(environ: Environ) -> Protocol:
    """Which protocol a request speaks."""
    return CBOR if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor" else JSON


def operation_of(environ: Environ) -> str:
    """The operation's name: from the path (CBOR) or from X-Amz-Target (JSON)."""
    if protocol_of(environ) is CBOR:
        return str(environ.get("PATH_INFO", "")).rpartition("/operation/")[2]
    return str(environ.get("HTTP_X_AMZ_TARGET", "")).rpartition(".")[2]


def application(service: Service) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """The service as a WSGI application; moto's server calls it for what is signed for `workspaces`."""

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        protocol = protocol_of(environ)
        try:
            params = _params(protocol, environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
            answer = service.answer(operation_of(environ), params, protocol.name, environ.get("usher.region", ""))
        except AwsError as error:
            return refuse(environ, start_response, error)
        except Garbage:
            return web_page(start_response)
        return _respond(start_response, protocol, 200, answer)

    return serve


def _params(protocol: Protocol, body: bytes) -> dict[str, Any]:
    try:
        params = protocol.loads(body)
    except ValueError as error:
        raise AwsError("SerializationException", str(error)) from error
    if not isinstance(params, dict):
        raise AwsError("SerializationException", "The body is not a map.")
    return {name: value for name, value in params.items() if value is not None}


def web_page(start_response: StartResponse) -> Iterable[bytes]:
    """What a portal answers instead of AWS."""
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(GARBAGE)))])
    return [GARBAGE]


def refuse(environ: Environ, start_response: StartResponse, error: AwsError) -> Iterable[bytes]:
    """An error answer in the request's protocol."""
    prefix = "com.amazonaws.workspaces#" if protocol_of(environ) is CBOR else ""
    body = {"__type": prefix + error.code, "message": error.message}
    return _respond(start_response, protocol_of(environ), error.status, body)


def _respond(start_response: StartResponse, protocol: Protocol, status: int, answer: Any) -> Iterable[bytes]:
    body = protocol.dumps(answer)
    headers = [
        ("Content-Type", protocol.content_type),
        ("Content-Length", str(len(body))),
        ("x-amzn-RequestId", str(uuid.uuid4())),
    ]
    if protocol is CBOR:
        headers.append(("smithy-protocol", "rpc-v2-cbor"))
    start_response(f"{status} {'OK' if status == 200 else 'Error'}", headers)
    return [body]
