"""RFC 9051 §6.2, RFC 2971: logins that need something else, or that are none."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.imap.connection import Connection, Credentials, Endpoint
from gateway.imap.errors import AuthenticationFailed, ConnectionLost, ServerBusy
from gateway.imap.quirks import PLAIN_WITHOUT_MAILBOX, Learnt
from gateway.mail.backend import unavailable
from tests.quirks.shown import inbox, letters
from tests.servers.scripted import Peer, Received, Script, Scripted
from tests.servers.small import Small, account_of


async def _log_in(
    script: Script, username: str = "u", learnt: Learnt | None = None
) -> tuple[Connection, list[Received]]:
    async with Scripted(script) as server:
        endpoint = Endpoint("127.0.0.1", server.port, "plain")
        connection = await Connection.open(endpoint, None, learnt=learnt)
        try:
            await connection.login(Credentials(username, "p"), "192.0.2.1")
        finally:
            connection.lost(None)
        return connection, server.received


class Unlicensed(Small):
    """Exchange lets in who has no mailbox, and says so at the next command."""

    capabilities = b"IMAP4rev1"
    connected = False

    async def authenticate(self, peer: Peer, command: Received) -> None:
        await peer.ok(command)

    async def other(self, peer: Peer, command: Received) -> None:
        if self.connected:
            await peer.ok(command)
        else:
            await peer.send(command.tag + b" BAD User is authenticated but not connected.")

    async def capability(self, peer: Peer, command: Received) -> None:
        if self.connected:
            await peer.ok(command, b"* CAPABILITY " + self.capabilities)
        else:
            await self.other(peer, command)


@pytest.mark.quirk(5)
async def test_a_user_without_a_mailbox_is_not_logged_in(tmp_path: Path) -> None:
    async with Scripted(Unlicensed()) as server:
        with pytest.raises(AuthenticationFailed, match="not connected"):
            async with account_of(server, tmp_path):
                pytest.fail("nobody is logged in")
        assert server.connections == 1
        assert [each.verb for each in server.received] == [b"AUTHENTICATE", b"CAPABILITY"]


@pytest.mark.quirk(5)
async def test_a_mailbox_that_is_taken_away_ends_the_session(tmp_path: Path) -> None:
    class Losing(Unlicensed):
        connected = True

        async def list(self, peer: Peer, command: Received) -> None:
            if self.connected:
                await super().list(peer, command)
            else:
                await self.other(peer, command)

    small = Losing(*letters(1))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        await inbox(account)
        small.connected = False
        with pytest.raises(AuthenticationFailed) as failed:
            await account.fresh()
        assert unavailable(failed.value).type == "forbidden"
        asked = len(server.received)
        account.pool._not_before = float("inf")
        for _ in range(3):
            with pytest.raises(AuthenticationFailed):
                await account.fresh()
        assert len(server.received) == asked, "the server is not asked time and again"


def _exchange(plain: bytes = b"NO AUTHENTICATE failed.") -> Script:
    async def script(peer: Peer) -> None:
        await peer.greet(b"IMAP4 IMAP4rev1 AUTH=PLAIN SASL-IR")
        while True:
            command = await peer.command()
            if command.verb == b"AUTHENTICATE":
                await peer.send(command.tag + b" " + plain)
            else:
                await peer.ok(command, code=b"[CAPABILITY IMAP4rev1] ")

    return script


@pytest.mark.quirk(6)
@pytest.mark.parametrize("username", ["jo@example.test/team", "example\\jo\\team"])
async def test_the_mailbox_of_somebody_else_needs_login(username: str) -> None:
    learnt = Learnt()
    _, received = await _log_in(_exchange(), username, learnt)
    assert [each.verb for each in received] == [b"AUTHENTICATE", b"LOGIN"]
    assert PLAIN_WITHOUT_MAILBOX in learnt.quirks
    _, received = await _log_in(_exchange(), username, learnt)
    assert [each.verb for each in received] == [b"LOGIN"]


@pytest.mark.quirk(6)
async def test_an_ordinary_name_is_tried_once() -> None:
    with pytest.raises(AuthenticationFailed):
        await _log_in(_exchange(), "jo@example.test")


@pytest.mark.quirk(6)
async def test_a_throttled_login_is_not_tried_in_another_way() -> None:
    busy = b"BAD Request is throttled. Suggested Backoff Time: 1500 milliseconds"
    with pytest.raises(ServerBusy) as failed:
        await _log_in(_exchange(busy), "jo@example.test/team")
    assert failed.value.seconds == 1.5


class Abrupt(Small):
    """Exchange 2003 hangs up at NAMESPACE, and sends continuation requests to nobody."""

    capabilities = b"IMAP4rev1 LITERAL+ ID NAMESPACE"

    async def namespace(self, peer: Peer, command: Received) -> None:
        peer.close()

    async def fetch(self, peer: Peer, command: Received) -> None:
        await peer.send(b"+ ", b"+ idling")
        await super().fetch(peer, command)


@pytest.mark.quirk(10)
async def test_hanging_up_at_namespace_is_survived(tmp_path: Path) -> None:
    small = Abrupt(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == {1, 2}
        small.letters += letters(3)
        assert set(await inbox(account)) == {1, 2, 3}
        assert sum(each.verb == b"NAMESPACE" for each in server.received) == 1


class NetEase(Small):
    """163.com refuses all mailboxes until it had an ID after the login."""

    identified: frozenset[Peer] = frozenset()
    logged_in: frozenset[Peer] = frozenset()

    async def authenticate(self, peer: Peer, command: Received) -> None:
        self.logged_in |= {peer}
        await super().authenticate(peer, command)

    async def id(self, peer: Peer, command: Received) -> None:
        if peer in self.logged_in:
            self.identified |= {peer}
        await peer.ok(command, b'* ID ("name" "Coremail Imap")')

    async def examine(self, peer: Peer, command: Received) -> None:
        if peer in self.identified:
            await super().examine(peer, command)
        else:
            refusal = b" NO EXAMINE Unsafe Login. Please contact kefu@188.com for help"
            await peer.send(command.tag + refusal)


@pytest.mark.quirk(32)
async def test_id_is_sent_after_each_login(tmp_path: Path) -> None:
    small = NetEase(*letters(1, 2))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert set(await inbox(account)) == {1, 2}
        async with account.pool.connection() as connection:
            connection.lost(None)
        assert set(await inbox(account)) == {1, 2}
        assert small.identified == small.logged_in


@pytest.mark.quirk(33)
@pytest.mark.parametrize(
    "text",
    [
        "NO Login fail. Please using weixin token to login.",  # QQ
        "NO LOGIN Login error or password error",
        "NO 用户名或密码错误",
        "NO [ALERT] Application-specific password required: https://example.test (Failure)",
        "NO [AUTHENTICATIONFAILED] LOGIN Invalid credentials",
    ],
)
async def test_whatever_a_refused_login_says_is_for_the_log_only(text: str, tmp_path: Path) -> None:
    class Refusing(Small):
        async def authenticate(self, peer: Peer, command: Received) -> None:
            await peer.send(command.tag + b" " + text.encode())

    async with Scripted(Refusing()) as server:
        with capture_logs() as logs, pytest.raises(AuthenticationFailed) as failed:
            async with account_of(server, tmp_path):
                pytest.fail("nobody is logged in")
    said = text.rpartition("]")[2].removeprefix("NO ").strip()
    assert [line["text"] for line in logs if line["event"] == "login_refused"] == [said]
    answer = unavailable(failed.value)
    assert said not in json.dumps([answer.type, str(answer)], ensure_ascii=False)


def _prompting(*prompts: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.greet(b"IMAP4rev1 LOGINDISABLED AUTH=LOGIN")
        command = await peer.command()
        assert command.line == b"AUTHENTICATE LOGIN"
        answers = []
        for prompt in prompts:
            await peer.send(b"+ " + prompt)
            answers.append(base64.b64decode(await peer.line()))
        assert answers == [b"u", b"p"]
        await peer.ok(command, code=b"[CAPABILITY IMAP4rev1] ")
        await peer.gone()

    return script


@pytest.mark.quirk(59)
@pytest.mark.parametrize(
    "prompts",
    [
        (b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6"),
        (b"VXNlcm5hbWU6AA==", b"UGFzc3dvcmQ6AA=="),  # "Username:\0"
        (b"VXNlcm5hbWU6\0", b"UGFzc3dvcmQ6\0"),
        (b"", b""),
    ],
)
async def test_prompts_are_answered_in_their_order(prompts: tuple[bytes, ...]) -> None:
    await _log_in(_prompting(*prompts))


@pytest.mark.quirk(59)
async def test_no_password_is_sent_where_login_is_disabled() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet(b"IMAP4rev1 LOGINDISABLED STARTTLS")
        await peer.gone()

    with pytest.raises(AuthenticationFailed) as failed:
        await _log_in(script)
    assert failed.value.code == "PRIVACYREQUIRED"


@pytest.mark.quirk(48)
async def test_nothing_is_read_after_bye() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.command()
        while True:  # Yandex
            await peer.send(b"* BYE IMAP4rev1 Server logging out")

    with pytest.raises(ServerBusy, match="logging out"):
        await _log_in(script)


async def test_a_lost_connection_is_no_refused_login() -> None:
    async def script(peer: Peer) -> None:
        await peer.greet()
        await peer.command()

    with pytest.raises(ConnectionLost):
        await _log_in(script)
