"""RFC 7617: HTTP Basic authentication: a user name and the password that the mail server knows."""

from __future__ import annotations

import base64
import binascii
from typing import ClassVar

from gateway.auth.access import FULL
from gateway.auth.errors import NotAuthenticated
from gateway.auth.scheme import Admitted, Presented
from gateway.auth.username import canonical_username, has_control
from gateway.sasl import Credentials


class Basic:
    """The scheme."""

    name: ClassVar[str] = "basic"
    error: ClassVar[None] = None

    def parse(self, value: str) -> Presented:
        """The canonical user name and the password (RFC 7617 §2, charset UTF-8).

        Raises NotAuthenticated, also for what no user can have.
        """
        try:
            pair = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise NotAuthenticated from None
        name, colon, password = pair.partition(":")
        username = canonical_username(name)
        if username is None or not colon or not password or has_control(password):
            raise NotAuthenticated
        return Presented(username, (username, password))

    async def admit(self, presented: Presented) -> Admitted:
        """It is the mail server that knows the password."""
        return Admitted(Credentials(*presented.secrets), FULL)
