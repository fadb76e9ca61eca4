"""RFC 5321 §3.3, RFC 3207, RFC 6409: a message on its way to a submission server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import pytest

from gateway.config import SmtpUrl
from gateway.sasl import Credentials, TokenCredentials
from gateway.smtp import errors
from gateway.smtp.commands import Mail, Rcpt
from gateway.smtp.connection import Server
from gateway.smtp.submit import Message, Taken, probe, submit
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options
from tests.servers.process import free_port
from tests.servers.smtp import AUTH, EXTENSIONS, Script, SmtpServer, say, smtp_server

JO = Credentials("jo", "secret")
TEXT = b"From: jo@example.org\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Give a server's certificate, and the authority to trust for it."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


def _server_tls(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


def _server(
    port: int,
    security: Literal["plain", "starttls", "tls"] = "plain",
    context: ssl.SSLContext | None = None,
    seconds: float = 10.0,
) -> Server:
    return Server(SmtpUrl("localhost", port, security), context, seconds, seconds, seconds)


def _message(*chunks: bytes, octets: int | None = None) -> Message:
    async def give() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return Message(sum(map(len, chunks)) if octets is None else octets, False, give)


async def _nothing() -> None:
    pass


async def _sent(server: Server, recipients: int = 1, message: Message | None = None) -> Taken:
    listed = [Rcpt(f"r{number}@example.net", {}) for number in range(recipients)]
    mail = Mail("jo@example.org", {})
    return await submit(server, JO, mail, listed, message or _message(TEXT), "S1", _nothing)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_it_goes_over_tls(
    certificates: Certificates, security: Literal["starttls", "tls"]
) -> None:
    script = Script((*EXTENSIONS, "STARTTLS", "AUTH PLAIN"), tls=_server_tls(certificates))
    async with smtp_server(script, implicit_tls=security == "tls") as smtp:
        trusting = ssl.create_default_context(cafile=str(certificates.authority))
        taken = await _sent(_server(smtp.port, security, trusting))
        assert taken.reply.code == 250
        assert smtp.messages[0].octets == TEXT
        assert smtp.commands.count("STARTTLS") == (security == "starttls")


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_is_not_taken(
    certificates: Certificates, security: Literal["starttls", "tls"]
) -> None:
    script = Script((*EXTENSIONS, "STARTTLS", "AUTH PLAIN"), tls=_server_tls(certificates))
    async with smtp_server(script, implicit_tls=security == "tls") as smtp:
        with pytest.raises(errors.TlsFailed):
            await _sent(_server(smtp.port, security, ssl.create_default_context()))
        assert not any(command.startswith("AUTH") for command in smtp.commands)


@pytest.mark.parametrize("script", [Script(AUTH), Script((*AUTH, "STARTTLS"))])
async def test_without_tls_no_password_is_sent_where_there_has_to_be(script: Script) -> None:
    if "STARTTLS" in script.extensions:
        script.steps["STARTTLS"] = say("454 4.7.0 not now")
    async with smtp_server(script) as smtp:
        server = _server(smtp.port, "starttls", ssl.create_default_context())
        with pytest.raises(errors.SmtpError):
            await _sent(server)
        assert not any(command.startswith("AUTH") for command in smtp.commands)


@pytest.mark.parametrize("extensions", [AUTH, (*AUTH[1:],)])
async def test_many_recipients_are_told_at_once_where_that_can_be(
    extensions: tuple[str, ...],
) -> None:
    async with smtp_server(Script(extensions)) as smtp:
        taken = await _sent(_server(smtp.port), recipients=180)
        assert len(taken.replies) == len(smtp.messages[0].recipients) == 180


async def test_a_large_message_goes_as_it_is_read(certificates: Certificates) -> None:
    chunk = b"x" * 998 + b"\r\n"

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20_000):
            yield chunk

    async with smtp_server(Script(AUTH)) as smtp:
        message = Message(20_000_000, False, chunks)
        await _sent(_server(smtp.port), message=message)
        assert len(smtp.messages[0].octets) == 20_000_000


async def test_what_is_raised_before_the_end_leaves_nothing_sent() -> None:
    async def no() -> None:
        raise LookupError("no")

    async with smtp_server(Script(AUTH)) as smtp:
        with pytest.raises(LookupError):
            await submit(
                _server(smtp.port),
                *(JO, Mail("jo@example.org", {}), [Rcpt("r@example.net", {})]),
                *(_message(TEXT), "S1", no),
            )
        assert smtp.messages == []
        # The server has seen the connection end without the end of the message.
        await _sent(_server(smtp.port))
        assert len(smtp.messages) == 1


async def test_it_takes_leave(smtp: SmtpServer) -> None:
    left = asyncio.Event()

    async def before(step: str) -> None:
        if step == "QUIT":
            left.set()

    smtp.before = before
    await _sent(_server(smtp.port))
    async with asyncio.timeout(10):
        await left.wait()


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    """Give a server where users sign in."""
    async with smtp_server(Script(AUTH)) as server:
        yield server


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
async def test_tokens_sign_in_too(mechanism: str) -> None:
    async with smtp_server(Script((*EXTENSIONS, f"AUTH PLAIN {mechanism}"))) as smtp:
        taken = await submit(
            _server(smtp.port),
            TokenCredentials("jo", "token"),
            Mail("jo@example.org", {}),
            [Rcpt("r@example.net", {})],
            *(_message(TEXT), "S1", _nothing),
        )
    assert taken.reply.is_positive
    assert any(command.startswith(f"AUTH {mechanism}") for command in smtp.commands)


async def test_what_the_server_offers_is_asked_for_without_signing_in(smtp: SmtpServer) -> None:
    offered = await probe(_server(smtp.port))
    assert "DSN" in offered
    assert not any(command.startswith("AUTH") for command in smtp.commands)


async def test_a_message_that_is_larger_than_offered_is_not_begun(smtp: SmtpServer) -> None:
    with pytest.raises(errors.MessageTooLarge) as caught:
        await _sent(_server(smtp.port), message=_message(TEXT, octets=30_000_001))
    assert caught.value.limit == 30_000_000
    assert not any(command.startswith("MAIL") for command in smtp.commands)


# --- Dovecot -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def relay_port() -> int:
    """Give a free port for what Dovecot passes on."""
    return free_port()


@pytest.fixture(scope="module")
def submission(relay_port: int) -> Iterator[Dovecot]:
    """Give a Dovecot with a submission service."""
    with Dovecot(Options(relay_port=relay_port)) as server:
        yield server


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_dovecot_takes_mail_of_its_users(
    submission: Dovecot,
    relay_port: int,
    tmp_path: Path,
    security: Literal["starttls", "tls"],
) -> None:
    user = submission.add_user()
    smtp = SmtpServer(Script((*EXTENSIONS,)))
    smtp.port = relay_port
    await smtp.start()
    try:
        ports = submission.ports
        port = ports.submissions if security == "tls" else ports.submission
        server = _server(port, security, submission.ssl_context())
        listed = [Rcpt("r@example.net", {"NOTIFY": "SUCCESS"}), Rcpt("s@example.net", {})]
        mail = Mail(user.username, {"RET": "HDRS"})
        signed = Credentials(user.username, user.password)
        taken = await submit(server, signed, mail, listed, _message(TEXT), "S1", _nothing)
        assert taken.reply.is_positive
        (message,) = smtp.messages
        assert message.octets.endswith(TEXT)
        assert message.recipients == ("r@example.net", "s@example.net")
        wrong = Credentials(user.username, "wrong")
        with pytest.raises(errors.AuthenticationFailed):
            await submit(server, wrong, mail, listed, _message(TEXT), "S1", _nothing)
        assert len(smtp.messages) == 1
    finally:
        await smtp.stop()
