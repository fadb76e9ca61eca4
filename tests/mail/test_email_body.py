"""RFC 8621 §4.1.4: body parts, hasAttachment and preview of real messages."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.mail.client import Client
from tests.mail.conftest import Connect
from tests.mail.messages import crlf, mail, one_part
from tests.servers.dovecot import Dovecot, User

BODY_PROPERTIES = [
    *("partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language"),
    "location",
]

# The structure printed in RFC 8621 §4.1.4; each part's content is its letter.
PRINTED = crlf("""
    Subject: A to K
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary=one

    --one
    Content-Type: text/plain
    Content-Disposition: inline

    A
    --one
    Content-Type: multipart/mixed; boundary=two

    --two
    Content-Type: multipart/alternative; boundary=three

    --three
    Content-Type: multipart/mixed; boundary=four

    --four
    Content-Type: text/plain
    Content-Disposition: inline

    B
    --four
    Content-Type: image/jpeg
    Content-Disposition: inline

    C
    --four
    Content-Type: text/plain
    Content-Disposition: inline

    D
    --four--
    --three
    Content-Type: multipart/related; boundary=five

    --five
    Content-Type: text/html

    E
    --five
    Content-Type: image/jpeg

    F
    --five--
    --three--
    --two
    Content-Type: image/jpeg
    Content-Disposition: attachment

    G
    --two
    Content-Type: application/x-excel

    H
    --two
    Content-Type: message/rfc822

    Subject: J

    J
    --two--
    --one
    Content-Type: text/plain
    Content-Disposition: inline

    K
    --one--
    """)


def walk(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield part
    for child in part["subParts"] or ():
        yield from walk(child)


# --- structure ----------------------------------------------------------------------------------


@pytest.mark.checklist("N17", "N21")
async def test_structure_that_the_rfc_prints_comes_out_as_printed(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.1.4: parts A to K in textBody, htmlBody and attachments."""
    dovecot.append(mailuser, "INBOX", PRINTED)
    email = await client.email(
        *("bodyStructure", "textBody", "htmlBody", "attachments", "bodyValues", "hasAttachment")
    )
    every = list(walk(email["bodyStructure"]))
    letter = {}
    for part in every:
        if part["blobId"] is not None:
            octets = await client.blob(part["blobId"])
            assert octets is not None
            letter[part["partId"]] = octets.decode().strip()[-1]

    def letters(name: str) -> str:
        return "".join(letter[part["partId"]] for part in email[name])

    assert letters("textBody") == "ABCDK"
    assert letters("htmlBody") == "AEK"
    assert letters("attachments") == "CFGHJ"
    assert email["hasAttachment"] is True
    assert [part["type"] for part in every if part["partId"] is None] == [
        *("multipart/mixed", "multipart/mixed", "multipart/alternative", "multipart/mixed"),
        "multipart/related",
    ]
    for part in every:
        is_multipart = part["type"].startswith("multipart/")
        assert (part["partId"] is None) == (part["blobId"] is None) == is_multipart
        assert (part["subParts"] is None) != is_multipart


@pytest.mark.checklist("O03")
@pytest.mark.parametrize(
    ("argument", "letters"),
    [
        ("fetchTextBodyValues", "ABDK"),
        ("fetchHTMLBodyValues", "AEK"),
        ("fetchAllBodyValues", "ABDEK"),
    ],
)
async def test_body_values_are_those_of_the_wanted_text_parts(
    client: Client, dovecot: Dovecot, mailuser: User, argument: str, letters: str
) -> None:
    """RFC 8621 §4.2: never those of other types."""
    dovecot.append(mailuser, "INBOX", PRINTED)
    email = await client.email("bodyValues", "bodyStructure", **{argument: True})
    types = {part["partId"]: part["type"] for part in walk(email["bodyStructure"])}
    assert sorted(value["value"] for value in email["bodyValues"].values()) == sorted(letters)
    assert all(types[part_id].startswith("text/") for part_id in email["bodyValues"])


