"""RFC 8621 §4.1.4, §4.2: body values, next to the octets that were stored."""

from __future__ import annotations

from base64 import b64encode, encodebytes
from typing import Any

import pytest

from tests.mail.client import Client
from tests.mail.messages import crlf, one_part
from tests.servers.dovecot import Dovecot, User


async def value_of(client: Client, **arguments: Any) -> dict[str, Any]:
    """The only body value of the only Email."""
    email = await client.email("bodyValues", **{"fetchTextBodyValues": True, **arguments})
    ((part_id, value),) = email["bodyValues"].items()
    assert part_id == "1"
    assert value.keys() == {"value", "isEncodingProblem", "isTruncated"}
    found: dict[str, Any] = value
    return found


@pytest.mark.checklist("N20")
@pytest.mark.parametrize(
    ("content_type", "encoding", "body", "value", "is_problem"),
    [
        ("text/plain", "7bit", b"One\r\nTwo\r\n", "One\nTwo\n", False),
        ("text/plain; charset=utf-8", "8bit", "Grüße 世界\r\n".encode(), "Grüße 世界\n", False),
        ("text/plain; charset=iso-8859-15", "quoted-printable", b"5 =A4=\r\n!", "5 €!", False),
        ("text/plain; charset=utf-8", "BASE64", b64encode("día".encode()), "día", False),
        ("text/html; charset=koi8-r", "8bit", "<p>Жук".encode("koi8-r"), "<p>Жук", False),
        (
            "text/plain; charset=shift_jis",
            "base64",
            b64encode("日本".encode("sjis")),
            "日本",
            False,
        ),
        ("text/plain; charset=iso-2022-jp", "7bit", "日本".encode("iso-2022-jp"), "日本", False),
        ("text/plain; charset=utf-16", "base64", b64encode("día".encode("utf-16")), "día", False),
        ("text/plain; charset=utf-8", "8bit", b"caf\xe9\r\n", None, True),
        ("text/plain; charset=x-unheard-of", "8bit", b"Hello", "Hello", True),
        ("text/plain; charset=utf-8", "x-unheard-of", b"Hello", None, True),
        ("text/plain; charset=utf-8", "base64", b"SGVsbG8!!!", None, True),
    ],
)
async def test_text_is_decoded(
    client: Client,
    dovecot: Dovecot,
    mailuser: User,
    content_type: str,
    encoding: str,
    body: bytes,
    value: str | None,
    is_problem: bool,
) -> None:
    """RFC 8621 §4.1.4: transfer encoding, charset and line ends; what is malformed is told."""
    octets = one_part(content_type, body, f"Content-Transfer-Encoding: {encoding}")
    dovecot.append(mailuser, "INBOX", octets)
    got = await value_of(client)
    assert (got["isEncodingProblem"], got["isTruncated"]) == (is_problem, False)
    assert value in (None, got["value"])


