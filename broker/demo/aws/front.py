"""The simulator's front: the control page, then the check of the keys, then moto's server."""

import io
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qs

from flask import Flask
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sts.models import sts_backends

from broker.demo.aws import constants, signature, wire
from broker.demo.aws.control import Control
from broker.demo.aws.errors import AwsError
from broker.demo.aws.service import Garbage, Service

Wsgi = Callable[[wire.Environ, wire.StartResponse], Iterable[bytes]]
_SERVICES = ("workspaces", "sts")


class Front:
    """The WSGI application that the server runs."""

    def __init__(self, service: Service, control: Control, keys: Mapping[str, str] = constants.KEYS) -> None:
        self._service = service
        self._control = control
        self._keys = dict(keys)
        workspaces = wire.application(service)

        def create_app(name: Any) -> Any:
            return workspaces if name == "workspaces" else _quiet(create_backend_app(name))

        _name_the_user(self._keys)
        # moto's own WorkSpaces knows neither states, pages nor CBOR, and its import of EC2 costs 80 MB
        self._moto: Wsgi = DomainDispatcherApplication(create_app)

    def __call__(self, environ: wire.Environ, start_response: wire.StartResponse) -> Iterable[bytes]:
        if str(environ.get("PATH_INFO", "")).startswith("/_usher"):
            return self._control(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        service = ""
        try:
            signed = signature.parse(environ)
            service, environ["usher.region"] = signed.service, signed.region
            self._authenticate(signed, environ, body)
            if service == "sts":
                self._service.trouble(_action(body), "query")
        except Garbage:
            return wire.web_page(start_response)
        except AwsError as error:
            if service == "sts":
                return _refuse_query(start_response, error)
            return wire.refuse(environ, start_response, error)
        return self._moto(environ, start_response)

    def _authenticate(self, signed: signature.Signed, environ: wire.Environ, body: bytes) -> None:
        secret = self._keys.get(signed.key) or _assumed_secret(signed.key)
        query = signed.service == "sts"
        if secret is None:
            code = "InvalidClientTokenId" if query else "UnrecognizedClientException"
            raise AwsError(code, "The security token included in the request is invalid.", 403 if query else 400)
        if not signature.matches(signed, environ, body, secret):
            raise AwsError(
                "SignatureDoesNotMatch" if query else "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
                403 if query else 400,
            )
        if signed.service not in _SERVICES:
            raise AwsError("AccessDeniedException", f"The simulated account has no {signed.service}.")
        _authorize_role(signed, body)


def _name_the_user(keys: Mapping[str, str]) -> None:
    """Give the demo's keys an IAM user, so that GetCallerIdentity has a name to tell. moto's state is the process's."""
    iam = iam_backends[constants.ACCOUNT]["aws"]
    if any(user.name == constants.USER for user in iam.users.values()):
        return
    iam.create_user(constants.REGION, constants.USER)
    for key in keys:
        iam.create_access_key(constants.USER).access_key_id = key


def _assumed_secret(key: str) -> str | None:
    role = sts_backends[constants.ACCOUNT]["aws"].get_assumed_role_from_access_key(key)
    return None if role is None else str(role.secret_access_key)


def _authorize_role(signed: signature.Signed, body: bytes) -> None:
    """AssumeRole works for the demo's role only, with its external id (moto itself lets any role pass)."""
    if signed.service != "sts" or _action(body) != "AssumeRole":
        return
    asked = parse_qs(body.decode())
    if (asked.get("RoleArn"), asked.get("ExternalId")) != ([constants.ROLE_ARN], [constants.EXTERNAL_ID]):
        raise AwsError(
            "AccessDenied",
            f"User: arn:aws:iam::{constants.ACCOUNT}:user/{constants.USER} "
            "is not authorized to perform: sts:AssumeRole on that resource",
            403,
        )


def _action(body: bytes) -> str:
    return parse_qs(body.decode()).get("Action", ["?"])[0]


def _refuse_query(start_response: wire.StartResponse, error: AwsError) -> Iterable[bytes]:
    body = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        "<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
    ).encode()
    start_response(f"{error.status} Error", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _quiet(app: Flask) -> Flask:
    app.debug = False
    return app
