"""RFC 5804 §2.1: who signs in, by which mechanism, and why not."""

from __future__ import annotations

import base64

import pytest

from gateway.managesieve.connection import probe
from gateway.managesieve.errors import AuthenticationFailed, TryLater
from gateway.sasl import AnyCredentials, TokenCredentials, best
from tests.managesieve.peers import GREETING, JO, logged_in, says, sent, url
from tests.servers.scripted import Peer, Scripted

TOKEN = TokenCredentials("jo", "tok")


def offering(mechanism: str) -> bytes:
    """A greeting of a server with this mechanism alone."""
    return GREETING.replace(b"PLAIN OAUTHBEARER XOAUTH2", mechanism.encode())


@pytest.mark.parametrize(
    ("credentials", "mechanism"),
    [(JO, "PLAIN"), (TOKEN, "OAUTHBEARER"), (TOKEN, "XOAUTH2")],
)
async def test_logins(credentials: AnyCredentials, mechanism: str) -> None:
    async with Scripted(says(greeting=offering(mechanism))) as server:
        connection = await logged_in(server, credentials)
        said = best(credentials, {mechanism}, "localhost", server.port).initial
        name, message = mechanism.encode(), base64.b64encode(said)
        assert sent(server) == [b'AUTHENTICATE "%b" "%b"' % (name, message), b"CAPABILITY"]
        await connection.close()


@pytest.mark.parametrize(
    ("credentials", "mechanism", "answers"),
    [
        (JO, "PLAIN", [b'"*"']),
        (TOKEN, "OAUTHBEARER", [b'"AQ=="']),
        (TOKEN, "XOAUTH2", [b'""']),
    ],
)
async def test_a_challenge_after_the_message_is_the_news_of_a_refusal(
    credentials: AnyCredentials, mechanism: str, answers: list[bytes]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.send_raw(offering(mechanism))
        await peer.command()
        for answer in answers:
            await peer.send(b"{20}\r\neyJzdGF0dXMiOiI0MDEi")
            assert await peer.line() == answer
        await peer.send(b'NO "Authentication failed."')
        await peer.gone()

    async with Scripted(script) as server:
        with pytest.raises(AuthenticationFailed, match=r"Authentication failed\."):
            await logged_in(server, credentials)


@pytest.mark.parametrize("says_no", [b"NO", b"BYE"])
@pytest.mark.parametrize("code", ["AUTH-TOO-WEAK", "ENCRYPT-NEEDED", "TRANSITION-NEEDED"])
async def test_a_login_is_refused_for_a_reason(code: str, says_no: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.send_raw(GREETING)
        await peer.command()
        await peer.send(b'%b (%b) "No."' % (says_no, code.encode()))

    async with Scripted(script) as server:
        with pytest.raises(AuthenticationFailed, match=r"No\.") as caught:
            await logged_in(server)
        assert caught.value.code == code
        assert "secret" not in repr(caught.value)


async def test_a_login_may_have_to_wait() -> None:
    async def script(peer: Peer) -> None:
        await peer.send_raw(GREETING)
        await peer.command()
        await peer.send(b'NO (TRYLATER) "Internal failure"')

    async with Scripted(script) as server:
        with pytest.raises(TryLater):
            await logged_in(server)


async def test_no_password_is_sent_where_the_mechanism_is_not_offered() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b'"SASL" "SCRAM-SHA-1"', b"OK")
        await peer.gone()

    async with Scripted(script) as server:
        with pytest.raises(AuthenticationFailed, match="PLAIN"):
            await logged_in(server)
        assert server.received == []


async def test_what_can_be_done_is_asked_without_a_login() -> None:
    async def script(peer: Peer) -> None:
        await peer.send_raw(GREETING)
        await peer.command()
        await peer.send(b"OK")

    async with Scripted(script) as server:
        found = await probe(url(server.port), None)
        assert (found.implementation, found.extensions) == ("Test", ("fileinto",))
        assert sent(server) == [b"LOGOUT"]
