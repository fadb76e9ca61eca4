"""RFC 8621 §4.4.1: text conditions on a Dovecot that has an index of words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.mail.conftest import Connect
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot, Message

_MODULE = Path("/usr/lib/dovecot/modules/lib21_fts_xapian_plugin.so")
_EXTRA = """
mail_plugins = $mail_plugins fts fts_xapian
plugin {
  fts = xapian
  fts_xapian = partial=3 full=20
  fts_enforced = yes
}
service indexer-worker {
  vsz_limit = 0
}
"""

pytestmark = pytest.mark.skipif(
    not _MODULE.exists(), reason=f"{_MODULE} (Debian: dovecot-fts-xapian) is not installed"
)


@pytest.mark.checklist("P06", "P07", "P10")
async def test_words_come_from_the_index(
    connect: Connect, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 8621 §4.4.1 leaves to the server what a word is: these are found either way."""
    server = start_dovecot(extra=_EXTRA)
    user = server.add_user()
    messages = [
        mail(n, subject=f"Subject{n}", body=f"common word{n} {'bridge' if n % 2 else 'Brücke'}\r\n")
        for n in range(600)
    ]
    server.append_all(user, "INBOX", [Message(octets) for octets in messages])
    client = await connect(server, user)
    filters: list[tuple[dict[str, Any], int]] = [
        ({"body": "word17"}, 11),
        ({"body": "common bridge"}, 300),
        ({"text": "subject599"}, 1),
        ({"subject": "subject599", "from": "jane"}, 1),
        ({"operator": "NOT", "conditions": [{"body": "bridge"}]}, 300),
        ({"operator": "OR", "conditions": [{"body": "word599"}, {"subject": "subject598"}]}, 2),
        ({"body": "nowhere"}, 0),
        ({"header": ["Subject", "subject59"]}, 11),
    ]
    for filter_, count in filters:
        assert len(await client.query(filter_)) == count, filter_
    server.append(user, "INBOX", mail(600, body="common word17\r\n"))
    assert len(await client.query({"body": "word17"})) == 12
    assert any((server.directory / "home").rglob("xapian-indexes"))
