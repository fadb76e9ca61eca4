"""RFC 8620 §3.6: errors of a whole request and errors of one method call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

_REQUEST_ERROR: Final = "urn:ietf:params:jmap:error:"


class RequestError(Exception):
    """RFC 8620 §3.6.1: the request as a whole is refused with an HTTP error.

    `type` is the last part of the URN ("notJSON", "notRequest", "unknownCapability", "limit"),
    `limit` the member of the core capability that was hit (only with type "limit").
    """

    def __init__(
        self, type: str, status: int = 400, detail: str = "", limit: str | None = None
    ) -> None:
        super().__init__(f"{type}: {detail}" if detail else type)
        self.type = type
        self.status = status
        self.detail = detail
        self.limit = limit

    def problem(self) -> dict[str, Any]:
        """The problem details object (RFC 9457) to send as the HTTP body."""
        problem: dict[str, Any] = {"type": _REQUEST_ERROR + self.type, "status": self.status}
        if self.detail:
            problem["detail"] = self.detail
        if self.limit is not None:
            problem["limit"] = self.limit
        return problem


class MethodError(Exception):
    """RFC 8620 §3.6.2: one method call fails; the calls after it still run.

    `description` goes to the client as it is: it must never carry internals of the server.
    `members` are the further members that some error types define.
    """

    def __init__(self, type: str, description: str | None = None, **members: Any) -> None:
        super().__init__(f"{type}: {description}" if description else type)
        self.type = type
        self.description = description
        self.members = members

    def arguments(self) -> dict[str, Any]:
        """The arguments of the "error" response."""
        arguments: dict[str, Any] = {"type": self.type}
        if self.description is not None:
            arguments["description"] = self.description
        arguments.update(self.members)
        return arguments


class SetError(Exception):
    """RFC 8620 §5.3: one object is not created, updated or destroyed; the others are not touched.

    `type` and `description` as in MethodError. `properties` are all that are invalid (only with
    type "invalidProperties"), `further` the members that some error types define: "existingId"
    of alreadyExists, "notFound" of blobNotFound.
    """

    def __init__(
        self,
        type: str,
        description: str | None = None,
        *,
        properties: Iterable[str] = (),
        **further: Any,
    ) -> None:
        super().__init__(f"{type}: {description}" if description else type)
        self.type = type
        self.description = description
        self.properties = tuple(properties)
        self.further = further

    def members(self) -> dict[str, Any]:
        """The SetError object, as the client gets it."""
        members: dict[str, Any] = {"type": self.type}
        if self.description is not None:
            members["description"] = self.description
        if self.properties:
            members["properties"] = list(self.properties)
        return members | self.further


class DefectiveResult(Exception):
    """What a data type returned to a standard method breaks the rules of RFC 8620 §5.

    A defect of the server, so serverFail for the client: better than data that is wrong.
    """

    def __init__(self, method: str, defect: str) -> None:
        super().__init__(f"{method}: {defect}")
        self.method = method
        self.defect = defect


def not_json(detail: str) -> RequestError:
    """RFC 8620 §3.6.1: the body is not I-JSON, or not declared as JSON."""
    return RequestError("notJSON", detail=detail)


def not_request(detail: str) -> RequestError:
    """RFC 8620 §3.6.1: JSON that does not match the type signature of a Request."""
    return RequestError("notRequest", detail=detail)


def limit_exceeded(limit: str, detail: str) -> RequestError:
    """RFC 8620 §3.6.1: a limit of the core capability, named by `limit`, was exceeded."""
    return RequestError("limit", detail=detail, limit=limit)


def invalid_arguments(description: str) -> MethodError:
    """RFC 8620 §3.6.2: an argument is unknown, missing, of the wrong type or otherwise invalid."""
    return MethodError("invalidArguments", description)


def invalid_result_reference(description: str) -> MethodError:
    """RFC 8620 §3.7: a result reference does not resolve."""
    return MethodError("invalidResultReference", description)


def request_too_large(description: str) -> MethodError:
    """RFC 8620 §5.1: the call asks for more than the server does in one method call."""
    return MethodError("requestTooLarge", description)


def state_mismatch() -> MethodError:
    """RFC 8620 §5.3: the data has changed since the client looked; nothing was done."""
    return MethodError("stateMismatch")


def cannot_calculate_changes(description: str | None = None) -> MethodError:
    """RFC 8620 §5.2, §5.6: a state is unknown or too old; the client drops what it has cached."""
    return MethodError("cannotCalculateChanges", description)


def too_many_changes(description: str | None = None) -> MethodError:
    """RFC 8620 §5.6: a query has more changes than the client's `maxChanges`."""
    return MethodError("tooManyChanges", description)


def invalid_properties(properties: Iterable[str], description: str | None = None) -> SetError:
    """RFC 8620 §5.3: these properties of an object are not valid, each for a reason of its own."""
    return SetError("invalidProperties", description, properties=sorted(properties))


def quoted(names: Iterable[str]) -> str:
    """The client's own names for a description: in order, the first few, and not too long."""
    shown = sorted(names)
    more = ", ..." if len(shown) > 5 else ""
    return ", ".join(f'"{name[:64]}"' for name in shown[:5]) + more
