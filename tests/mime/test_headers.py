"""RFC 8621 §4.1.2-4.1.3: header fields, Raw, MessageIds, Date and URLs, convenience properties."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import headers
from gateway.mime.limits import MAX_FIELDS, MAX_VALUE_OCTETS

TORTURE = Path(__file__).parents[3] / "shared" / "corpus" / "torture"


# --- fields -------------------------------------------------------------------------------------


@pytest.mark.checklist("N15")
def test_fields_come_in_order_with_their_case_and_raw_values() -> None:
    block = b"Received: one\r\nSUBJECT:no space\r\nreceived: two\r\n\tfolded \r\nX-Empty:\r\n\r\n"
    assert headers.fields(block) == [
        ("Received", b" one"),
        ("SUBJECT", b"no space"),
        ("received", b" two\r\n\tfolded "),
        ("X-Empty", b""),
    ]


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (b"A: 1\nB: 2\n more\n\nC: body", [("A", b" 1"), ("B", b" 2\n more")]),
        (b"A: 1\r\n\r\nC: body", [("A", b" 1")]),
        (b"\r\nA: body", []),
        (b"A: no end", [("A", b" no end")]),
        (b"A : obsolete\r\n", [("A", b" obsolete")]),
        (b"From x@y Thu Jan  1 00:00:00 1970\r\nA: 1\r\n", [("A", b" 1")]),
        (b" continues nothing: x\r\nA: 1\r\n", [("A", b" 1")]),
        (b"A: 1\r\nno colon here\r\nB: 2\r\n", [("A", b" 1"), ("B", b" 2")]),
        (b"two words: x\r\nB: 2\r\n", [("B", b" 2")]),
        (b"A: 1\r\n \r\n 2\r\nB: 3\r\n", [("A", b" 1\r\n \r\n 2"), ("B", b" 3")]),
        (b"A: bare\rCR\r\nB: 2\r\n", [("A", b" bare\rCR"), ("B", b" 2")]),
        (b"", []),
    ],
)
def test_broken_headers_keep_what_is_a_field(block: bytes, found: list[tuple[str, bytes]]) -> None:
    assert headers.fields(block) == found


def test_fields_and_values_are_bounded() -> None:
    block = b"A: " + b"x" * 100_000 + b"\r\n" + b"B: 1\r\n" * 3_000
    fields = headers.fields(block)
    assert len(fields) == MAX_FIELDS
    assert len(fields[0][1]) == MAX_VALUE_OCTETS


# --- forms --------------------------------------------------------------------------------------


@pytest.mark.checklist("N07")
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b" leading space", " leading space"),
        (b" folded\r\n\tline ", " folded\r\n\tline "),
        (b" =?utf-8?q?a?=", " =?utf-8?q?a?="),
        (b"a\0b", "ab"),
        ("grün".encode(), "grün"),
        (b"gr\xfcn", "gr\ufffdn"),
        ("\ufdd0".encode(), "\ufffd"),
    ],
)
def test_raw_keeps_all_but_nul_and_what_is_not_utf_8(value: bytes, shown: str) -> None:
    assert headers.raw(value) == shown


@pytest.mark.checklist("N08")
def test_text_is_unfolded_and_trimmed() -> None:
    assert headers.text(b"  A subject\r\n  on two\r\n\tlines \r\n ") == "A subject  on two\tlines"


@pytest.mark.checklist("N11")
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b" <a@b>", ["a@b"]),
        (b" <a@b>\r\n <c@d> (comment <no@no>)\r\n\t<e@f>", ["a@b", "c@d", "e@f"]),
        (b"<a@b><c@d>", ["a@b", "c@d"]),
        (b"< a@b >", ["a@b"]),
        (b"<folded\r\n @b>", ["folded@b"]),
        (b'Your message of "Monday" <a@b>', ["a@b"]),  # RFC 5322 §4.5.4
        (b"(comment) <c@x.test>", ["c@x.test"]),
        (b"<left(right)@b>", ["left(right)@b"]),
        (b'<"quoted"@x.test>', ['"quoted"@x.test']),
        ("<é@x.test>".encode(), ["é@x.test"]),
        (b"no-brackets@x.test", None),
        (b"<>", None),
        (b"", None),
        (b"<a b", None),
    ],
)
def test_message_ids(value: bytes, found: list[str] | None) -> None:
    assert headers.message_ids(value) == found


@pytest.mark.checklist("N11")
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b" Wed, 01 May 2024 10:00:00 +0200", "2024-05-01T10:00:00+02:00"),
        (b"1 May 2024 10:00 -0330", "2024-05-01T10:00:00-03:30"),
        (b"Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T09:55:06-06:00"),  # RFC 5322 §A
        (b"21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06Z"),  # §A.6.2
        (
            b"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n"
            b"               -0330 (Newfoundland Time)",  # §A.5
            "1969-02-13T23:32:00-03:30",
        ),
        (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T09:55:06-06:00"),
        (b"Tue, 1 Jul 2003 ((tricky)\r\n comment) 10:52:37 +0200", "2003-07-01T10:52:37+02:00"),
        (b"Mon, 5 Jan 2026 10:00:00 +0000 (UTC (x))", "2026-01-05T10:00:00Z"),
        (b"Mon, 5 Jan 2026 10:00:00 -0000", "2026-01-05T10:00:00Z"),
        (b"Mon, 5 Jan 126 10:00 EST", "2026-01-05T10:00:00-05:00"),
        (b"Mon, 5 Jan 2026 10:00:00 A", "2026-01-05T10:00:00Z"),
        (b"Mon (first), 5 Jan 2026 10:00:00 +0100", "2026-01-05T10:00:00+01:00"),
        (b"Mon, 5 Jan 2026 10:00:60 +0000", "2026-01-05T10:00:59Z"),
        (b"Mon,5Jan2026 10:00:00+0530", "2026-01-05T10:00:00+05:30"),
        (b"Mon, 5 Jan 2026 10:00:00 GMT+0200", "2026-01-05T10:00:00+02:00"),
        (b"Mon, 5 Jan 2026 10:00:00 +02:00", "2026-01-05T10:00:00+02:00"),
        (b"Mon, 5 Jan 2026 10:00:00", "2026-01-05T10:00:00Z"),
        (b"Thu, 29 Feb 2024 00:00:00 +0000", "2024-02-29T00:00:00Z"),
        (b"Wed, 29 Feb 2023 00:00:00 +0000", None),
        (b"Fri, 31 Feb 2026 25:61:61 +9999", None),
        (b"Mon, 5 Jan 2026 10:00:61 +0000", None),
        (b"Mon, 5 Jan 2026 10:00:00 +2400", None),
        (b"Mon, 5 Foo 2026 10:00:00 +0000", None),
        (b"2026-01-05T10:00:00Z", None),
        (b"Mon, 0 Jan 2026 10:00:00 +0000", None),
        (b"garbage", None),
        (b"", None),
    ],
)
def test_dates(value: bytes, shown: str | None) -> None:
    assert headers.date(value) == shown


def test_sent_dates_are_ordered_by_the_moment() -> None:
    """RFC 5256 §2.2."""
    assert headers.date_seconds(b"31 Dec 2000 16:01:33 -0800") == 978307293
    assert headers.date_seconds(b"1 Jan 2001 00:01:33 +0000") == 978307293
    assert headers.date_seconds(b"nonsense") == 0


@pytest.mark.checklist("N11")
@pytest.mark.parametrize(
    ("value", "found"),
    [  # RFC 2369 §3
        (b"<mailto:list@host.com?subject=help> (List Instructions)",
         ["mailto:list@host.com?subject=help"]),
        (b"<ftp://ftp.host.com/list.txt>, <mailto:list@host.com?subject=help>",
         ["ftp://ftp.host.com/list.txt", "mailto:list@host.com?subject=help"]),
        (b"(Use this command to join the list)\r\n <mailto:list-manager@host.com?body=subscribe>",
         ["mailto:list-manager@host.com?body=subscribe"]),
        (b"<http://www.host.com/\r\n list.cgi?cmd=sub>", ["http://www.host.com/list.cgi?cmd=sub"]),
        (b"NO (posting not allowed on this list)", None),
        (b"https://no.brackets.example/", None),
    ],
)  # fmt: skip
def test_urls(value: bytes, found: list[str] | None) -> None:
    assert headers.urls(value) == found


# --- convenience --------------------------------------------------------------------------------

BLOCK = (
    b"Subject: dropped\r\n"
    b"Message-ID: <m@x>\r\nIn-Reply-To: <p@x>\r\nReferences: <r@x>\r\n <p@x>\r\n"
    b"Sender: s@x\r\nFROM: F <f@x>\r\nTo: t@x, u@x\r\ncc: c@x\r\nBcc: b@x\r\nReply-To: r@x\r\n"
    b"Subject: =?utf-8?q?=C3=9C?= ber\r\nDate: Wed, 01 May 2024 10:00:00 +0200\r\n\r\n"
)


@pytest.mark.checklist("N16", "N13")
def test_convenience_properties_equal_their_forms_of_the_last_instance() -> None:
    assert headers.convenience(BLOCK) == {
        "messageId": ["m@x"],
        "inReplyTo": ["p@x"],
        "references": ["r@x", "p@x"],
        "sender": [{"name": None, "email": "s@x"}],
        "from": [{"name": "F", "email": "f@x"}],
        "to": [{"name": None, "email": "t@x"}, {"name": None, "email": "u@x"}],
        "cc": [{"name": None, "email": "c@x"}],
        "bcc": [{"name": None, "email": "b@x"}],
        "replyTo": [{"name": None, "email": "r@x"}],
        "subject": "Ü ber",
        "sentAt": "2024-05-01T10:00:00+02:00",
    }
    assert tuple(headers.convenience(BLOCK)) == headers.CONVENIENCE


def test_fields_that_are_not_there_are_null_and_empty_ones_are_not() -> None:
    assert set(headers.convenience(b"\r\n").values()) == {None}
    found = headers.convenience(b"To:\r\nSubject: \r\nDate: ?\r\nMessage-ID: ?\r\n\r\n")
    assert found["to"] == []
    assert found["subject"] == ""
    assert found["sentAt"] is None
    assert found["messageId"] is None


@given(st.binary(max_size=300))
def test_any_octets_are_a_header(block: bytes) -> None:
    orjson.dumps(headers.convenience(block))
    for _, value in headers.fields(block):
        orjson.dumps(
            [
                headers.raw(value),
                headers.text(value),
                headers.addresses(value),
                headers.grouped_addresses(value),
                headers.message_ids(value),
                headers.date(value),
                headers.urls(value),
                headers.date_seconds(value),
            ]
        )


@pytest.mark.skipif(not TORTURE.is_dir(), reason="the corpus of broken messages is not here")
def test_no_broken_message_is_too_broken() -> None:
    for path in sorted(TORTURE.glob("*.eml")):
        message = path.read_bytes()
        orjson.dumps(headers.convenience(message))
        for name, value in headers.fields(message):
            orjson.dumps([name, headers.raw(value), headers.text(value)])


@pytest.mark.checklist("N15")
@given(st.binary(max_size=300) | st.text("aX-: \t\r\n(é\0", max_size=80).map(str.encode))
def test_email_headers_are_the_fields_in_raw_form(block: bytes) -> None:
    """RFC 8621 §4.1.3: whether the header is ASCII or not."""
    expected = [{"name": n, "value": headers.raw(v)} for n, v in headers.fields(block)]
    assert headers.email_headers(block) == expected
