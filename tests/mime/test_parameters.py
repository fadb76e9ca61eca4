"""RFC 2045 §5.1, RFC 2231: MIME parameters, from BODYSTRUCTURE and from raw field values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import parameters
from gateway.mime.limits import MAX_PARAMETERS

pytestmark = pytest.mark.checklist("N18")


@pytest.mark.parametrize(
    ("value", "token", "found"),
    [
        # RFC 2231 §3
        (
            b' message/external-body; access-type=URL;\r\n URL*0="ftp://";\r\n'
            b' URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"',
            "message/external-body",
            {
                "access-type": "URL",
                "url": "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar",
            },
        ),
        # RFC 2231 §4
        (
            b"application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            "application/x-stuff",
            {"title": "This is ***fun***"},
        ),
        # RFC 2231 §4.1
        (
            b"application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; "
            b'title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn\'t it!"',
            "application/x-stuff",
            {"title": "This is even more ***fun*** isn't it!"},
        ),
        (
            b'TEXT/Plain (really) ; Charset="utf-8"; format=flowed',
            "text/plain",
            {"charset": "utf-8", "format": "flowed"},
        ),
        (b"attachment", "attachment", {}),
        (b"", "", {}),
        (b'x; a="quoted \\" pair; b=c"; d=e', "x", {"a": 'quoted " pair; b=c', "d": "e"}),
        (b"x;; a = 1 ;b=2;", "x", {"a": "1", "b": "2"}),
        (b'x; a="not closed', "x", {"a": "not closed"}),
        (b"x; a=first; a=second", "x", {"a": "first"}),
        (b"x;a=1;A=2 ", "x", {"a": "1"}),
        # what is not quoted although it should be
        (b"x; a=my file (1).txt; b=2", "x", {"a": "my file (1).txt", "b": "2"}),
        (b"x; a=----=_Part/1?2; b=", "x", {"a": "----=_Part/1?2", "b": ""}),
        (b"x; a==?utf-8?Q?=C3=A4;_b?=.txt", "x", {"a": "ä; b.txt"}),
        # comments
        (b"(c) x / y (c(d)); (c) a = (c) 1 (c); b=2 (c(d)) ", "x/y", {"a": "1", "b": "2"}),
        (b"x; a=1 (not closed; b=2", "x", {"a": "1 (not closed", "b": "2"}),
        # semicolons and quotes that are missing
        (b"x a=1 b = 2", "x", {"a": "1", "b": "2"}),
        (b'x; a="1" b="2"junk; c', "x", {"a": "1", "b": "2"}),
        (b'x; a="1; b=2', "x", {"a": "1", "b": "2"}),
        (b'"x/y"; a=1', "x/y", {"a": "1"}),
        (b"a=1; b=2", "", {"a": "1", "b": "2"}),
        (b'x; a\r\n = "1\r\n 2"', "x", {"a": "1 2"}),
    ],
)
def test_a_field_value_is_a_token_and_parameters(
    value: bytes, token: str, found: dict[str, str]
) -> None:
    assert parameters.parse(value) == (token, found)


@pytest.mark.parametrize(
    ("pairs", "filename"),
    [
        ([b"FILENAME", b"plain.txt"], "plain.txt"),
        ([b"filename*", b"UTF-8''na%C3%AFve.txt"], "naïve.txt"),
        ([b"filename*", b"iso-8859-1'fr'caf%E9.txt"], "café.txt"),
        ([b"filename*1", b"b.txt", b"filename*0", b"a"], "ab.txt"),
        ([b"filename*0*", b"utf-8''%E2%9C", b"filename*1*", b"%93.txt"], "✓.txt"),
        ([b"filename*0*", b"utf-8''a%20", b"filename*1", b"100%25"], "a 100%25"),
        ([b"filename*0", b"a", b"filename*2", b"c"], "ac"),
        ([b"filename", b"poor.txt", b"filename*", b"utf-8''b%C3%A9.txt"], "bé.txt"),
        ([b"filename*", b"utf-8''bad%ZZ%4"], "bad%ZZ%4"),
        ([b"filename*", b"no-quotes%20here"], "no-quotes here"),
        # what RFC 2047 §5 forbids and many do
        ([b"filename", b"=?utf-8?B?bmHDr3ZlLnR4dA==?="], "naïve.txt"),
        ([b"filename", b"=?utf-8?Q?a=C3?=\r\n =?utf-8?Q?=AF.txt?="], "aï.txt"),
        ([b"filename", b"=?utf-8?q?na=C3=AFve?=.txt"], "naïve.txt"),
        ([b"filename", b"a =?utf-8?q?=C3?==?utf-8?q?=AF?= =?utf-8?q?b?=.txt"], "a ïb.txt"),
        ([b"filename", "naïve.txt".encode()], "naïve.txt"),
        ([b"filename", b"na\xefve.txt"], "naïve.txt"),
        ([b"filename*", b"utf-8''a%0D%0Ab%00.txt"], "ab.txt"),
    ],
)
def test_values_are_decoded_however_they_were_written(pairs: list[bytes], filename: str) -> None:
    assert parameters.from_list(pairs) == {"filename": filename}


@pytest.mark.parametrize(
    "pairs", [None, b"filename", 7, [], [b"odd"], [None, None], [[b"a"], b"b"]]
)
def test_what_is_no_list_of_parameters_has_none(pairs: object) -> None:
    assert parameters.from_list(pairs) == {}


def test_the_number_of_parameters_is_bounded() -> None:
    pairs = [b for i in range(5_000) for b in (b"p%d" % i, b"v")]
    assert len(parameters.from_list(pairs)) == MAX_PARAMETERS


@pytest.mark.parametrize(
    ("pairs", "value"),
    [
        ([b"a", b"1", b"BOUNDARY", b"=?utf-8?q?x?="], b"=?utf-8?q?x?="),
        ([b"boundary*1", b"b", b"boundary*0", b"a"], b"ab"),
        ([b"boundary*", b"utf-8''a"], None),
        ([b"name", b"x"], None),
        ([], None),
    ],
)
def test_a_value_as_it_was_written(pairs: list[bytes], value: bytes | None) -> None:
    assert parameters.octets(pairs, b"boundary") == value


@given(st.binary(max_size=200), st.lists(st.binary(max_size=20), max_size=8))
def test_any_octets_are_read(value: bytes, pairs: list[bytes]) -> None:
    for found in (parameters.parse(value)[1], parameters.from_list(pairs)):
        for name, text in found.items():
            assert name == name.lower()
            text.encode()
