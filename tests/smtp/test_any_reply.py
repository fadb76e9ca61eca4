"""RFC 5321 §4.2, RFC 2034: replies are the same however they are cut, and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp import reply
from gateway.smtp.reply import BadReply, Reply, ReplyReader
from tests.imap.streams import chunked

_LINES = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=30)
_REPLIES = st.builds(
    Reply,
    st.integers(200, 599),
    st.lists(_LINES.map(str.strip), min_size=1, max_size=4).map(tuple),
)


def _sent(answer: Reply) -> bytes:
    separators = "-" * (len(answer.lines) - 1) + " "
    lines = zip(separators, answer.lines, strict=True)
    return "".join(f"{answer.code}{between}{line}\r\n" for between, line in lines).encode()


@given(st.lists(_REPLIES, max_size=5), st.data())
def test_any_cut_gives_the_same_replies(replies: list[Reply], cuts: st.DataObject) -> None:
    stream = b"".join(map(_sent, replies))
    assert [*ReplyReader().feed(stream)] == replies
    reader = ReplyReader()
    assert [each for chunk in cuts.draw(chunked(stream)) for each in reader.feed(chunk)] == replies


@given(st.text("25-04 \r\nx.\x00é", max_size=60).map(str.encode) | st.binary(), st.data())
def test_any_octets_are_read_or_refused_alike(octets: bytes, cuts: st.DataObject) -> None:
    def outcome(chunks: list[bytes]) -> tuple[list[Reply], bool]:
        reader, replies = ReplyReader(), []
        try:
            for chunk in chunks:
                for each in reader.feed(chunk):
                    replies.append(each)  # noqa: PERF402 (extend would lose them when it raises)
        except BadReply:
            return replies, False
        return replies, True

    replies, is_good = outcome([octets])
    assert outcome(cuts.draw(chunked(octets))) == (replies, is_good)
    for each in replies:
        assert 200 <= each.code < 600
        assert str(each).isprintable()


def test_what_is_complete_before_garbage_counts() -> None:
    reader = ReplyReader().feed(b"250 2.0.0 queued\r\ngarbage\r\n250 no\r\n")
    assert next(reader) == Reply(250, ("2.0.0 queued",))
    with pytest.raises(BadReply, match="garbage"):
        next(reader)


@pytest.mark.parametrize(
    ("sent", "lines"),
    [
        (b"250\r\n", ("",)),
        (b"250 \r\n", ("",)),
        (b"250 ok\n", ("ok",)),
        (b"250-one\r\n250\r\n", ("one", "")),
        (b"550 p\xe4\xf6\r\n", ("p��",)),
        (b"550 a\tb\x00c\x1b[31m\r\n", ("a b c [31m",)),
        ("550 naïve ☃\r\n".encode(), ("naïve ☃",)),
    ],
)
def test_what_is_unusual_but_clear(sent: bytes, lines: tuple[str, ...]) -> None:
    (answer,) = ReplyReader().feed(sent)
    assert answer.lines == lines


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n",
        b"ok\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"150 ok\r\n",
        b"650 ok\r\n",
        b"250+ok\r\n",
        b"250-one\r\n251 two\r\n",
        b"250-one\r\ntwo\r\n",
        "２５０ ok\r\n".encode(),
    ],
)
def test_garbage_is_no_reply(sent: bytes) -> None:
    with pytest.raises(BadReply):
        list(ReplyReader().feed(sent))


def test_no_reply_takes_all_memory() -> None:
    reader = ReplyReader()
    with pytest.raises(BadReply, match="a line without an end"):
        list(reader.feed(b"250 " + b"x" * reply._MAX_LINE_OCTETS))
    reader = ReplyReader()
    with pytest.raises(BadReply, match="a reply without an end"):
        list(reader.feed(b"250-x\r\n" * (reply._MAX_LINES + 1)))


@pytest.mark.parametrize(
    ("answer", "enhanced", "shown"),
    [
        (Reply(250, ("ok",)), None, "250 ok"),
        (Reply(250, ("",)), None, "250"),
        (Reply(550, ("5.7.1 not", "5.7.1 today")), "5.7.1", "550 5.7.1 not today"),
        (Reply(550, ("5.7.1 not", "today")), "5.7.1", "550 5.7.1 not today"),
        (Reply(550, ("5.7.1",)), "5.7.1", "550 5.7.1"),
        (Reply(550, ("5.7.12345 x",)), None, "550 5.7.12345 x"),
        (Reply(550, ("see 5.7.1",)), None, "550 see 5.7.1"),
    ],
)
def test_how_it_is_shown(answer: Reply, enhanced: str | None, shown: str) -> None:
    assert answer.enhanced == enhanced
    assert str(answer) == shown


@given(_REPLIES)
def test_what_it_means(answer: Reply) -> None:
    assert answer.is_positive == (str(answer)[0] == "2")
    assert answer.is_temporary == (str(answer)[0] == "4")
