"""RFC 8621 §7.5: what leaves of a message."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ext.submission.outgoing import Outgoing, outgoing
from gateway.jmap.errors import SetError
from gateway.sync.spool import Chunks


def _of(*octets: bytes) -> Chunks:
    async def chunks() -> AsyncIterator[bytes]:
        for each in octets:
            yield each

    return chunks


async def _left(message: Outgoing) -> bytes:
    return b"".join([chunk async for chunk in message.chunks()])


@pytest.mark.checklist("U10")
@pytest.mark.parametrize(
    "bcc",
    [
        b"Bcc: secret@example.net\r\n",
        b"bcc:secret@example.net\r\n",
        b"BCC : secret@example.net,\r\n\tmore@example.net\r\n",
        b"Bcc:\r\n secret@example.net\r\n  , more@example.net\r\n",
        b"Resent-Bcc: secret@example.net\r\n",
        b"Bcc: secret@example.net\r\nBcc: more@example.net\r\n",
        b"Bcc: secret@example.net\n",
        b"Bcc: secret@example.net\r",
    ],
)
@pytest.mark.parametrize("others", [b"To: ann@example.net\r\n", b"X-Bcc: a\r\nSubject: Bcc: b\r\n"])
async def test_bcc_does_not_leave(bcc: bytes, others: bytes) -> None:
    for header in (bcc + others, others + bcc):
        left = await _left(await outgoing(_of(header + b"\r\nBcc: in the text\r\n")))
        assert left == others + b"\r\nBcc: in the text\r\n"


async def test_nothing_else_changes() -> None:
    octets = b"From: a\r\nX: 1\r\n 2\r\n\r\ntext\nwith\rodd ends\r\n\r\n.\r\n"
    message = await outgoing(_of(octets))
    assert await _left(message) == await _left(message) == octets
    assert message.octets == len(octets)
    assert not message.is_8bit


@pytest.mark.parametrize("octets", [b"", b"\r\n", b"\r\ntext", b"From: a", b"From: a\r\n", b"\r"])
async def test_messages_that_lack_a_header_or_a_text_have_an_empty_line(octets: bytes) -> None:
    left = await _left(await outgoing(_of(octets)))
    assert b"\r\n\r\n" in left
    assert left.replace(b"\r\n", b"") == octets.replace(b"\r\n", b"").replace(b"\r", b"")


async def test_a_header_without_end_is_refused() -> None:
    with pytest.raises(SetError) as caught:
        await outgoing(_of(*[b"X: " + b"x" * 60_000 + b"\r\n"] * 40))
    assert caught.value.type == "invalidEmail"


async def test_octets_beyond_ascii_are_seen_wherever_they_are() -> None:
    assert (await outgoing(_of(b"Subject: \xc3\xa9\r\n\r\n"))).is_8bit
    assert (await outgoing(_of(b"Subject: e\r\n\r\n", b"x" * 1000, b"\xe9"))).is_8bit


async def test_the_message_id_has_no_brackets() -> None:
    assert (await outgoing(_of(b"Message-ID: <a@b>\r\n\r\n"))).message_id == "a@b"
    assert (await outgoing(_of(b"From: a\r\n\r\n"))).message_id is None


COMPOSED = (
    b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <%s@x>\r\nSubject: hello\r\n"
    b'Content-Type: multipart/mixed; boundary="=_1_%s"\r\n\r\n--=_1_%s\r\n\r\n%s\r\n--=_1_%s--\r\n'
)


async def test_composed_again_it_is_the_same_content() -> None:
    first = await outgoing(_of(COMPOSED % (b"1", b"aa", b"aa", b"text", b"aa")))
    again = await outgoing(_of(COMPOSED % (b"2", b"bb", b"bb", b"text", b"bb")))
    other = await outgoing(_of(COMPOSED % (b"1", b"aa", b"aa", b"texts", b"aa")))
    assert first.content == again.content != other.content


@given(st.binary(max_size=200), st.lists(st.integers(1, 60), max_size=8))
async def test_how_it_is_read_makes_no_difference(body: bytes, cuts: list[int]) -> None:
    octets = b"From: a\r\nBcc: b\r\n\r\n" + body
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(octets[at : at + cut])
        at += cut
    whole, parts = await outgoing(_of(octets)), await outgoing(_of(*pieces, octets[at:]))
    assert await _left(whole) == await _left(parts) == b"From: a\r\n\r\n" + body
    assert (whole.octets, whole.is_8bit, whole.fields) == (
        parts.octets,
        parts.is_8bit,
        parts.fields,
    )
