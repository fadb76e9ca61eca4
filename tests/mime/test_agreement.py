"""RFC 9051 §7.5.2, §6.4.5: `message.parse` finds the parts that a real Dovecot finds.

All broken messages and a part of the list archive are compared. To compare all 17,885 messages of
the archive: JMAP_GATEWAY_ARCHIVE_STEP=1 pytest tests/mime/test_agreement.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import pytest

from gateway.mime.structure import Part
from tests.mime import agreement, corpus
from tests.servers.dovecot import Dovecot, User

_ARCHIVE_STEP = int(os.environ.get("JMAP_GATEWAY_ARCHIVE_STEP", "60"))
_SAMPLE_OCTETS = 200_000

_EQUALS = "an unquoted boundary with `=` in it is cut there, which leaves another delimiter"
_LONG = "boundaries longer than 80 octets are cut"
_PARAMETERS = "parameters are read up to the first mistake only"
_SPACE = "an unquoted value ends at a space or a slash"
_NO_TYPE = "a type that is none is text (RFC 2045 §5.2), to Dovecot it has no subtype"
_ENCODING = "an encoding with anything behind it is taken for none"

_PIECES = [
    *(b"\n", b"\n", b"\n", b"\r\n", b"\r\n", b"\n\n", b"\r", b"x", b"x: y\n"),
    *(b"--", b"--a", b"--a--", b"--b", b"--b--", b"--ab", b"--ab--"),
    *(b"\n--a\n", b"\n--b\n", b"\n--ab\n", b"\n--a--\n", b"\n--b--\n"),
    *(b"Content-Type: message/rfc822\r\n", b"Content-Type: message/rfc822\n\n"),
    *(b"Content-Type: multipart/mixed; boundary=a\n", b"Content-Type: text/html\n\n"),
    b"Content-Type: multipart/digest; boundary=b\n",
    b"Content-Type: multipart/mixed; boundary=a\n\n--a\n",
    b"Content-Type: multipart/mixed; boundary=ab\n\n",
]

KNOWN = {
    "cpython__msg_14.eml": _PARAMETERS,
    "flanker__spam_broken-ctype.eml": _PARAMETERS,
    "gen__boundary-unquoted-equals.eml": _EQUALS,
    "gen__charset-label-_utf_8.eml": _PARAMETERS,
    "gen__cte-cte-semicolon.eml": _ENCODING,
    "gen__ctype-10.eml": _PARAMETERS,
    "gen__ctype-13.eml": _NO_TYPE,
    "gen__ctype-15.eml": _NO_TYPE,
    "gen__fname-no-type.eml": "what stands where the disposition should is taken for it",
    "gen__fname-unquoted-space.eml": _SPACE,
    "mail-parser__malformed_016.eml": _LONG,
    "mail-parser__malformed_017.eml": _PARAMETERS,
    "mail-parser__rfc_001.eml": _SPACE,
    "mail-parser__thirdparty_004.eml": _ENCODING,
    "mimekit__mbox_content-length.mbox.txt.000.eml": _PARAMETERS,
    "mimekit__messages_missing-subtype.eml": _PARAMETERS,
    "php-mime-mail-parser__issue133.eml": _SPACE,
    "ruby-mail__attachment_emails_attachment_with_unquoted_name.eml": _SPACE,
    "ruby-mail__error_emails_content_transfer_encoding_qp_with_space.eml": _ENCODING,
    "ruby-mail__error_emails_content_transfer_encoding_text-html.eml": _ENCODING,
    "ruby-mail__error_emails_content_transfer_encoding_with_semi_colon.eml": _ENCODING,
    "ruby-mail__error_emails_multiple_invalid_content_dispositions.eml": "the second one counts",
    "ruby-mail__mime_emails_raw_email_with_binary_encoded.eml": _EQUALS,
    "ruby-mail__mime_emails_raw_email_with_illegal_boundary.eml": _EQUALS,
    "ruby-mail__plain_emails_raw_email_bad_time.eml": _EQUALS,
    "sisimai__bsd_lhost-x1-02.eml": _PARAMETERS,
}
"""The messages of which Dovecot tells something else, and why it does.

In all of them our reading shows more of what the sender meant. `agreement` has the ways of Dovecot
that many messages show.
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with Dovecot(agreement.OPTIONS) as started:
        yield started


@pytest.fixture
def user(server: Dovecot) -> User:
    return server.add_user()


def parts(part: Part) -> list[Part]:
    return [part, *(found for child in part.children for found in parts(child))]


def test_the_parts_of_broken_messages(server: Dovecot, user: User) -> None:
    messages = corpus.torture()
    agreement.fill(server, user, messages)
    with server.imap(user) as client:
        told = list(agreement.told(client))
    assert {one.name for one in told} == messages.keys()
    found = {one.name: agreement.differences(one.structure, one.message) for one in told}
    differ = {name: what for name, what in found.items() if what}
    assert {name: what for name, what in differ.items() if name not in KNOWN} == {}
    assert [name for name in KNOWN if name in found and name not in differ] == []


def random_message(random: Random) -> bytes:
    """Lines that mean something to the parser of a multipart, in any order."""
    return b"Content-Type: multipart/%b; boundary=a\n" % random.choice(
        (b"mixed", b"digest", b"mixed\nContent-Type: message/rfc822")
    ) + b"".join(random.choices(_PIECES, k=random.randrange(3, 30)))


def test_the_parts_of_random_messages(server: Dovecot, user: User) -> None:
    random = Random(2046)
    messages = {f"{number}": random_message(random) for number in range(1_000)}
    agreement.fill(server, user, messages)
    with server.imap(user) as client:
        for one in agreement.told(client):
            found = agreement.differences(one.structure, one.message)
            assert found == [], messages[one.name]


def test_the_octets_of_broken_messages(server: Dovecot, user: User) -> None:
    """BODY[<section>] and BODY[<section>.MIME] are what `content` and `header` give."""
    messages = {name: o for name, o in corpus.torture().items() if len(o) < _SAMPLE_OCTETS}
    agreement.fill(server, user, messages)
    compared = 0
    with server.imap(user) as client:
        for one in list(agreement.told(client)):
            if one.name in KNOWN or not one.message.root.children:
                continue
            leaves = [p for p in parts(one.message.root) if p.part_id and not p.is_multipart][:50]
            names = [name for p in leaves for name in (p.part_id or "", f"{p.part_id}.MIME")]
            if not names:
                continue  # past the limits
            given = agreement.sections(client, one.number, names)
            for part in leaves:
                content, header = given[part.part_id or ""], given[f"{part.part_id}.MIME"]
                if part.type == "message/rfc822":
                    content = content[: part.size]  # see agreement._is_known
                assert one.message.content(part) == content, (one.name, part)
                assert one.message.header(part) == header, (one.name, part)
                compared += 1
    assert compared > 50


@pytest.mark.skipif(not corpus.ARCHIVE.exists(), reason="the list archive is not here")
def test_the_parts_of_a_list_archive(server: Dovecot, user: User) -> None:
    messages = {f"{number}": octets for number, octets in enumerate(corpus.archive(_ARCHIVE_STEP))}
    agreement.fill(server, user, messages)
    compared = 0
    with server.imap(user) as client:
        for one in agreement.told(client):
            assert agreement.differences(one.structure, one.message) == []
            compared += 1
    assert compared == len(messages)
