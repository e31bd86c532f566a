"""Amazon WorkSpaces as a provider of desktops."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from centers.providers import aws_shapes
from centers.providers.aws_clients import Clients, Service
from centers.providers.aws_errors import CALL_ERRORS, NOT_SIGNED_IN, Call, is_web_page, item_words, not_aws, translated
from centers.providers.base import (
    DeployRequest,
    DeployResult,
    Finding,
    Outcome,
    PowerOp,
    Provider,
    ProviderBusy,
    ProviderConfig,
    ProviderError,
    RemoteDesktop,
    RemoteDirectory,
    RemoteImage,
    no_guard,
)
from centers.providers.states import directory_id_problem, is_bundle_id, is_workspace_id, workspace_name_problem
from centers.providers.workspaces_check import examine

BATCH = 25  # items per call (AWS API)
GONE = "ResourceNotFound.Workspace"
Item = TypeVar("Item")
_POWER = {
    PowerOp.START: ("start_workspaces", "StartWorkspaceRequests", BATCH),
    PowerOp.STOP: ("stop_workspaces", "StopWorkspaceRequests", BATCH),
    PowerOp.REBOOT: ("reboot_workspaces", "RebootWorkspaceRequests", BATCH),
    PowerOp.REBUILD: ("rebuild_workspaces", "RebuildWorkspaceRequests", 1),
}


@dataclass(frozen=True)
class Rows(Generic[Item]):
    """A describe method, where its answer keeps the rows, and what becomes of each."""

    method: str
    key: str
    shape: Callable[[aws_shapes.Answer], Item]


DESKTOPS = Rows("describe_workspaces", "Workspaces", aws_shapes.desktop)
IMAGES = Rows("describe_workspace_bundles", "Bundles", aws_shapes.deployable)
DIRECTORIES = Rows("describe_workspace_directories", "Directories", aws_shapes.directory)


class WorkSpaces(Provider):
    """Amazon WorkSpaces and WorkSpaces Core, by bundles and directories."""

    kind = "workspaces"
    label = "Amazon WorkSpaces"

    def __init__(self, config: ProviderConfig, guard: Callable[[], None] = no_guard) -> None:
        super().__init__(config, guard)
        self._clients = Clients(config, guard)

    def check(self) -> list[Finding]:
        """Test: credentials, directory, tenancy, images; each in words (RULES 27)."""
        hasty = WorkSpaces(self.config, self.guard)
        hasty._clients = Clients(self.config, self.guard, read_attempts=1)  # somebody is looking at the button
        return examine(hasty)

    def identity(self) -> tuple[str, str]:
        """Account number and ARN of the credentials (AWS API: sts GetCallerIdentity)."""
        answer = self._call("get_caller_identity", {}, service="sts")
        if "Account" not in answer:
            raise not_aws(self._named("get_caller_identity", "sts"))
        return answer["Account"], answer["Arn"]

    def pages(self) -> Iterator[list[RemoteDesktop]]:
        """The directory's WorkSpaces, a page of at most 25 at a time.

        DescribeWorkspaces calls an unknown directory empty: before an empty inventory is believed, the directory is
        looked up, else a deregistered one or a wrong region would make every desktop missing.
        """
        ref, seen = self._directory_id(), False
        for desktops in self._pages(DESKTOPS, {"DirectoryId": ref}):
            seen = seen or bool(desktops)
            yield desktops
        if not seen and self.directory(ref) is None:
            raise ProviderError(f"The directory {ref} is not registered with WorkSpaces in {self.config.region}.")

    def describe(self, refs: Sequence[str]) -> list[RemoteDesktop]:
        """These WorkSpaces, 25 a call; unknown ids are absent. A new id may be absent for a while (RULES 25)."""
        found: list[RemoteDesktop] = []
        for batch in _batches([ref for ref in refs if is_workspace_id(ref)], BATCH):
            found += self._read(DESKTOPS, {"WorkspaceIds": batch})[0]
        return found

    def find(self, user_name: str = "", workspace_name: str = "") -> RemoteDesktop | None:
        """The WorkSpace of that user in the center's directory, or the one of that WorkspaceName (RULES 25).

        It may be TERMINATING: then it still blocks its user. Raises ValueError when nobody and nothing is named.
        """
        if not user_name and not workspace_name:
            raise ValueError("find() needs a user name or a WorkSpace name")
        directory = self._directory_id()
        if workspace_name:
            wanted = {"WorkspaceName": workspace_name}  # no other filter may stand beside it
        else:
            wanted = {"DirectoryId": directory, "UserName": user_name}
        found = [row for row in self._read(DESKTOPS, wanted)[0] if row.directory == directory]
        return found[0] if found else None

    def images(self) -> list[RemoteImage]:
        """The account's own bundles, without stand-by and unfinished ones. AWS does not tell which are Core ones."""
        return [image for page in self._pages(IMAGES, {}) for image in page if image is not None]

    def directories(self) -> list[RemoteDirectory]:
        """The region's registered directories for personal WorkSpaces (RULES 27)."""
        found = [row for page in self._pages(DIRECTORIES, {}) for row in page]
        return [row for row in found if row.state == "REGISTERED" and row.personal]

    def directory(self, ref: str) -> RemoteDirectory | None:
        """One directory whatever its state, or None."""
        found = self._read(DIRECTORIES, {"DirectoryIds": [ref]})[0]
        return found[0] if found else None

    def deploy(self, requests: Sequence[DeployRequest]) -> list[DeployResult]:
        """Create WorkSpaces, 25 a call, without a second attempt: CreateWorkspaces knows no idempotency token.

        Raises when the first call fails; a later call's failure is told in its items' results.
        """
        results: list[DeployResult] = []
        for batch in _batches(requests, BATCH):
            try:
                results += self._deploy(batch)
            except ProviderError as error:
                if not results:
                    raise
                results += [_not_deployed(error)] * len(batch)
        return results

    def _deploy(self, batch: Sequence[DeployRequest]) -> list[DeployResult]:
        refused = {position: text for position, each in enumerate(batch) if (text := _problem(each))}
        sent = {i: aws_shapes.workspace_request(each) for i, each in enumerate(batch) if i not in refused}
        answer: dict[str, Any] = {}
        if sent:
            kinds = {each.compute_type for each in batch}
            compute_type = kinds.pop() if len(kinds) == 1 else ""
            items = list(sent.values())
            answer = self._call("create_workspaces", {"Workspaces": items}, compute_type=compute_type)
        pending = list(answer.get("PendingRequests", []))
        failed = list(answer.get("FailedRequests", []))
        return [
            self._deployed(sent[i], batch[i], pending, failed)
            if i in sent
            else DeployResult(error_code="ValidationException", error_message=refused[i])
            for i in range(len(batch))
        ]

    def _deployed(
        self, item: dict[str, Any], request: DeployRequest, pending: list[Any], failed: list[Any]
    ) -> DeployResult:
        """Take this item's answer out of the two lists."""
        for row in pending:
            if aws_shapes.same_request(item, row) and row.get("WorkspaceId"):
                pending.remove(row)
                return DeployResult(ref=row["WorkspaceId"])
        for row in failed:
            if aws_shapes.same_request(item, row.get("WorkspaceRequest") or {}):
                failed.remove(row)
                code = row.get("ErrorCode", "")
                call = self._named("create_workspaces", compute_type=request.compute_type)
                words, retry = item_words(code, row.get("ErrorMessage", ""), call)
                return DeployResult("", code, words, exists=code == "ResourceExists.WorkSpace", retry=retry)
        return DeployResult(error_message="AWS did not say what became of this request.", maybe_done=True)

    def power(self, op: PowerOp, refs: Sequence[str]) -> list[Outcome]:
        """Start, stop, reboot (25 a call) or rebuild (one a call). One outcome per ref, in order."""
        return self._change(*_POWER[op], refs)

    def delete(self, refs: Sequence[str]) -> list[Outcome]:
        """Terminate for ever, with the user's data. A WorkSpace that is gone already counts as deleted.

        Such an outcome keeps its code: an id that was created seconds ago is also not found yet (RULES 25).
        """
        outcomes = self._change("terminate_workspaces", "TerminateWorkspaceRequests", BATCH, refs)
        return [replace(each, ok=True) if each.code == GONE else each for each in outcomes]

    def _change(self, method: str, key: str, size: int, refs: Sequence[str]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for batch in _batches(refs, size):
            try:
                outcomes += self._change_batch(method, key, batch)
            except ProviderError as error:
                if not outcomes:
                    raise
                again = isinstance(error, ProviderBusy)
                outcomes += [Outcome(ref, False, error.code, error.message, again) for ref in batch]
        return outcomes

    def _change_batch(self, method: str, key: str, batch: Sequence[str]) -> list[Outcome]:
        known = [ref for ref in batch if is_workspace_id(ref)]
        answer: dict[str, Any] = {}
        if known:
            answer = self._call(method, {key: [{"WorkspaceId": ref} for ref in known]})
        refused = {row.get("WorkspaceId", ""): row for row in answer.get("FailedRequests", [])}
        call = self._named(method)
        outcomes = []
        for ref in batch:
            if ref not in known:
                outcomes.append(Outcome(ref, False, "ValidationException", f"“{ref}” is not a WorkSpace id."))
            elif ref in refused:
                code = refused[ref].get("ErrorCode", "")
                words, retry = item_words(code, refused[ref].get("ErrorMessage", ""), call)
                outcomes.append(Outcome(ref, False, code, words, retry))
            else:
                outcomes.append(Outcome(ref, True))
        return outcomes

    def set_running_mode(self, ref: str, mode: str) -> None:
        """AUTO_STOP, ALWAYS_ON or MANUAL (Core only). Raises ProviderError with AWS's reason."""
        self._call("modify_workspace_properties", {"WorkspaceId": ref, "WorkspaceProperties": {"RunningMode": mode}})

    def _directory_id(self) -> str:
        problem = directory_id_problem(self.config.directory_id)
        if problem:
            raise ProviderError(problem)
        return self.config.directory_id

    def _pages(self, kind: Rows[Item], params: dict[str, Any]) -> Iterator[list[Item]]:
        seen: set[str] = set()
        while True:
            rows, token = self._read(kind, params)
            yield rows
            if not token:
                return
            if token in seen:  # a scan that never ends is worse than one that fails
                raise ProviderBusy(f"AWS gives the same page of {_iam(kind.method)} again and again.")
            seen.add(token)
            params = {**params, "NextToken": token}

    def _read(self, kind: Rows[Item], params: dict[str, Any]) -> tuple[list[Item], str]:
        """Rows and the next page's token. An answer without the rows is not AWS's: an empty list is said, not left out.

        botocore takes a portal's HTML for an empty answer, and an empty inventory would make every desktop missing.
        """
        answer = self._call(kind.method, params)
        try:
            return [kind.shape(row) for row in answer[kind.key]], answer.get("NextToken") or ""
        except (KeyError, TypeError, AttributeError) as error:
            raise not_aws(self._named(kind.method)) from error

    def _named(self, method: str, service: Service = "workspaces", compute_type: str = "") -> Call:
        write = not method.startswith(("describe_", "get_"))
        return Call(f"{service}:{_iam(method)}", self.config.region, write, compute_type)

    def _call(
        self, method: str, params: dict[str, Any], *, service: Service = "workspaces", compute_type: str = ""
    ) -> dict[str, Any]:
        """The one place where the network is touched; later also where the token bucket is asked (RULES 26)."""
        call = self._named(method, service, compute_type)
        self.guard()
        try:
            answer: dict[str, Any] = getattr(self._clients.get(service, write=call.write), method)(**params)
        except CALL_ERRORS as error:
            refusal = translated(error, call)
            if refusal.code in NOT_SIGNED_IN:
                self._clients.forget()
            raise refusal from error
        if is_web_page(answer):
            raise not_aws(call)
        return answer


def _iam(method: str) -> str:
    return "".join(word.title() for word in method.split("_"))


def _batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _problem(request: DeployRequest) -> str:
    if not is_bundle_id(request.bundle):
        return f"“{request.bundle}” is not an image of Amazon WorkSpaces."
    if not request.user_name or request.workspace_name:
        name = workspace_name_problem(request.workspace_name)
        if name:
            return name
    if request.user_name and request.workspace_name:
        return "A WorkSpace has either a user or a name of its own."
    return directory_id_problem(request.directory)


def _not_deployed(error: ProviderError) -> DeployResult:
    busy = isinstance(error, ProviderBusy)
    maybe = isinstance(error, ProviderBusy) and error.maybe_done
    return DeployResult("", error.code, error.message, retry=busy, maybe_done=maybe)
