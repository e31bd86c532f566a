"""Whatever boto3 raises becomes one of two errors, in words that an administrator understands."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber

from centers.providers.aws_errors import Call, translated
from centers.providers.base import DeployRequest, PowerOp, ProviderBusy, ProviderConfig, ProviderError
from centers.providers.workspaces import WorkSpaces

STOP = Call("workspaces:StopWorkspaces", "us-east-1", write=True)
READ = Call("workspaces:DescribeWorkspaces", "us-east-1")


def answer(code: str, message: str = "", status: int = 400, **headers: str) -> boto.ClientError:
    about = {"HTTPStatusCode": status, "HTTPHeaders": {name.replace("_", "-"): text for name, text in headers.items()}}
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": about}
    return boto.ClientError(response, "StopWorkspaces")


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        ("UnrecognizedClientException", "", "does not know this access key"),
        ("InvalidClientTokenId", "", "does not know this access key"),
        ("InvalidSignatureException", "The request signature we calculated does not match", "secret access key"),
        ("SignatureDoesNotMatch", "Signature not yet current: 2026", "clock"),
        ("ExpiredTokenException", "", "expired"),
        ("RequestExpired", "", "clock"),
        ("AccessDeniedException", "", "permission workspaces:StopWorkspaces"),
        (
            "AccessDeniedException",
            "User: arn:aws:iam::1:user/x is not authorized to perform: kms:CreateGrant on resource: *",
            "permission kms:CreateGrant",
        ),
        ("ResourceLimitExceededException", "Your resource limits have been exceeded.", "quota “WorkSpaces”"),
        ("OptInRequired", "", "region is not enabled"),
        ("InvalidParameterValuesException", "bad thing", "bad thing"),
        ("com.amazonaws.workspaces#ResourceNotFoundException", "", "does not know this WorkSpace"),
        ("BrandNewException", "", "BrandNewException"),
    ],
)
def test_a_refusal_is_an_error_in_words(code: str, message: str, words: str) -> None:
    error = translated(answer(code, message), STOP)
    assert type(error) is ProviderError
    assert words in error.message
    assert error.code == code.rpartition("#")[2]


def test_aws_says_when_to_come_back() -> None:
    busy = translated(answer("ThrottlingException", retry_after="7"), STOP)
    assert isinstance(busy, ProviderBusy)
    assert busy.retry_after == 7


def test_nobody_is_not_looked_for() -> None:
    with pytest.raises(ValueError, match="needs a user name"):
        WorkSpaces(CONFIG).find()


def test_a_used_up_graphics_quota_is_named() -> None:
    call = Call("workspaces:CreateWorkspaces", "eu-west-1", True, "GRAPHICS_G4DN")
    error = translated(answer("ResourceLimitExceededException"), call)
    assert "“Graphics.g4dn WorkSpaces”" in error.message
    assert "eu-west-1" in error.message


@pytest.mark.parametrize(
    ("error", "maybe_done"),
    [
        (answer("ThrottlingException", "Rate exceeded"), False),
        (answer("OperationInProgressException"), False),
        (answer("InternalFailure", status=500), True),
        (answer("Whatever", status=503), True),
        (boto.ConnectTimeoutError(endpoint_url="https://x"), False),
        (boto.ReadTimeoutError(endpoint_url="https://x"), True),
        (boto.EndpointConnectionError(endpoint_url="https://x"), False),
        (boto.ConnectionClosedError(endpoint_url="https://x"), True),
        (boto.SSLError(endpoint_url="https://x", error=OSError("bad")), False),
        (boto.ProxyConnectionError(proxy_url="http://p"), False),
        (ResponseParserError("no"), True),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_may_pass_is_busy_and_says_whether_it_may_have_happened(error: Exception, maybe_done: bool) -> None:
    busy = translated(error, STOP)
    assert isinstance(busy, ProviderBusy)
    assert busy.maybe_done is maybe_done
    read = translated(error, READ)
    assert isinstance(read, ProviderBusy)
    assert not read.maybe_done


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (boto.NoCredentialsError(), "No AWS credentials"),
        (boto.InvalidRegionError(region_name="x y"), "not an AWS region"),
        (boto.InvalidProxiesConfigError(), "Proxy address"),
        (boto.ParamValidationError(report="Missing"), "Missing"),
        (ValueError("Invalid endpoint: x"), "not a URL"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_wrong_settings_are_an_error(error: Exception, words: str) -> None:
    refused = translated(error, READ)
    assert not isinstance(refused, ProviderBusy)
    assert words in refused.message


CONFIG = ProviderConfig("us-east-1", "d-9067aaaaaa", access_key="AKIAEXAMPLE", secret_key="planted-secret")


def stubbed(write: bool, prepare: Callable[[Stubber], None]) -> tuple[WorkSpaces, Stubber]:
    provider = WorkSpaces(CONFIG)
    stub = Stubber(provider._clients.get("workspaces", write=write))
    prepare(stub)
    stub.activate()
    return provider, stub


def test_a_refused_scan_ends_with_the_error_after_the_pages_before_it() -> None:
    row = {"WorkspaceId": "ws-123456789", "DirectoryId": "d-9067aaaaaa", "UserName": "bob", "State": "AVAILABLE"}
    expected = {"DirectoryId": "d-9067aaaaaa"}

    def prepare(stub: Stubber) -> None:
        stub.add_response("describe_workspaces", {"Workspaces": [row], "NextToken": "t"}, expected)
        stub.add_client_error(
            "describe_workspaces", "AccessDeniedException", expected_params=expected | {"NextToken": "t"}
        )

    provider, _ = stubbed(False, prepare)
    pages = provider.pages()
    assert [desktop.ref for desktop in next(pages)] == ["ws-123456789"]
    with pytest.raises(ProviderError, match="workspaces:DescribeWorkspaces"):
        next(pages)


def test_a_page_that_comes_again_and_again_ends_the_scan() -> None:
    def prepare(stub: Stubber) -> None:
        for _ in range(2):
            stub.add_response("describe_workspaces", {"Workspaces": [], "NextToken": "same"})

    provider, _ = stubbed(False, prepare)
    with pytest.raises(ProviderBusy, match="again and again"):
        list(provider.pages())


def test_a_create_that_aws_does_not_answer_for_may_have_been_done() -> None:
    provider, _ = stubbed(True, lambda stub: stub.add_response("create_workspaces", {"PendingRequests": []}))
    [result] = provider.deploy([DeployRequest("d-9067aaaaaa", "wsb-core00std1", "alice")])
    assert result.maybe_done
    assert result.ref == ""


def test_the_user_name_goes_to_aws_as_given_with_everything_advanced() -> None:
    expected = {
        "Workspaces": [
            {
                "DirectoryId": "d-9067aaaaaa",
                "UserName": "Alice.M",
                "BundleId": "wsb-core00std1",
                "WorkspaceProperties": {
                    "RunningMode": "MANUAL",
                    "RootVolumeSizeGib": 175,
                    "UserVolumeSizeGib": 100,
                    "ComputeTypeName": "POWER",
                },
                "Tags": [{"Key": "a", "Value": "b"}],
                "VolumeEncryptionKey": "arn:aws:kms:us-east-1:1:key/x",
                "RootVolumeEncryptionEnabled": True,
                "UserVolumeEncryptionEnabled": True,
            }
        ]
    }
    told = {"PendingRequests": [{"WorkspaceId": "ws-123456789", "DirectoryId": "d-9067aaaaaa", "UserName": "alice.m"}]}
    provider, stub = stubbed(True, lambda stub: stub.add_response("create_workspaces", told, expected))
    request = DeployRequest(
        "d-9067aaaaaa",
        "wsb-core00std1",
        "Alice.M",
        tags={"a": "b"},
        root_gb=175,
        user_gb=100,
        compute_type="POWER",
        encryption_key="arn:aws:kms:us-east-1:1:key/x",
    )
    assert provider.deploy([request])[0].ref == "ws-123456789"
    stub.assert_no_pending_responses()


def test_26_stops_are_two_calls_and_a_later_failure_is_told_per_item() -> None:
    refs = [f"ws-{number:09}" for number in range(26)]

    def prepare(stub: Stubber) -> None:
        stub.add_response("stop_workspaces", {"FailedRequests": []})
        stub.add_client_error("stop_workspaces", "ThrottlingException", "Rate exceeded")

    provider, _ = stubbed(True, prepare)
    outcomes = provider.power(PowerOp.STOP, refs)
    assert [outcome.ref for outcome in outcomes] == refs
    assert [outcome.ok for outcome in outcomes] == [True] * 25 + [False]
    assert outcomes[-1].retry


def test_no_secret_is_in_the_words_or_the_repr() -> None:
    assert "planted-secret" not in repr(CONFIG)