@pytest.mark.checklist("O04")
async def test_value_is_cut_between_characters(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.2: at most that many octets, in valid UTF-8; 0 cuts nothing."""
    text = "aé世🎈" * 3
    dovecot.append(mailuser, "INBOX", one_part("text/plain; charset=utf-8", text.encode()))
    whole = await value_of(client, maxBodyValueBytes=0)
    assert whole == {"value": text, "isEncodingProblem": False, "isTruncated": False}
    for size in range(1, len(text.encode()) + 2):
        got = await value_of(client, maxBodyValueBytes=size)
        assert got["isTruncated"] == (size < len(text.encode()))
        assert got["value"] == text.encode()[:size].decode("utf-8", "ignore")
        assert not got["isEncodingProblem"]


@pytest.mark.checklist("O04")
@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
async def test_only_the_start_of_a_long_text_is_given(
    client: Client, dovecot: Dovecot, mailuser: User, encoding: str
) -> None:
    """RFC 8621 §4.2: cut close to the limit, whatever was read of the encoded text."""
    text = "".join(f"Zeile {n}: Grüße\r\n" for n in range(20_000))
    octets = text.encode()
    if encoding == "base64":
        encoded = b64encode(octets)
        octets = b"\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
    elif encoding == "quoted-printable":
        octets = text.replace("ü", "=C3=BC").replace("ß", "=C3=9F").encode()
    header = f"Content-Transfer-Encoding: {encoding}"
    dovecot.append(mailuser, "INBOX", one_part("text/plain; charset=utf-8", octets, header))
    lines = text.replace("\r\n", "\n")
    for size in (1, 1_000, 100_000):
        got = await value_of(client, maxBodyValueBytes=size)
        assert lines.startswith(got["value"])
        # A line's end has two octets where it is read and one where it is shown.
        assert 0.8 * size <= len(got["value"].encode()) <= size
        assert (got["isTruncated"], got["isEncodingProblem"]) == (True, False)
    got = await value_of(client)
    assert got == {"value": lines, "isEncodingProblem": False, "isTruncated": False}


@pytest.mark.checklist("N20")
@pytest.mark.parametrize("encoding", ["8bit", "base64"])
async def test_text_longer_than_anyone_reads_is_truncated_and_says_so(
    client: Client, dovecot: Dovecot, mailuser: User, encoding: str
) -> None:
    """RFC 8621 §4.1.4: isTruncated also where the server's own limit is the reason."""
    octets = b"".join(b"Line number %07d\r\n" % n for n in range(400_000))
    if encoding == "base64":
        octets = encodebytes(octets).replace(b"\n", b"\r\n")
    header = f"Content-Transfer-Encoding: {encoding}"
    dovecot.append(mailuser, "INBOX", one_part("text/plain", octets, header))
    for size in (0, 7_500_000):
        got = await value_of(client, maxBodyValueBytes=size)
        assert (got["isTruncated"], got["isEncodingProblem"]) == (True, False)
        assert got["value"].startswith("Line number 0000000\nLine number 0000001\n")
        assert len(got["value"]) > 3_000_000


@pytest.mark.checklist("O04")
async def test_html_is_not_cut_within_a_tag(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.2."""
    html = '<p>Hello <a href="https://example.test/long">here</a></p>'
    dovecot.append(mailuser, "INBOX", one_part("text/html", html.encode()))
    for size in range(1, len(html)):
        got = await value_of(client, maxBodyValueBytes=size)
        assert got["isTruncated"]
        assert html.startswith(got["value"])
        assert got["value"].count("<") == got["value"].count(">")
        assert len(got["value"]) <= size


@pytest.mark.checklist("N20", "N21", "O03")
async def test_values_of_nested_parts_stand_under_their_part_ids(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.1.4: bodyValues by partId, each decoded in its own way."""
    octets = crlf("""
        Subject: Nested
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary=o

        --o
        Content-Type: multipart/alternative; boundary=i

        --i
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: base64

        R3LDvMOfZQ==
        --i
        Content-Type: text/html; charset=iso-8859-1
        Content-Transfer-Encoding: quoted-printable

        <b>Gr=FC=DFe</b>
        --i--
        --o
        Content-Type: text/calendar; charset=utf-8

        BEGIN:VCALENDAR
        --o--
        """)
    dovecot.append(mailuser, "INBOX", octets)
    email = await client.email(
        *("textBody", "htmlBody", "attachments", "bodyValues"), fetchAllBodyValues=True
    )
    values = {part_id: value["value"] for part_id, value in email["bodyValues"].items()}

    def shown(name: str) -> list[str]:
        return [values[part["partId"]] for part in email[name]]

    assert shown("textBody") == ["Grüße"]
    assert shown("htmlBody") == ["<b>Grüße</b>"]
    assert shown("attachments") == ["BEGIN:VCALENDAR"]
    assert not any(value["isEncodingProblem"] for value in email["bodyValues"].values())
