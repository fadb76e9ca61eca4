"""RFC 8621 §3, RFC 5256 §3: the root of a thread and its subject, from a raw header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime import headers
from gateway.mime.threading import field_values, thread_root, thread_seeds
from gateway.mime.threadsubject import thread_subject

HEADER = (
    b"From: a@x\r\nSubject: Re: Hello World\r\nMessage-ID: <own@x>\r\n"
    b"In-Reply-To: <parent@x>\r\nReferences: <root@x>\r\n <parent@x>\r\n\r\n"
)


def test_the_root_is_the_first_of_references() -> None:
    assert thread_root(HEADER) == (b"root@x", b"helloworld")


@pytest.mark.parametrize(
    ("removed", "root"),
    [
        (b"References:", b"parent@x"),
        (b"In-Reply-To:", b"root@x"),
        (b"Message-ID:", b"root@x"),
    ],
)
def test_what_is_missing_is_made_up_for(removed: bytes, root: bytes) -> None:
    assert thread_root(HEADER.replace(removed, b"X-" + removed))[0] == root


@pytest.mark.parametrize(
    ("header", "root"),
    [
        (b"Message-ID: <own@x>\r\n\r\n", b"own@x"),
        (b"message-id:<Own@X>", b"Own@X"),
        (b"MESSAGE-ID:\r\n <own@x>\r\n\r\n", b"own@x"),
        (b"Message-ID: no-brackets@x\r\n\r\n", b"no-brackets@x"),
        (b"References:\r\nMessage-ID: <own@x>\r\n\r\n", b"own@x"),
        (b"References: nothing\r\nIn-Reply-To: also <>\r\nMessage-ID: <own@x>\r\n", b"own@x"),
        (b"References: (a <comment@x>) <root@x>\r\n\r\n", b"root@x"),
        (b"References: <root\r\n @x>\r\n\r\n", b"root@x"),
        (b"References:\n\t<root@x>\n\n", b"root@x"),
        (b"In-Reply-To: Your message of Monday <p@x>\r\nMessage-ID: <own@x>\r\n\r\n", b"p@x"),
        (b"References: <first@x>\r\nReferences: <last@x>\r\n\r\n", b"last@x"),
        (b"X-References: <no@x>\r\nMessage-ID: <own@x>\r\n\r\n", b"own@x"),
        (b"Subject: References: <no@x>\r\n\r\n", b""),
        (b"", b""),
    ],
)
def test_roots(header: bytes, root: bytes) -> None:
    assert thread_root(header)[0] == root


@pytest.mark.parametrize(
    ("subject", "compared"),
    [
        (b" Plain", "plain"),
        (b"Plain ", "plain"),
        (b" re: RE: Plain", "plain"),
        (b" Re:Plain", "plain"),
        (b" Fwd: [list] Plain (fwd)", "plain"),
        (b" Folded\r\n  subject", "foldedsubject"),
        (b" =?utf-8?q?Re=3A_Gr=C3=BC=C3=9Fe?=", "grüsse"),
        ("Straße".encode(), "strasse"),
        (b" caf\xe9", "café"),
        (b" two  spaces", "twospaces"),
        (b" nul\0", "nul"),
        (b" AW: plain", "plain"),
        (b" I: R: plain", "plain"),
        (b" I am here", "iamhere"),
        (b" plain (was: other)", "plain"),
        (b"", ""),
    ],
)
def test_subjects_as_they_are_compared(subject: bytes, compared: str) -> None:
    header = b"Date: x\r\nSubject:" + subject + b"\r\nMessage-ID: <a@b>\r\n\r\n"
    assert thread_root(header) == (b"a@b", compared.encode())


_PIECES = [b"re: ", b"Re:", b"fwd: ", b"fw", b"[l]", b"(fwd)", b" ", b"=?utf-8?q?=c3=a9?=", b"B"]
_PIECES += [b"aw: ", b"I", b":", b"[Bug 1] New: ", b"(was: ", b" [was:"]


@given(st.lists(st.one_of(st.sampled_from(_PIECES), st.binary(max_size=2)), max_size=8))
def test_the_shortcut_for_plain_subjects_agrees_with_decoding_them(pieces: list[bytes]) -> None:
    value = b"".join(pieces).replace(b"\n", b"")
    expected = thread_subject(headers.text(value)).encode()
    assert thread_root(b"Subject:" + value + b"\r\n\r\n")[1] == expected


@given(st.binary(max_size=200))
def test_any_octets_have_a_root(block: bytes) -> None:
    thread_root(block)
    thread_root(b"References:" + block)


def test_raw_values_of_fields_by_name() -> None:
    header = b"Date: 1\r\nSubject: a\r\n b\r\nDATE: 2\r\nX-Subject: no\r\nTo:\r\n\r\n"
    names = (b"subject", b"date", b"to", b"from")
    assert field_values(header, names) == (b" a\r\n b", b" 2", b"", b"")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "References",
                    "references",
                    "Subject",
                    "SUBJECT",
                    "Message-ID",
                    "In-Reply-To",
                    "To",
                ]
            ),
            st.sampled_from(
                [b" <a@b>", b"<c@d> <e@f>", b" Re: x", b" [l] x", b"", b"\r\n <g@h>", b" x\r\n\ty"]
            ),
        ),
        max_size=6,
    )
)
def test_seeds_are_the_root_and_the_subject(fields: list[tuple[str, bytes]]) -> None:
    block = b"".join(b"%b:%b\r\n" % (name.encode(), value) for name, value in fields) + b"\r\n"
    root, subject = thread_root(block)
    assert thread_seeds([block]) == [b"%b\0%b" % (root, subject) if root else b""]
