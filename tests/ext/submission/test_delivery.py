"""RFC 8621 §7: a message goes from one user to another, by Dovecot's submission and its LMTP."""

from __future__ import annotations

from pathlib import Path

from tests.ext.submission.sending import sending
from tests.mail.client import connected
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options
from tests.servers.smtp import EXTENSIONS, Script, smtp_server


async def test_a_message_arrives(tmp_path: Path) -> None:
    async with smtp_server(Script(EXTENSIONS)) as relay:
        with Dovecot(Options(relay_port=relay.port)) as server:
            ann, bob = server.add_user(), server.add_user()
            async with sending(server, ann, tmp_path, server.ports.submission) as sender:
                created = await sender.submit(
                    await sender.draft(
                        to=[{"email": bob.username}],
                        subject="Grüße",
                        bcc=[{"email": "x@y.example"}],
                    )
                )
                status = created["deliveryStatus"][bob.username]
                assert status["smtpReply"].startswith("250 ")
            (message,) = relay.messages
            assert message.recipients == (bob.username, "x@y.example")
            server.deliver(bob, message.octets, "user@example.org")
            async with connected(server, bob, tmp_path) as receiver:
                email = await receiver.email("from", "subject", "bcc", "preview")
                assert email["subject"] == "Grüße"
                assert email["from"][0]["email"] == sender.address
                assert email["bcc"] is None
