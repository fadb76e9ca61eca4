"""RFC 8474 §5, and what servers had before it: the names of messages and of their threads."""

from __future__ import annotations

import pytest

from gateway.imap.wire import items
from gateway.imap.wire.fetchshape import Columns, Shape
from gateway.imap.wire.framer import Framer
from gateway.imap.wire.items import Item
from gateway.imap.wire.responses import Untagged, parse

SHA1 = b"d43c83a8785689aebd7b4719d920e3b997c40eed"


def general(shape: Shape, line: bytes) -> dict[str, bytes | None]:
    """The row as it is read when it has no shape."""
    (frame,) = Framer().feed(line)
    response = parse(frame)
    assert isinstance(response, Untagged)
    return shape.row(response)


@pytest.mark.parametrize(
    ("item", "told", "column", "value"),
    [
        (items.DIGEST_SHA1, b"DIGEST.SHA1 " + SHA1, "identity", SHA1),
        (items.EMAILID, b"EMAILID (Md43c83)", "identity", b"Md43c83"),
        (items.THREADID, b"THREADID (T45cf5a)", "thread", b"T45cf5a"),
        (items.THREADID, b"THREADID NIL", "thread", None),
        # Cyrus 3.6
        (items.THREADID, b"THREADID (NIL)", "thread", None),
        (items.X_GM_MSGID, b"X-GM-MSGID 1278455344230334865", "identity", b"1278455344230334865"),
        (items.X_GM_THRID, b"X-GM-THRID 1266894439832287888", "thread", b"1266894439832287888"),
    ],
)
@pytest.mark.quirk(61)
def test_names_are_read_the_fast_way_and_the_general_way_alike(
    item: Item, told: bytes, column: str, value: bytes | None
) -> None:
    line = b"* 1 FETCH (UID 7 " + told + b")\r\n"
    shape, columns = Shape([items.UID, item]), Columns()
    assert shape.take(line, columns) == b""
    assert getattr(columns, column) == [value]
    assert general(shape, line) == {"uid": b"7", column: value}


def test_a_message_has_one_name_and_one_thread() -> None:
    with pytest.raises(ValueError, match="FETCH"):
        Shape([items.UID, items.EMAILID, items.DIGEST_SHA1])
    with pytest.raises(ValueError, match="FETCH"):
        Shape([items.UID, items.THREADID, items.X_GM_THRID])
