"""RFC 8620 §5.3 rateLimit: what is sent is counted, by message and by recipient."""

from __future__ import annotations

from pathlib import Path

from limits import RateLimitItem, RateLimitItemPerHour

from gateway.sync.budgets import Kind
from tests.ext.submission.sending import sending
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.smtp import AUTH, Script, smtp_server


async def test_after_so_many_messages_no_more_are_sent(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    budgets: dict[Kind, RateLimitItem] = {Kind.MESSAGES: RateLimitItemPerHour(2)}
    async with (
        smtp_server(Script(AUTH)) as smtp,
        sending(dovecot, mailuser, tmp_path, smtp.port, budgets=budgets) as client,
    ):
        outcomes = [await client.submit(await client.draft(subject=f"{n}")) for n in range(3)]
    assert [outcome.get("type") for outcome in outcomes] == [None, None, "rateLimit"]
    assert sum(command.startswith("MAIL") for command in smtp.commands) == 2


async def test_a_message_to_more_than_are_left_is_not_sent(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    budgets: dict[Kind, RateLimitItem] = {Kind.RECIPIENTS: RateLimitItemPerHour(3)}
    async with (
        smtp_server(Script(AUTH)) as smtp,
        sending(dovecot, mailuser, tmp_path, smtp.port, budgets=budgets) as client,
    ):
        to = [{"email": f"rcpt{n}@example.net"} for n in range(4)]
        outcome = await client.submit(await client.draft(to=to))
        assert outcome["type"] == "rateLimit"
        outcome = await client.submit(await client.draft(to=to[:3]))
        assert "type" not in outcome
    assert sum(command.startswith("MAIL") for command in smtp.commands) == 1