@pytest.mark.checklist("N17", "N18")
async def test_properties_of_a_part(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §4.1.4: each property next to a part written by hand."""
    octets = crlf("""
        Subject: Parts
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary=b

        --b
        Content-Language: de-CH, en
        Content-Location: http://example.test/a
        Content-ID: <cid.1@example.test>
        Content-Type: TEXT/Plain; charset=ISO-8859-1
        Content-Transfer-Encoding: quoted-printable

        Gr=FC=DFe
        --b
        Content-Type: application/pdf; name="old.pdf"
        Content-Disposition: ATTACHMENT;
         filename*0*=utf-8''na%C3%AF;
         filename*1=ve.pdf
        Content-Transfer-Encoding: base64

        SGVsbG8=
        --b
        Content-Type: image/png; name="=?utf-8?q?Bild_=C3=BC?="
        Content-Disposition: inline

        png
        --b

        No header at all.
        --b--
        """)
    dovecot.append(mailuser, "INBOX", octets)
    email = await client.email("bodyStructure", "textBody", "attachments")
    parts = email["bodyStructure"]["subParts"]
    for part in parts:
        assert part["blobId"] is not None
        del part["blobId"], part["subParts"]
    sizes = [part.pop("size") for part in parts]
    assert sizes[2:] == [3, 17]
    # Of what is encoded, the server only tells the encoded size.
    assert 5 <= sizes[0] <= 9
    assert 5 <= sizes[1] <= 6
    blank = {name: None for name in BODY_PROPERTIES if name not in ("blobId", "size")}
    assert parts == [
        blank
        | {
            "partId": "1",
            "type": "text/plain",
            "charset": "ISO-8859-1",
            "cid": "cid.1@example.test",
            "language": ["de-CH", "en"],
            "location": "http://example.test/a",
        },
        blank
        | {
            "partId": "2",
            "type": "application/pdf",
            "name": "naïve.pdf",
            "disposition": "attachment",
        },
        blank | {"partId": "3", "type": "image/png", "name": "Bild ü", "disposition": "inline"},
        blank | {"partId": "4", "type": "text/plain", "charset": "us-ascii"},
    ]
    assert [part["partId"] for part in email["textBody"]] == ["1", "3", "4"]
    assert [part["partId"] for part in email["attachments"]] == ["2"]


@pytest.mark.checklist("O02")
async def test_only_the_wanted_properties_of_parts_are_given(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.2: bodyProperties."""
    dovecot.append(mailuser, "INBOX", PRINTED)
    lists = ["textBody", "htmlBody", "attachments"]
    email = await client.email(*lists)
    assert all(part.keys() == set(BODY_PROPERTIES) for name in lists for part in email[name])
    email = await client.email("bodyStructure", *lists, bodyProperties=["type", "size"])
    assert all(part.keys() == {"type", "size"} for name in lists for part in email[name])
    for part in walk(email["bodyStructure"]):
        assert part.keys() == {"type", "size", "subParts"}
    assert (await client.email("textBody", bodyProperties=[]))["textBody"] == [{}] * 5


@pytest.mark.checklist("N19")
async def test_message_inside_is_one_part(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §4.1.4: bodyStructure ends at message/rfc822; its blob is the message in it."""
    inner = mail("inner", body="Inside.\r\n")
    outer = (
        b"Subject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\nSee below.\r\n--b\r\nContent-Type: message/rfc822\r\n"
        b"Content-Disposition: attachment; filename=greeting.eml\r\n\r\n" + inner + b"\r\n--b--\r\n"
    )
    dovecot.append(mailuser, "INBOX", outer)
    email = await client.email(
        *("bodyStructure", "attachments", "bodyValues", "hasAttachment"), fetchAllBodyValues=True
    )
    assert [part["type"] for part in walk(email["bodyStructure"])] == [
        *("multipart/mixed", "text/plain", "message/rfc822"),
    ]
    (attachment,) = email["attachments"]
    assert (attachment["name"], attachment["size"]) == ("greeting.eml", len(inner))
    assert await client.blob(attachment["blobId"]) == inner
    assert [value["value"] for value in email["bodyValues"].values()] == ["See below."]
    assert email["hasAttachment"] is True


@pytest.mark.checklist("N18")
async def test_parts_of_a_digest_are_messages(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.1.4, RFC 2046 §5.1.5: the default type within multipart/digest."""
    octets = crlf("""
        Subject: Digest
        MIME-Version: 1.0
        Content-Type: multipart/digest; boundary=b

        --b

        Subject: First

        One.
        --b

        Subject: Second

        Two.
        --b--
        """)
    dovecot.append(mailuser, "INBOX", octets)
    structure = (await client.email("bodyStructure"))["bodyStructure"]
    assert [part["type"] for part in structure["subParts"]] == ["message/rfc822"] * 2
    assert await client.blob(structure["subParts"][1]["blobId"]) == (b"Subject: Second\r\n\r\nTwo.")


# --- hasAttachment ------------------------------------------------------------------------------


def with_second_part(*fields: str) -> bytes:
    second = "\r\n".join([*fields, "", "x"])
    return (
        "Subject: Two\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\n\r\nText.\r\n--b\r\n{second}\r\n--b--\r\n"
    ).encode()


@pytest.mark.checklist("N22", "P05")
@pytest.mark.parametrize(
    ("octets", "has_attachment"),
    [
        (mail(), False),
        (one_part("text/html", b"<p>"), False),
        (one_part("application/pdf", b"%PDF"), True),
        (one_part("text/plain; name=a.txt", b"x", "Content-Disposition: attachment"), True),
        (with_second_part("Content-Type: application/pdf"), True),
        (with_second_part("Content-Type: text/plain"), False),
        (with_second_part("Content-Type: text/plain", "Content-Disposition: attachment"), True),
        (with_second_part("Content-Type: image/png", "Content-Disposition: inline"), False),
        (with_second_part("Content-Type: image/png"), False),
        (with_second_part("Content-Type: application/pdf", "Content-Disposition: inline"), False),
        (with_second_part("Content-Type: message/rfc822", "", "Subject: Inner"), True),
        (PRINTED, True),
    ],
)
async def test_has_attachment_is_true_for_an_attachment_that_is_not_inline(
    client: Client, dovecot: Dovecot, mailuser: User, octets: bytes, has_attachment: bool
) -> None:
    """RFC 8621 §4.1.4: the same alone, with the structure, and as a filter (§4.4.1)."""
    dovecot.append(mailuser, "INBOX", octets)
    alone = await client.email("hasAttachment")
    assert alone["hasAttachment"] is has_attachment
    assert await client.query({"hasAttachment": has_attachment}) == [alone["id"]]
    assert await client.query({"hasAttachment": not has_attachment}) == []
    email = await client.email("hasAttachment", "attachments")
    shown = any(part["disposition"] != "inline" for part in email["attachments"])
    assert email["hasAttachment"] == shown == has_attachment


# --- preview ------------------------------------------------------------------------------------


@pytest.fixture(params=["PREVIEW", "no PREVIEW"])
def server(
    request: pytest.FixtureRequest, dovecot: Dovecot, start_dovecot: Callable[..., Dovecot]
) -> Dovecot:
    """Give a Dovecot that makes previews, and one that does not."""
    if request.param == "PREVIEW":
        return dovecot
    return start_dovecot(without=("PREVIEW", "PREVIEW=FUZZY", "SNIPPET=FUZZY"))


@pytest.mark.checklist("N23")
async def test_preview_is_the_first_text_of_a_message(connect: Connect, server: Dovecot) -> None:
    """RFC 8621 §4.1.4, RFC 8970: plain text of at most 256 characters, however it was stored."""
    texts = {
        "plain": mail("plain", body="Hello   there,\r\n\r\nhow are you?\r\n"),
        "html": one_part(
            "text/html; charset=utf-8",
            "<html><head><style>p {}</style></head><body><p>Grüße&amp;</p>"
            "<p>Küsse</p></body></html>".encode(),
            "Message-ID: <html@example.test>",
        ),
        "encoded": one_part(
            "text/plain; charset=utf-8",
            b64encode("日本語 🎈".encode()),
            "Content-Transfer-Encoding: base64",
            "Message-ID: <encoded@example.test>",
        ),
        "long": mail("long", body="wörter ".encode().decode() * 500),
        "empty": mail("empty", body=""),
        "picture": one_part("image/png", b"\x89PNG", "Message-ID: <picture@example.test>"),
        "nested": PRINTED.replace(b"Subject:", b"Message-ID: <nested@example.test>\r\nSubject:", 1),
    }
    user = server.add_user()
    for octets in texts.values():
        server.append(user, "INBOX", octets)
    client = await connect(server, user)
    for _ in range(2):
        emails = await client.emails(properties=["messageId", "preview"])
        previews = {e["messageId"][0].partition("@")[0]: e["preview"] for e in emails}
        assert previews.keys() == texts.keys()
        assert all(len(preview) <= 256 for preview in previews.values())
        assert previews["plain"] == "Hello there, how are you?"
        assert previews["html"] == "Grüße& Küsse"
        assert previews["encoded"] == "日本語 🎈"
        assert previews["long"].startswith("wörter wörter")
        assert len(previews["long"]) > 100
        assert previews["empty"] == previews["picture"] == ""
        assert previews["nested"].startswith("A")


async def test_preview_is_not_a_word_about_the_html(
    connect: Connect, start_dovecot: Callable[..., Dovecot]
) -> None:
    """RFC 8621 §4.1.4: what a person reads, where the server makes no previews."""
    server = start_dovecot(without=("PREVIEW", "PREVIEW=FUZZY", "SNIPPET=FUZZY"))
    octets = crlf("""
        Subject: Alternatives
        MIME-Version: 1.0
        Content-Type: multipart/alternative; boundary=i

        --i
        Content-Type: text/plain

        This message is in HTML.
        --i
        Content-Type: text/html

        <p style="display:none">Preheader</p><p>What it says
        --i--
        """)
    user = server.add_user()
    server.append(user, "INBOX", octets)
    email = await (await connect(server, user)).email("preview", "blobId")
    assert email["preview"] == "What it says"


async def test_a_message_without_a_preview_is_asked_for_once(
    connect: Connect, server: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8970 §3.1: that there is nothing to preview is an answer, and it is kept."""
    user = server.add_user()
    server.append(user, "INBOX", mail("empty", body=""))
    server.append(user, "INBOX", one_part("image/png", b"\x89PNG"))
    client = await connect(server, user)
    first = await client.emails(properties=["preview"])
    assert [email["preview"] for email in first] == ["", ""]
    reader = client.account.content._reader

    async def run(*_: Any, **__: Any) -> list[Any]:
        raise AssertionError("the server is asked again")

    monkeypatch.setattr(reader, "run", run)
    assert await client.emails(properties=["preview"]) == first
