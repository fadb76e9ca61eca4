"""RFC 8621 §4.1.1 receivedAt: of messages whose INTERNALDATE is none."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.sync import dates
from tests.mail.client import Client
from tests.servers.scripted import Scripted
from tests.servers.small import Letter, Small, account_of

_SENT = b"Subject: s\r\nMessage-ID: <1@x>\r\nDate: Fri, 1 Mar 2024 10:00:00 +0100\r\n\r\n.\r\n"
_UNSENT = _SENT.replace(b"Date: Fri, 1 Mar 2024 10:00:00 +0100\r\n", b"Date: soon\r\n")
_FUTURE = _SENT.replace(b"2024", b"2924")


@pytest.mark.quirk(34)
@pytest.mark.parametrize(
    "value",
    [
        b" 1-Mar-2024 09:00:00 +0000",
        b"1-Mar-2024 09:00:00 +0000",
        b"01-MAR-2024  10:00:00 +0100",
        b"1-mar-2024 4:00:00 -0500",
        b"01-Mar-2024 09:00:00",
    ],
)
def test_lax_spellings(value: bytes) -> None:
    assert dates.seconds([value]).tolist() == [1_709_283_600]


@pytest.mark.quirk(34)
@pytest.mark.parametrize(
    "garbage",
    [
        b"00-Jan-0000 00:00:00 +0000",  # Domino
        b"98765432100-OCT-2018 13:41:57 -0400",
        b"27-JAG-2018 13:41:57 -0400",
        b"27-OCT-2018 33:41:57 -0400",
        b"",
        b"\xff",
    ],
)
async def test_without_a_date_that_of_the_header_counts(garbage: bytes, tmp_path: Path) -> None:
    small = Small(Letter(1, _SENT, date=garbage))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        email = await Client(account).email("receivedAt", "sentAt")
    assert email["receivedAt"] == "2024-03-01T09:00:00Z"
    assert email["sentAt"] == "2024-03-01T10:00:00+01:00"


@pytest.mark.quirk(34)
@pytest.mark.parametrize("octets", [_UNSENT, _FUTURE])
async def test_without_any_date_now_counts(octets: bytes, tmp_path: Path) -> None:
    """A Date in the future would keep a message on top for ever."""
    small = Small(Letter(1, octets, date=b"garbage"))
    before = int(time.time())
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        email = await Client(account).email("receivedAt")
    received = datetime.fromisoformat(email["receivedAt"])
    assert before <= received.timestamp() <= time.time()
    assert received.tzinfo == UTC


@pytest.mark.quirk(34)
async def test_an_item_that_is_missing_is_no_date_either(tmp_path: Path) -> None:
    class Undated(Small):
        def items(self, letter: Letter, asked: bytes) -> list[bytes]:
            return [
                b"INTERNALDATE NIL" if b"INTERNALDATE" in item else item
                for item in super().items(letter, asked)
            ]

    small = Undated(Letter(1, _SENT))
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        assert (await Client(account).email("receivedAt"))["receivedAt"] == "2024-03-01T09:00:00Z"
