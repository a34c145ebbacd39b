"""Everything Tracehound raises on purpose. It lies in the lowest room, so that every room can raise from it.

TracehoundError                     exit 1
  UsageError                        exit 2   an empty question, a window in the future, an unknown option value
    NotSupportedError               exit 2   the thing is planned and not there yet; says which
  ConfigurationError                exit 3   a setting is missing or wrong; says which one and where to set it
    StorageError                    exit 3   a folder or file that cannot be read or written; says which and why
  ContentError                      exit 1   a hunt, runbook, view or prompt that breaks its schema: file and line
  RecordingError                    exit 1   recorded telemetry that cannot be read; nothing was loaded
  QueryError                        exit 1   a query could not be written or must not be sent
    UnsafeValueError                         a value cannot be encoded in this language
    RefusedQueryError                        the check found an error, a write, or no bound
  VendorError                       exit 4   no usable answer; has .platform, .operation and .status
    VendorAuthError                 exit 3   401 or 403; the message names what the credentials lack
    VendorRateLimitError                     429 after retries; .retry_after in seconds
    VendorUnavailableError                   time-out, connection error, 5xx
    VendorResponseError                      an answer that cannot be read
    VendorRefusedError                       400, 404, 409: the vendor understood and said no
  ModelError                        exit 7   the model answered outside its schema after repairs
    ModelUnavailableError           exit 3   the model cannot be reached, or refuses the key
    BudgetError                     exit 7   a limit on steps, queries or tokens is used up
  CaseError                         exit 1   a case cannot be opened or continued
    CaseBusyError                            another process holds it
    TamperError                     exit 5   something a view rests on was changed
  ApprovalError                     exit 6   a response action may not run
    NotPendingError                          no such approval is waiting: answered already, expired, or unknown
    DeniedError                              policy refused it; the message says which rule
"""

from typing import ClassVar


class TracehoundError(Exception):
    """Root of the tree. The message is one sentence for a person: what is wrong, where, what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(TracehoundError):
    """The request itself cannot be served as written."""

    exit_code = 2


class NotSupportedError(UsageError):
    """Planned and not there yet. The message starts with `not supported yet:`."""

    def __init__(self, what: str) -> None:
        super().__init__(f"not supported yet: {what}")


class ConfigurationError(TracehoundError):
    """A setting is missing or wrong."""

    exit_code = 3


class StorageError(ConfigurationError):
    """A folder or file cannot be read or written."""


class ContentError(TracehoundError):
    """A content file breaks its schema."""

    def __init__(self, path: str, line: int | None, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")
        self.path, self.line, self.problem = path, line, problem


class RecordingError(TracehoundError):
    """Recorded telemetry cannot be read."""


class QueryError(TracehoundError):
    """A query could not be written or must not be sent."""


class UnsafeValueError(QueryError):
    """A value cannot be encoded in this language without changing it."""


class RefusedQueryError(QueryError):
    """The check says that this query must not be sent."""


class VendorError(TracehoundError):
    """No usable answer from a vendor."""

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        platform: str,
        operation: str,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.platform, self.operation, self.status, self.request_id = platform, operation, status, request_id


class VendorAuthError(VendorError):
    """401 or 403."""

    exit_code = 3


class VendorRateLimitError(VendorError):
    """429 after the client's retries."""

    retry_after: float | None = None


class VendorUnavailableError(VendorError):
    """Time-out, connection error or 5xx after the client's retries."""


class VendorResponseError(VendorError):
    """An answer that cannot be read."""


class VendorRefusedError(VendorError):
    """The vendor understood the request and refused it (400, 404, 409)."""


class ModelError(TracehoundError):
    """The model failed or answered outside its schema."""

    exit_code = 7


class ModelUnavailableError(ModelError):
    """The model cannot be reached, or refuses the key."""

    exit_code = 3


class BudgetError(ModelError):
    """A limit on steps, queries or tokens is used up."""


class CaseError(TracehoundError):
    """A case cannot be opened or continued."""


class CaseBusyError(CaseError):
    """Another process holds the case."""


class TamperError(CaseError):
    """Something that a view rests on was changed."""

    exit_code = 5


class ApprovalError(TracehoundError):
    """A response action may not run."""

    exit_code = 6


class NotPendingError(ApprovalError):
    """No such approval is waiting."""


class DeniedError(ApprovalError):
    """Policy refused the action."""
