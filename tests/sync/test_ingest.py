"""RFC 9051 §7.5.2 (FETCH) to the index, of messages that are going away."""

from __future__ import annotations

import pytest

from gateway.imap.wire import items, responses
from gateway.imap.wire.fetchshape import Columns, Shape
from gateway.imap.wire.framer import Frame
from gateway.imap.wire.responses import Untagged
from gateway.sync import ingest
from gateway.sync.data import AccountData
from gateway.sync.fetching import HEADER
from gateway.sync.identity import Tier
from gateway.sync.journal import Journal

ASKED = (items.UID, items.FLAGS, items.INTERNALDATE, items.SIZE, items.X_GUID, HEADER)


def row(shape: Shape, guid: bytes, section: bytes) -> dict[str, bytes | None]:
    line = (
        b'* 8 FETCH (UID 11 FLAGS () INTERNALDATE "01-Jan-1970 00:00:00 +0000" RFC822.SIZE 148 '
        b"X-GUID %s %s %s)" % (guid, HEADER.name.encode(), section)
    )
    response = responses.parse(Frame(line, ()))
    assert isinstance(response, Untagged)
    return shape.row(response)


@pytest.mark.parametrize("guid", [b"", b"NIL"])
def test_a_message_that_is_expunged_while_it_is_read_is_passed_over(guid: bytes) -> None:
    """Dovecot 2.3 has an empty X-GUID then, before it says VANISHED and [EXPUNGEISSUED]."""
    data, shape, columns = AccountData(Tier.X_GUID, Journal("epoch")), Shape(ASKED), Columns()
    columns.append(row(shape, guid, b"NIL"))
    columns.append(row(shape, b"8019cd0c5923046bbb64000083ecc375", b'""'))
    assert (columns.identity[0], columns.header[0], columns.size[0]) == (None, None, b"148")
    assert len(ingest.read(data, columns).uids) == 1
    assert data.emails.size == 1
