"""RFC 9051 §7.5.2: sections and structures that servers do not tell, or tell wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gateway.imap.wire import tokens
from gateway.mime.structure import Part, from_bodystructure, plausible
from tests.imap import transcripts
from tests.mail.client import Client
from tests.servers.scripted import Scripted
from tests.servers.small import Letter, Small, account_of

BOUNDARY = b"x1"
TWO_PARTS = (
    b"Subject: two\r\nMessage-ID: <2@x>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=x1\r\n\r\n"
    b"--x1\r\nContent-Type: text/plain\r\n\r\nThe text.\r\n"
    b"--x1\r\nContent-Type: application/pdf; name=a.pdf\r\n"
    b"Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n"
    b"--x1--\r\n"
)


def tree(raw: bytes) -> Part:
    return from_bodystructure(tokens.parse(raw))


def outline(part: Part) -> Any:
    return (part.type, *map(outline, part.children)) if part.is_multipart else part.type


# --- Structures that can not be trusted ------------------------------------------------------

TEXT = "text/plain"
OCTETS = "application/octet-stream"
ALTERNATIVE = ("multipart/alternative", TEXT, "text/html")
ODD: dict[str, tuple[Any, bool]] = {
    # Gmail: nested multiparts without children
    "GMailBadlyFormedMultipartBodyStructure": (
        ("multipart/alternative", ("multipart/alternative",), "text/html"),
        False,
    ),
    "GMailBadlyFormedMultipartBodyStructure2": (
        (
            "multipart/mixed",
            ("multipart/alternative", TEXT, "text/html"),
            *[("multipart/related",)] * 4,
        ),
        False,
    ),
    "BadlyFormedGMailMultipartBodyResponseWithNoChildren": (
        ("multipart/report", TEXT, "message/delivery-status", "message/rfc822"),
        True,
    ),
    # multiparts as parts that are none
    "BodyStructureWithBrokenMultipartRelated": (
        ("multipart/mixed", ("multipart/related",), "text/html", "text/html"),
        False,
    ),
    "BodyStructureWithNegativeOctetValue": (("multipart/digest",), False),
    # half of a type
    "BadlyFormedBodyStructureWithMissingMediaSubtypeText": (("multipart/mixed", TEXT), False),
    "BadlyFormedBodyStructureWithMissingMediaSubtypeAudio": (("multipart/mixed", OCTETS), False),
    "BadlyFormedBodyStructureWithMissingMediaSubtypeMessage": (("multipart/mixed", OCTETS), False),
    "BadlyFormedBodyStructureWithEmptyStringMediaType": (("multipart/mixed", TEXT, OCTETS), False),
    "BadlyQuotedBodyStructure": (("multipart/mixed", OCTETS, OCTETS), False),
    "BadlyFormedBodyStructureWithCompletelyNilBodyParts2": (
        ("multipart/report", TEXT, "message/delivery-status", "message/rfc822"),
        False,
    ),
    # elements left out, misplaced or replaced
    "BodyStructureWithEmptyParenListAsMessageRfc822BodyToken": (
        ("multipart/report", TEXT, "message/delivery-status", "message/rfc822"),
        True,
    ),
    "BodyStructureWithNilMultipartBody": (
        ("multipart/report", TEXT, "message/delivery-status", "message/rfc822"),
        True,
    ),
    "BodyStructureWithNilNilBodyFldDsp": (
        ("multipart/mixed", TEXT, "application/msword", "application/msword"),
        True,
    ),
    "BodyStructureWithNonParenthesizedBodyFldDsp": (
        ("multipart/alternative", TEXT, "text/html"),
        True,
    ),
    "BodyStructureWithSwappedBodyFldDspAndBodyFldLang": (
        (
            "multipart/related",
            ("multipart/alternative", TEXT, "text/html"),
            "image/jpeg",
            "image/png",
        ),
        True,
    ),
    "MultipartBodyStructureWithNilBodyFldParam": (
        (
            "multipart/mixed",
            ("multipart/alternative", TEXT, "text/html"),
            ("multipart/x-zip", TEXT),
        ),
        True,
    ),
    "MultipartBodyStructureWithoutBodyFldDsp": (
        ("multipart/mixed", TEXT, "text/xml", "application/pdf"),
        True,
    ),
    "BodyStructureWithLiterals_LiteralsEverywhere": (
        ("multipart/alternative", TEXT, "text/html"),
        True,
    ),
}


@pytest.mark.quirk(9, 19, 49)
@pytest.mark.parametrize("name", ODD)
def test_odd_structures(name: str) -> None:
    """Each was met, and is in the tests of MailKit."""
    root = tree(transcripts.values("")[name])
    assert (outline(root), plausible(root)) == ODD[name]


@pytest.mark.quirk(9, 49)
def test_every_odd_structure_can_be_read() -> None:
    structures = transcripts.values("Body")
    assert len(structures) > 20
    for raw in structures.values():
        assert tree(raw).type


@pytest.mark.quirk(9)
@pytest.mark.parametrize(
    ("extension", "disposition"),
    [
        (b'NIL ("inline" NIL) NIL NIL', "inline"),
        (b'NIL "inline" NIL NIL', "inline"),
        (b"NIL (NIL NIL) NIL NIL", None),
        (b'NIL ("attachment") NIL', "attachment"),
        (b'NIL "A letter of mine" ("inline" NIL) NIL NIL', "inline"),
        (b'NIL "A letter of mine" NIL', None),
        (b"NIL", None),
        (b"", None),
        (b'"md5" NIL ("inline" NIL)', "inline"),
    ],
)
def test_dispositions_of_every_spelling(extension: bytes, disposition: str | None) -> None:
    """Exchange."""
    root = tree(b'("text" "plain" NIL NIL NIL "7bit" 5 1 %s)' % extension)
    assert root.disposition == disposition
    assert plausible(root)


@pytest.mark.quirk(19)
def test_a_message_shown_as_any_other_part_is_a_leaf_to_be_decoded() -> None:
    """Yandex, QQ: base64, which RFC 2046 §5.2.1 forbids, and neither envelope nor structure."""
    root = tree(
        b'(("text" "plain" NIL NIL NIL "7bit" 5 1)("message" "rfc822" ("name" "m.eml") NIL NIL '
        b'"base64" 4096 NIL ("attachment" ("filename" "m.eml")) NIL NIL) "mixed")'
    )
    message = root.children[1]
    assert (message.type, message.encoding, message.size) == ("message/rfc822", "base64", 4096)
    assert (message.disposition, message.name) == ("attachment", "m.eml")
    assert plausible(root)


@pytest.mark.quirk(9, 19, 49)
@pytest.mark.parametrize(
    "raw",
    [
        b"NIL",
        b"()",
        b'"text"',
        b"(NIL NIL NIL NIL NIL NIL NIL)",
        b'("multipart" "mixed" NIL NIL NIL "7bit" 100)',
        b'("ALTERNATIVE" ("BOUNDARY" "x") NIL NIL)',
        b'(() "MIXED")',
        b'(("text" "plain" NIL NIL NIL "7bit" 1 1))',
        b'("PDF")',
        b'("text" "pla in" NIL NIL NIL "7bit" 1 1)',
    ],
)
def test_a_structure_that_says_too_little_is_not_plausible(raw: bytes) -> None:
    assert not plausible(tree(raw))


@pytest.mark.quirk(49)
@pytest.mark.parametrize(
    "raw",
    [
        b'("text" "plain" NIL NIL NIL "7bit" 0 0)',  # an empty message
        b'("text" "plain" NIL NIL NIL NIL -1 -1 NIL NIL NIL ())',
        b'("text" "plain" NIL NIL NIL "7bit" 9.3736e+06)',
        b'(("text" "plain" NIL NIL NIL "7bit" 1 1) "x-own" NIL NIL NIL)',
    ],
)
def test_what_is_only_odd_is_plausible(raw: bytes) -> None:
    assert plausible(tree(raw))


def test_what_is_not_shown_past_the_limits_is_no_fault_of_the_server() -> None:
    text: Any = [b"text", b"plain", None, None, None, b"7bit", b"1", b"1"]
    deep: Any = text
    for _ in range(500):
        deep = [deep, b"mixed"]
    assert plausible(from_bodystructure(deep))
    assert plausible(
        from_bodystructure([[[text] * 1200 + [b"mixed"], [text, b"related"]][0], b"x"])
    )
    assert plausible(from_bodystructure([*[[text, b"mixed"]] * 1200, b"mixed"]))


@pytest.mark.quirk(50)
@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'"FILENAME*0*" "utf-8\'\'%E2%82" "FILENAME*1*" "%AC.txt"', "€.txt"),
        (b'"filename*0" "a very long " "filename*1" "name.txt"', "a very long name.txt"),
        (b'"filename" "=?utf-8?q?=C3=A4.txt?="', "ä.txt"),
        (b'"filename" "=?utf-8?b?w6Q=?=  =?utf-8?q?.txt?="', "ä.txt"),
        (b'"filename*" "utf-8\'\'%C3%A4.txt" "filename" "a.txt"', "ä.txt"),
        (b'"filename" "\xc3\xa4.txt"', "ä.txt"),
    ],
)
def test_names_of_files_in_every_encoding(disposition: bytes, name: str) -> None:
    """RFC 2231, RFC 2047: decoded wherever they stand."""
    other = disposition.replace(b"filename", b"name").replace(b"FILENAME", b"NAME")
    start = b'("image" "png" %s NIL NIL "base64" 5 NIL %s NIL NIL)'
    assert tree(start % (b"NIL", b'("attachment" (%s))' % disposition)).name == name
    assert tree(start % (b"(%s)" % other, b"NIL")).name == name


# --- What the gateway shows then -------------------------------------------------------------


@pytest.mark.quirk(9, 19, 49)
@pytest.mark.parametrize(
    "structure",
    [
        b'("MIXED" ("BOUNDARY" "x1") NIL NIL)',
        b'("multipart" "mixed" ("boundary" "x1") NIL NIL "7bit" 300)',
        b'(("text" "plain" NIL NIL NIL "7bit" 9 1)("application" "a "b" c.pdf") "mixed")',
        b"(" * 3000 + b")" * 3000,
        b"NIL",
    ],
    ids=["no children", "a leaf", "quotes", "depth", "nothing"],
)
async def test_the_message_itself_is_looked_at(structure: bytes, tmp_path: Path) -> None:
    class Wrong(Small):
        def structure(self, letter: Letter) -> bytes:
            return structure

    letters = Letter(1), Letter(2, TWO_PARTS)
    async with Scripted(Wrong(*letters)) as server, account_of(server, tmp_path) as account:
        emails = await Client(account).emails(properties=["subject", "attachments", "textBody"])
    two = next(email for email in emails if email["subject"] == "two")
    assert [(part["type"], part["name"]) for part in two["attachments"]] == [
        ("application/pdf", "a.pdf")
    ]
    assert [part["type"] for part in two["textBody"]] == ["text/plain"]


class _Silent(Small):
    """Tells of the body as Yandex does of empty parts: not at all, `times` times."""

    times = 99

    def item(self, letter: Letter, asked: re.Match[bytes]) -> bytes:
        if asked[2] is not None and not asked[2].startswith(b"HEADER") and self.times:
            self.times -= 1
            return b"BODY[%s] " % asked[2]
        return super().item(letter, asked)


@pytest.mark.quirk(63)
@pytest.mark.parametrize(("times", "value"), [(99, ""), (1, "Hello.\n")])
async def test_a_section_without_a_value_is_asked_for_again_and_then_empty(
    times: int, value: str, tmp_path: Path
) -> None:
    """Yandex."""
    small = _Silent()
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        client = Client(account)
        await client.emails(properties=["bodyStructure"])
        small.times = times
        email = await client.email("bodyValues", "textBody", fetchTextBodyValues=True)
    (found,) = email["bodyValues"].values()
    assert found["value"] == value


@pytest.mark.quirk(63)
@pytest.mark.parametrize(("times", "value"), [(99, b""), (1, b"Hello.\r\n")])
async def test_a_download_without_a_value_is_tried_again_and_then_empty(
    times: int, value: bytes, tmp_path: Path
) -> None:
    small = _Silent()
    async with Scripted(small) as server, account_of(server, tmp_path) as account:
        client = Client(account)
        email = await client.email("textBody")
        small.times = times
        assert await client.blob(email["textBody"][0]["blobId"]) == value


@pytest.mark.quirk(52)
async def test_envelopes_are_neither_asked_for_nor_in_the_way(tmp_path: Path) -> None:
    """SmarterMail, Domino and others get them wrong; header fields are read as they are."""

    class Talkative(Small):
        envelope = b""

        def items(self, letter: Letter, asked: bytes) -> list[bytes]:
            return [*super().items(letter, asked), b"ENVELOPE " + self.envelope]

    class Parenthesised(Talkative):
        def items(self, letter: Letter, asked: bytes) -> list[bytes]:
            *others, envelope = super().items(letter, asked)
            return [b"(%s)" % envelope, *others]

    envelopes = [
        envelope
        for name, envelope in transcripts.values("Envelope").items()
        if "Miscalculated" not in name and "NilAddress" not in name  # unreadable as a whole
    ]
    assert len(envelopes) > 7
    for kind in (Talkative, Parenthesised):
        for envelope in envelopes:
            small = kind(Letter(1, b"Subject: s\r\nFrom: A <a@x>, B <b@x>\r\n\r\n.\r\n"))
            small.envelope = envelope
            async with Scripted(small) as server, account_of(server, tmp_path) as account:
                email = await Client(account).email("subject", "from")
            assert email["subject"] == "s"
            assert [one["email"] for one in email["from"]] == ["a@x", "b@x"]
            assert not any(b"ENVELOPE" in command.line for command in server.received)
