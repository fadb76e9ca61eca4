"""RFC 9051 §6.2, RFC 2971, RFC 4959, RFC 5161, RFC 5530: from the greeting to a working session."""

from __future__ import annotations

import base64

import pytest

from gateway import __version__
from gateway.imap.connection import Connection, Credentials, Endpoint
from gateway.imap.errors import (
    AuthenticationFailed,
    CommandRefused,
    ImapError,
    ServerBusy,
    Throttled,
)
from tests.servers.scripted import Peer, Received, Script, Scripted

CREDENTIALS = Credentials("jo@example.test", 'pä"ss\\word')
PLAIN = base64.b64encode('\0jo@example.test\0pä"ss\\word'.encode())


async def log_in(
    script: Script, credentials: Credentials = CREDENTIALS
) -> tuple[Connection, list[Received]]:
    """A login whose server follows a script from its greeting on; all must have been said."""
    async with Scripted(script) as server:
        endpoint = Endpoint("127.0.0.1", server.port, "plain")
        connection = await Connection.open(endpoint, None)
        try:
            await connection.login(credentials, "192.0.2.7")
        finally:
            connection.lost(None)
        return connection, server.received


def _answers(greeting: bytes, *answers: tuple[bytes, ...]) -> Script:
    """Each answer: untagged lines, then what follows the tag."""

    async def script(peer: Peer) -> None:
        await peer.greet(greeting)
        for *untagged, tagged in answers:
            command = await peer.command()
            await peer.send(*untagged, command.tag + b" " + tagged)
        await peer.gone()

    return script


async def test_the_whole_way() -> None:
    connection, received = await log_in(
        _answers(
            b"IMAP4rev1 ID SASL-IR AUTH=PLAIN LITERAL+",
            (b'* ID ("Name" "Dovecot" "version" NIL)', b"OK"),
            (b"OK [CAPABILITY IMAP4rev1 ID ENABLE QRESYNC LITERAL+] in",),
            (b"* ID NIL", b"OK"),
            (b"* ENABLED QRESYNC", b"OK"),
        )
    )
    identification = (
        b'ID ("name" "jmap-gateway" "version" "%s" "x-originating-ip" "192.0.2.7")'
        % __version__.encode()
    )
    assert [each.line for each in received] == [
        identification,
        b"AUTHENTICATE PLAIN " + PLAIN,
        identification,
        b"ENABLE QRESYNC",
    ]
    assert connection.server_name == "dovecot"
    assert set(connection.capabilities) == {"IMAP4REV1", "ID", "ENABLE", "QRESYNC", "LITERAL+"}
    assert set(connection.enabled) == {"QRESYNC"}
    assert connection.max_set == 63_750


@pytest.mark.parametrize("untagged", [(b"* CAPABILITY IMAP4rev1 X-NEW",), ()])
async def test_capabilities_are_read_wherever_the_server_tells_them(
    untagged: tuple[bytes, ...],
) -> None:
    asked = () if untagged else ((b"* CAPABILITY IMAP4rev1 X-NEW", b"OK"),)
    connection, received = await log_in(
        _answers(b"IMAP4rev1 SASL-IR AUTH=PLAIN", (*untagged, b"OK in"), *asked)
    )
    assert set(connection.capabilities) == {"IMAP4REV1", "X-NEW"}
    assert [each.verb for each in received[1:]] == [b"CAPABILITY"] * len(asked)


