"""RFC 8620 §5.2: thousands of changes between two looks, on each step that messages matter to."""

from __future__ import annotations

import pytest

from tests.bench.imap_socket import ImapSocket
from tests.servers.mail_server import MailServer
from tests.sync.conftest import Gateways
from tests.sync.ladder import following, look, look_once
from tests.sync.letters import letter

STEPS = ("everything", "no-qresync", "no-condstore", "no-guids", "cyrus", "cyrus-no-condstore")
HELD, FLAGGED, EXPUNGED, MOVED, NEW = 3200, 3000, 2000, 150, 1000


@pytest.fixture(autouse=True)
def _look_once(monkeypatch: pytest.MonkeyPatch) -> None:
    look_once(monkeypatch)


@pytest.mark.checklist("E02", "E04", "E06", "L11", "M04", "P01")
@pytest.mark.parametrize("server", STEPS, indirect=True)
async def test_thousands_of_changes_at_once_are_told(
    server: MailServer, gateways: Gateways
) -> None:
    """Of those that were flagged most are gone: what is left, and what came, is told in pages."""
    user = server.add_user()
    server.create(user, "A")
    with ImapSocket(server.imap_port, user) as connection:
        connection.append("INBOX", (letter(n, n // 4 * 4) for n in range(1, HELD + 1)))
    follower = await following(await gateways.login(server, user))
    assert len(follower.records["Email"]) == HELD
    with ImapSocket(server.imap_port, user) as connection:
        connection.run(b"SELECT INBOX")
        connection.run(b"UID STORE 1:%d +FLAGS.SILENT (\\Flagged $Bulk)" % FLAGGED)
        connection.run(b"UID STORE 1:%d +FLAGS.SILENT (\\Deleted)" % EXPUNGED)
        connection.run(b"EXPUNGE")
        connection.run(b"UID MOVE %d:%d A" % (HELD - MOVED + 1, HELD))
        connection.append("INBOX", (letter(n, n // 3 * 3) for n in range(5001, 5001 + NEW)))
    told = await look(follower, server, user, "thousands of changes")
    updated = FLAGGED - EXPUNGED + MOVED
    assert list(map(len, told["Email"].ids)) == [NEW, updated, EXPUNGED]
    assert told["Email"].pages >= 5
