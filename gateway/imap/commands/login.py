"""RFC 9051 §6.2.2 AUTHENTICATE (SASL, RFC 4422; RFC 4959 SASL-IR), §6.2.3 LOGIN."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
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
from gateway.sasl import AnyCredentials, Credentials, Mechanism, NotOffered, TokenCredentials, best


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


class Authenticate(Command[None]):
    """AUTHENTICATE, with the initial response in the command when `initial`."""

    name: ClassVar[str] = "AUTHENTICATE"

    def __init__(self, mechanism: Mechanism, *, initial: bool) -> None:
        self._mechanism = mechanism
        self._message = base64.b64encode(mechanism.initial)
        self._initial = initial
        self._answered = initial

    def encode(self) -> Encoded:
        arguments = [encode.atom(self.name), encode.atom(self._mechanism.name)]
        if self._initial:
            arguments.append(encode.atom(self._message.decode()))
        return encode.join(*arguments)

    def answer(self, challenge: bytes) -> bytes | None:
        if not self._answered:
            self._answered = True
            return self._message + b"\r\n"
        # A server that goes on asking will say no.
        answer = self._mechanism.answer(challenge)
        return (b"*" if answer is None else base64.b64encode(answer)) + b"\r\n"

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
    conn: Commander, credentials: AnyCredentials, identification: Mapping[str, str]
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
        if isinstance(credentials, TokenCredentials):
            await _by_token(conn, credentials)
        else:
            await _by_password(conn, credentials)
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


async def _by_token(conn: Commander, credentials: TokenCredentials) -> None:
    endpoint = conn.endpoint
    try:
        mechanism = best(credentials, conn.capabilities.auth, endpoint.host, endpoint.port)
    except NotOffered as error:
        raise AuthenticationFailed(None, str(error)) from None
    await _authenticate(conn, mechanism)


async def _authenticate(conn: Commander, mechanism: Mechanism) -> None:
    await conn.run(Authenticate(mechanism, initial="SASL-IR" in conn.capabilities))


async def _by_password(conn: Commander, credentials: Credentials) -> None:
    if "PLAIN" in conn.capabilities.auth and not _plain_fails(conn):
        [plain] = credentials.mechanisms(conn.endpoint.host, conn.endpoint.port)
        try:
            await _authenticate(conn, plain)
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