async def test_a_greeting_without_capabilities() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* OK hello")
        await peer.ok(await peer.command(), b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR")
        await peer.ok(await peer.command(), code=b"[CAPABILITY IMAP4rev1] ")
        await peer.gone()

    _, received = await log_in(script)
    assert [each.verb for each in received] == [b"CAPABILITY", b"AUTHENTICATE"]


async def test_without_sasl_ir_the_response_waits_for_the_challenge() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(b"IMAP4rev1 AUTH=PLAIN")
        command = await peer.command()
        assert command.line == b"AUTHENTICATE PLAIN"
        await peer.send(b"+ ")
        assert await peer.line() == PLAIN
        await peer.ok(command, code=b"[CAPABILITY IMAP4rev1] ")
        await peer.gone()

    await log_in(script)


async def test_a_server_that_goes_on_asking_is_told_to_stop() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        command = await peer.command()
        await peer.send(b"+ eyJzdGF0dXMiOiI0MDAifQ==")
        assert await peer.line() == b"*"
        await peer.send(command.tag + b" NO [AUTHENTICATIONFAILED] no")
        await peer.gone()

    with pytest.raises(AuthenticationFailed):
        await log_in(script)


async def test_login_where_there_is_no_plain() -> None:
    _, received = await log_in(
        _answers(b"IMAP4rev1 LITERAL+ AUTH=SCRAM-SHA-1", (b"OK [CAPABILITY IMAP4rev1] in",))
    )
    assert received[0].line == b"LOGIN jo@example.test {}"
    assert received[0].literals == ('pä"ss\\word'.encode(),)


async def test_no_password_is_sent_where_login_is_disabled() -> None:
    with pytest.raises(AuthenticationFailed) as failed:
        await log_in(_answers(b"IMAP4rev1 LOGINDISABLED AUTH=GSSAPI"))
    assert failed.value.code == "PRIVACYREQUIRED"


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
@pytest.mark.parametrize("greeting", [b"IMAP4rev1 AUTH=PLAIN SASL-IR", b"IMAP4rev1"])
async def test_what_no_login_can_carry_is_a_failed_one(text: str, greeting: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        await log_in(_answers(greeting), Credentials("u", text))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"NO [AUTHENTICATIONFAILED] Authentication failed.", AuthenticationFailed),
        (b"NO [AUTHENTICATIONFAILED] temporarily locked", AuthenticationFailed),
        (b"NO [EXPIRED] change it", AuthenticationFailed),
        (b"NO \xe5\xaf\x86\xe7\xa0\x81", AuthenticationFailed),
        (b"NO [LIMIT] Maximum number of connections from user+IP exceeded", ServerBusy),
        (b"NO [INUSE] x", ServerBusy),
        (b"NO [UNAVAILABLE] Temporary authentication failure.", ServerBusy),
        (b"NO [ALERT] Too many simultaneous connections. (Failure)", ServerBusy),
        (b"BAD Request is throttled. Suggested Backoff Time: 9 milliseconds", Throttled),
        (b"BAD syntax", CommandRefused),
    ],
)
async def test_refusals_are_told_apart(answer: bytes, error: type[ImapError]) -> None:
    with pytest.raises(ImapError) as failed:
        await log_in(_answers(b"IMAP4rev1 AUTH=PLAIN SASL-IR", (answer,)))
    assert type(failed.value) is error
    assert "word" not in str(failed.value)


async def test_a_bye_at_login_is_a_busy_server() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.command()
        await peer.send(b"* BYE too many of you")

    with pytest.raises(ServerBusy, match="too many of you"):
        await log_in(script)


@pytest.mark.parametrize(
    ("answers", "enabled"),
    [
        ([(b"* ENABLED QRESYNC CONDSTORE", b"OK")], {"QRESYNC", "CONDSTORE"}),
        ([(b"* ENABLED", b"OK")], set()),
        ([(b"BAD unknown",), (b"* ENABLED CONDSTORE", b"OK")], {"CONDSTORE"}),
        ([(b"BAD unknown",), (b"BAD unknown",)], set()),
    ],
)
async def test_what_is_said_to_be_enabled_is(
    answers: list[tuple[bytes, ...]], enabled: set[str]
) -> None:
    connection, _ = await log_in(
        _answers(
            b"IMAP4rev1 AUTH=PLAIN SASL-IR",
            (b"OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC] in",),
            *answers,
        )
    )
    assert set(connection.enabled) == enabled


async def test_condstore_is_enabled_where_there_is_no_qresync() -> None:
    connection, received = await log_in(
        _answers(
            b"IMAP4rev1 AUTH=PLAIN SASL-IR",
            (b"OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE] in",),
            (b"* ENABLED CONDSTORE", b"OK"),
        )
    )
    assert received[-1].line == b"ENABLE CONDSTORE"
    assert set(connection.enabled) == {"CONDSTORE"}


async def test_id_is_sent_after_login_where_it_is_announced_only_then() -> None:
    """NetEase refuses everything before it."""
    connection, received = await log_in(
        _answers(
            b"IMAP4rev1 AUTH=PLAIN SASL-IR",
            (b"OK [CAPABILITY IMAP4rev1 ID] in",),
            (b"* ID NIL", b"OK"),
        )
    )
    assert [each.verb for each in received] == [b"AUTHENTICATE", b"ID"]
    assert connection.server_name is None


async def test_a_refused_id_does_not_stop_the_login() -> None:
    _, received = await log_in(
        _answers(
            b"IMAP4rev1 ID AUTH=PLAIN SASL-IR",
            (b"NO no",),
            (b"OK [CAPABILITY IMAP4rev1] in",),
        )
    )
    assert [each.verb for each in received] == [b"ID", b"AUTHENTICATE"]
