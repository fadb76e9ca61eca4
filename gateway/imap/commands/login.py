"""RFC 9051 §6.2.2 AUTHENTICATE (RFC 4616 PLAIN, RFC 4959 SASL-IR), §6.2.3 LOGIN; RFC 5530 codes."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from gateway.imap.command import Command, Commander
from gateway.imap.commands.capability import Capability
from gateway.imap.commands.enable import Enable
from gateway.imap.commands.id import Id
from gateway.imap.errors import AuthenticationFailed, CommandRefused, ConnectionLost, ServerBusy
from gateway.imap.wire import encode
from gateway.imap.wire.capability import Capabilities
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged

_BUSY_CODES = frozenset({"LIMIT", "INUSE", "UNAVAILABLE", "SERVERBUG", "OVERQUOTA"})
# Gmail and Exchange tell it in words only.
_BUSY_TEXT = re.compile(
    r"too many|simultaneous|maximum number of|throttled|try again later|temporar", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and the password, any Unicode but NUL."""

    username: str
    password: str = field(repr=False)


class Login(Command[None]):
    """LOGIN with two strings, literals where the grammar needs them."""

    name: ClassVar[str] = "LOGIN"

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def encode(self) -> Encoded:
        return encode.join(
            encode.atom(self.name),
            encode.astring(self._credentials.username),
            encode.string(self._credentials.password),
        )

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)


class AuthenticatePlain(Command[None]):
    """AUTHENTICATE PLAIN, with the initial response in the command when `initial`."""

    name: ClassVar[str] = "AUTHENTICATE"

    def __init__(self, credentials: Credentials, *, initial: bool) -> None:
        if "\0" in credentials.username + credentials.password:
            raise ValueError("NUL separates the parts of SASL PLAIN")
        message = f"\0{credentials.username}\0{credentials.password}"
        self._message = base64.b64encode(message.encode()).decode()
        self._initial = initial
        self._answered = initial

    def encode(self) -> Encoded:
        arguments = [encode.atom(self.name), encode.atom("PLAIN")]
        if self._initial:
            arguments.append(encode.atom(self._message))
        return encode.join(*arguments)

    def answer(self, challenge: bytes) -> bytes | None:
        if self._answered:  # a server that goes on asking will say no
            return b"*\r\n"
        self._answered = True
        return self._message.encode() + b"\r\n"

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)


async def log_in(
    conn: Commander, credentials: Credentials, identification: Mapping[str, str]
) -> None:
    """Identify, authenticate, read the capabilities, enable QRESYNC or CONDSTORE.

    ID goes first, so that the server can count failed logins against the client's address in it.
    Raises AuthenticationFailed, ServerBusy, CommandRefused (a BAD).
    """
    if not conn.capabilities:
        await conn.run(Capability())
    identified = await _identify(conn, identification)
    before = conn.capabilities
    try:
        await conn.run(_choose(conn.capabilities, credentials))
    except CommandRefused as refused:
        raise _explain(refused) from refused
    except ConnectionLost as lost:
        if lost.bye:
            raise ServerBusy(None, lost.text) from lost
        raise
    except ValueError as error:
        raise AuthenticationFailed(None, str(error)) from None
    if conn.capabilities is before:
        await conn.run(Capability())
    if not identified:  # NetEase announces ID after login and refuses everything before it
        await _identify(conn, identification)
    await _enable(conn)


async def _identify(conn: Commander, identification: Mapping[str, str]) -> bool:
    if "ID" not in conn.capabilities:
        return False
    try:
        server = await conn.run(Id(identification))
    except CommandRefused:
        return False
    conn.server_name = server.get("name", "").lower() or None
    return True


def _choose(capabilities: Capabilities, credentials: Credentials) -> Command[None]:
    if "PLAIN" in capabilities.auth:
        return AuthenticatePlain(credentials, initial="SASL-IR" in capabilities)
    if "LOGINDISABLED" in capabilities:
        raise AuthenticationFailed("PRIVACYREQUIRED", "the server offers no password login here")
    return Login(credentials)


def _explain(refused: CommandRefused) -> Exception:
    in_words = refused.code in (None, "ALERT") and _BUSY_TEXT.search(refused.text)
    if refused.code in _BUSY_CODES or in_words:
        return ServerBusy(refused.code, refused.text)
    if refused.status == "BAD":
        return refused
    return AuthenticationFailed(refused.code, refused.text)


async def _enable(conn: Commander) -> None:
    wanted = next((name for name in ("QRESYNC", "CONDSTORE") if name in conn.capabilities), None)
    if wanted is None or "ENABLE" not in conn.capabilities:
        return
    try:
        conn.enabled = await conn.run(Enable([wanted]))
    except CommandRefused:
        conn.enabled = Capabilities()
