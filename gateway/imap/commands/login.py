"""RFC 9051 §6.2.2 AUTHENTICATE (RFC 4616 PLAIN, RFC 4959 SASL-IR), §6.2.3 LOGIN."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from gateway.imap import refusals
from gateway.imap.command import Command, Commander
from gateway.imap.commands.capability import Capability
from gateway.imap.commands.enable import enable
from gateway.imap.commands.id import Id
from gateway.imap.errors import AuthenticationFailed, CommandRefused, ConnectionLost, ServerBusy
from gateway.imap.quirks import PLAIN_WITHOUT_MAILBOX
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged
from gateway.sasl import Plain


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and the password, any Unicode but NUL.

    master: whose password it is, where that is another user, who may act for this one.
    """

    username: str
    password: str = field(repr=False)
    master: str | None = None

    @property
    def plain(self) -> Plain:
        """The same for SASL. Raises ValueError for what that can not carry."""
        if self.master is None:
            return Plain(self.username, self.password)
        return Plain(self.master, self.password, authzid=self.username)


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
        self._message = base64.b64encode(credentials.plain.initial).decode()
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


class AuthenticateLogin(Command[None]):
    """AUTHENTICATE LOGIN (draft-murchison-sasl-login): two prompts, the user name and the password.

    What the prompts say is not looked at: some servers send NUL in them.
    """

    name: ClassVar[str] = "AUTHENTICATE"

    def __init__(self, credentials: Credentials) -> None:
        texts = credentials.username, credentials.password
        self._answers = [base64.b64encode(text.encode()) for text in texts]

    def encode(self) -> Encoded:
        return encode.join(encode.atom(self.name), encode.atom("LOGIN"))

    def answer(self, challenge: bytes) -> bytes | None:
        return (self._answers.pop(0) if self._answers else b"*") + b"\r\n"

    def finish(self, tagged: Tagged) -> None:
        self.check(tagged)


async def log_in(
    conn: Commander, credentials: Credentials, identification: Mapping[str, str]
) -> None:
    """Identify, authenticate, read the capabilities, enable what helps to follow changes.

    ID goes first, so that the server can count failed logins against the client's address in it,
    and once more, as NetEase refuses everything until it had one after the login. Raises
    AuthenticationFailed, ServerBusy, CommandRefused (a BAD).
    """
    if not conn.capabilities:
        await conn.run(Capability())
    _identified(conn, await conn.run_all(*_id(conn, identification)))
    before = conn.capabilities
    try:
        await _authenticate(conn, credentials)
    except CommandRefused as refused:
        raise refusals.of_login(refused) from refused
    except ConnectionLost as lost:
        if lost.bye:
            raise ServerBusy(None, lost.text) from lost
        raise
    except ValueError as error:
        raise AuthenticationFailed(None, str(error)) from None
    if conn.capabilities is before:
        await conn.run(Capability())
    _identified(conn, await enable(conn, _id(conn, identification)))


def _id(conn: Commander, identification: Mapping[str, str]) -> list[Id]:
    return [Id(identification)] if "ID" in conn.capabilities else []


def _identified(conn: Commander, answers: Iterable[dict[str, str] | CommandRefused]) -> None:
    for server in answers:
        if not isinstance(server, CommandRefused):
            conn.server_name = server.get("name", "").lower() or conn.server_name


async def _authenticate(conn: Commander, credentials: Credentials) -> None:
    if "PLAIN" in conn.capabilities.auth and not _plain_fails(conn):
        initial = "SASL-IR" in conn.capabilities
        try:
            await conn.run(AuthenticatePlain(credentials, initial=initial))
            return
        except CommandRefused as refused:
            refusal = refusals.of_login(refused)
            if not isinstance(refusal, AuthenticationFailed) or not _names_mailbox(credentials):
                raise
            if "LOGINDISABLED" in conn.capabilities:
                raise
        await conn.run(Login(credentials))
        conn.quirks.add(PLAIN_WITHOUT_MAILBOX)
    elif credentials.master is not None:
        raise AuthenticationFailed(None, "a master user needs AUTH=PLAIN")
    elif "LOGINDISABLED" not in conn.capabilities:
        await conn.run(Login(credentials))
    elif "LOGIN" in conn.capabilities.auth:
        await conn.run(AuthenticateLogin(credentials))
    else:
        raise AuthenticationFailed("PRIVACYREQUIRED", "the server offers no password login here")


def _names_mailbox(credentials: Credentials) -> bool:
    """Exchange: the mailbox of somebody else, as in jo@example.test/team."""
    is_own = credentials.master is None
    return is_own and not {"/", "\\"}.isdisjoint(credentials.username)


def _plain_fails(conn: Commander) -> bool:
    return PLAIN_WITHOUT_MAILBOX in conn.quirks and "LOGINDISABLED" not in conn.capabilities
