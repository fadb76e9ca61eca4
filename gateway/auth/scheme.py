"""RFC 9110 §11.1: the authentication schemes, as what remembers their verdicts sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from gateway.auth.access import Access
from gateway.auth.errors import InvalidToken
from gateway.sasl import AnyCredentials


@dataclass(frozen=True, slots=True)
class Presented:
    """What a client says of itself.

    username: whose credentials they claim to be, "" if they do not say. secrets: all that makes
    them different from others.
    """

    username: str
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Admitted:
    """What the mail server is to be asked with, and what its yes is worth."""

    credentials: AnyCredentials
    access: Access


class Scheme(Protocol):
    """A way to present credentials; `name` is what the Authorization header begins with."""

    name: ClassVar[str]

    def parse(self, value: str) -> Presented:
        """From what comes after the name. Raises NotAuthenticated."""
        ...

    @property
    def error(self) -> InvalidToken | None:
        """What the client is told of credentials that are no good."""
        ...

    async def admit(self, presented: Presented) -> Admitted:
        """Raises NotAuthenticated, InsufficientScope, IssuerUnavailable."""
        ...
