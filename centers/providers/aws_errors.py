"""Everything that boto3 can raise, and every refusal of one item, as a word to an administrator. One place for all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from centers.providers.base import ProviderBusy, ProviderError

# What one call can raise. UnicodeDecodeError, TypeError and the like come out of botocore's parsers on garbage.
CALL_ERRORS = (
    boto.BotoCoreError,
    boto.ClientError,
    ResponseParserError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
)

_BUSY = {
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "BandwidthLimitExceeded",
}
_AGAIN = {
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "InternalServerException",
    "InternalFailure",
    "InternalError",
    "InternalServerError",
    "ResourceUnavailableException",
    "OperationInProgressException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ConflictException",
}
_WRONG_KEY = {"UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure", "InvalidAccessKeyId"}
_WRONG_SECRET = {"InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature"}
_EXPIRED = {"ExpiredTokenException", "ExpiredToken"}
NOT_SIGNED_IN = _WRONG_KEY | _EXPIRED
_CLOCK = {"RequestExpired", "RequestTimeTooSkewed"}
_DENIED = {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "UnauthorizedException"}
_QUOTAS = {
    "GRAPHICS": "Graphics WorkSpaces",
    "GRAPHICSPRO": "GraphicsPro WorkSpaces",
    "GRAPHICS_G4DN": "Graphics.g4dn WorkSpaces",
    "GRAPHICSPRO_G4DN": "GraphicsPro.g4dn WorkSpaces",
    "GENERALPURPOSE_4XLARGE": "General Purpose 4xlarge WorkSpaces",
    "GENERALPURPOSE_8XLARGE": "General Purpose 8xlarge WorkSpaces",
}
_WORDS = {
    "ResourceNotFound.Directory": "AWS does not know this directory in this region. "
    "Check the AWS Directory ID, and that the directory is registered with WorkSpaces.",
    "ResourceNotFound.Bundle": "This image no longer exists in AWS. Scan the center and choose another one.",
    "ResourceNotFound.User": "AWS does not find this user in the directory. "
    "The user name must be the directory's sAMAccountName.",
    "ResourceNotFound.Workspace": "AWS does not know this WorkSpace: it was deleted, or it is too new to be seen.",
    "ResourceNotFoundException": "AWS does not know this WorkSpace: it was deleted, or it is too new to be seen.",
    "ResourceExists.WorkSpace": "This user already has a WorkSpace in this directory; AWS allows one.",
    "OptInRequired": "This region is not enabled in the AWS account.",
    "SubscriptionRequiredException": "The AWS account is not subscribed to WorkSpaces.",
}


@dataclass(frozen=True)
class Call:
    """What was being done when it failed: needed for the words. `write`: a lost answer may hide an effect."""

    operation: str  # as IAM names it, such as workspaces:StopWorkspaces
    region: str
    write: bool = False
    compute_type: str = ""


def translated(error: BaseException, call: Call) -> ProviderError:
    """The one error for whatever boto3 raised."""
    if isinstance(error, boto.ClientError):
        return _of_answer(error, call)
    return _of_network(error, call) or _of_settings(error, call) or not_aws(call)


def _of_answer(error: boto.ClientError, call: Call) -> ProviderError:
    details: Any = error.response.get("Error", {})
    code = str(details.get("Code", "")).rpartition("#")[2]
    message = str(details.get("Message") or "")
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    if code in _BUSY:
        text = f"AWS is throttling {call.operation}; it is asked again later."
        return ProviderBusy(text, code, retry_after=_retry_after(error))
    if code in _AGAIN or status >= 500:
        text = f"AWS could not serve {call.operation} just now ({code or status}): {message or 'no reason given'}"
        return ProviderBusy(text, code, retry_after=_retry_after(error), maybe_done=call.write and status >= 500)
    return ProviderError(_refusal(code, message, call), code)


def _retry_after(error: boto.ClientError) -> float | None:
    headers: Any = error.response.get("ResponseMetadata", {}).get("HTTPHeaders") or {}
    text = str(headers.get("retry-after", ""))
    return float(text) if text.isdigit() else None


def _refusal(code: str, message: str, call: Call) -> str:
    if code in _WRONG_KEY:
        return "AWS does not know this access key. Check the Access Key ID; it may be deleted or inactive."
    if code in _WRONG_SECRET or code in _CLOCK:
        return _signature(code, message)
    if code in _EXPIRED:
        return "The AWS credentials have expired."
    if code in _DENIED:
        return f"The AWS credentials lack the permission {_permission(message, call)}."
    if code == "ResourceLimitExceededException":
        return quota_words(call.compute_type, call.region)
    return _WORDS.get(code) or f"AWS refused {call.operation}: {message or code or 'no reason given'}"


def _signature(code: str, message: str) -> str:
    if code in _CLOCK or "expired" in message.lower() or "not yet current" in message.lower():
        return "AWS refuses requests with this clock. Set the broker's time (NTP)."
    return "The secret access key does not fit the access key. Enter the Secret Access Key again."


def _permission(message: str, call: Call) -> str:
    match = re.search(r"not authorized to perform: ([\w-]+:\w+)", message)
    return match[1] if match else call.operation


def quota_words(compute_type: str, region: str) -> str:
    """Which quota is used up, by the name that Service Quotas shows."""
    name = _QUOTAS.get(compute_type, "WorkSpaces")
    return f"The AWS quota “{name}” of this account is used up in {region}. Ask for more under Service Quotas."


def _of_network(error: BaseException, call: Call) -> ProviderError | None:
    where = str(getattr(error, "kwargs", {}).get("endpoint_url", "")) or f"AWS in {call.region}"
    if isinstance(error, boto.ProxyConnectionError):
        return ProviderBusy("The proxy does not answer. Check the center's Proxy address.")
    if isinstance(error, boto.SSLError):
        return ProviderBusy(f"The TLS certificate of {where} is not trusted. Is a proxy in between?")
    if isinstance(error, boto.ConnectTimeoutError):
        return ProviderBusy(f"{where} did not answer within 3 seconds.")
    if isinstance(error, boto.ReadTimeoutError):
        return ProviderBusy(f"{where} took longer than 10 seconds to answer.", maybe_done=call.write)
    if isinstance(error, boto.EndpointConnectionError):
        return ProviderBusy(f"{where} cannot be reached. Check the region, the network and the name server.")
    if isinstance(error, boto.HTTPClientError):  # also: closed before an answer
        return ProviderBusy(f"The connection to {where} broke.", maybe_done=call.write)
    return None


def _of_settings(error: BaseException, call: Call) -> ProviderError | None:
    if isinstance(error, boto.NoCredentialsError | boto.CredentialRetrievalError):
        return ProviderError("No AWS credentials were found in this machine's environment or role.")
    if isinstance(error, boto.PartialCredentialsError):
        return ProviderError("The AWS credentials are incomplete.")
    if isinstance(error, boto.InvalidRegionError | boto.NoRegionError | boto.UnknownRegionError):
        return ProviderError(f"“{call.region}” is not an AWS region.")
    if isinstance(error, boto.ProfileNotFound | boto.ConfigNotFound | boto.ConfigParseError):
        return ProviderError(f"The AWS configuration of this machine cannot be read: {error}")
    if isinstance(error, boto.ParamValidationError):
        return ProviderError(f"AWS would not understand this request: {error}")
    if isinstance(error, ValueError) and "Invalid endpoint" in str(error):
        return ProviderError("The AWS endpoint set in this machine's environment is not a URL.")
    if isinstance(error, boto.InvalidProxiesConfigError) or "proxy" in str(error).lower():
        return ProviderError("The center's Proxy address is not a valid URL.")
    return None


def not_aws(call: Call) -> ProviderBusy:
    """The error for an answer that AWS never gives."""
    text = f"What answered {call.operation} was not AWS. Is a proxy or portal in between?"
    return ProviderBusy(text, maybe_done=call.write)


def is_web_page(answer: Mapping[str, Any]) -> bool:
    """Whether a "successful" answer is a portal's page: botocore reads it as an empty answer."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("content-type", "")).startswith("text/html")


def item_words(code: str, message: str, call: Call) -> tuple[str, bool]:
    """One item of FailedRequests: its refusal in words, and whether it may be asked again."""
    if code in _BUSY or code in _AGAIN:
        return f"AWS could not do it just now ({code}): {message}", True
    if code in ("ResourceLimitExceeded", "ResourceLimitExceededException"):
        return quota_words(call.compute_type, call.region), False
    return _WORDS.get(code) or f"AWS refused: {message or code or 'no reason given'}", False
