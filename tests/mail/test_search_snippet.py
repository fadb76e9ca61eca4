"""RFC 8621 §5: SearchSnippet/get."""

from __future__ import annotations

from base64 import encodebytes
from html import unescape
from typing import Any

import pytest

from gateway.jmap.limits import DEFAULTS
from gateway.mail import search_snippet
from tests.mail.client import Client, Refused
from tests.mail.messages import crlf, mail, one_part
from tests.servers.dovecot import Dovecot, Message, User

Snippet = tuple[str | None, str | None]


async def snippets(client: Client, filter_: Any, ids: list[str] | None = None) -> list[Snippet]:
    """Subject and preview of each Email, in the order of the ids."""
    wanted = await client.query() if ids is None else ids
    got = await client.call("SearchSnippet/get", filter=filter_, emailIds=wanted)
    assert got.keys() == {"accountId", "list", "notFound"}
    assert got["notFound"] is None
    assert [snippet["emailId"] for snippet in got["list"]] == wanted
    assert all(snippet.keys() == {"emailId", "subject", "preview"} for snippet in got["list"])
    return [(snippet["subject"], snippet["preview"]) for snippet in got["list"]]


async def snippet(client: Client, filter_: Any) -> Snippet:
    """That of the only Email."""
    (found,) = await snippets(client, filter_)
    return found


@pytest.mark.checklist("S01", "S02")
@pytest.mark.parametrize(
    ("filter_", "subject", "preview"),
    [
        ({"text": "foo"}, "The <mark>Foo</mark>sball &amp; chess", "A <mark>foo</mark>l &lt;1"),
        ({"subject": "foo"}, "The <mark>Foo</mark>sball &amp; chess", None),
        ({"body": "foo"}, None, "A <mark>foo</mark>l &lt;1"),
        ({"text": "ball <1"}, "The Foos<mark>ball</mark> &amp; chess", "A fool <mark>&lt;1</mark>"),
        ({"text": '"ball & ch"'}, "The Foos<mark>ball &amp; ch</mark>ess", None),
        ({"header": ["SUBJECT", "chess"]}, "The Foosball &amp; <mark>chess</mark>", None),
        ({"header": ["Subject"]}, None, None),
        ({"from": "jane", "to": "joe"}, None, None),
        ({"text": "jane"}, None, None),
        ({"text": "absent"}, None, None),
        ({"hasKeyword": "$seen"}, None, None),
        ({}, None, None),
        (None, None, None),
        ({"text": " "}, None, None),
        ({"operator": "NOT", "conditions": [{"text": "foo"}]}, None, None),
        (
            {
                "operator": "OR",
                "conditions": [
                    {"subject": "chess"},
                    {"operator": "AND", "conditions": [{"body": "fool"}, {"from": "jane"}]},
                    {"operator": "NOT", "conditions": [{"body": "A"}]},
                ],
            },
            "The Foosball &amp; <mark>chess</mark>",
            "A <mark>fool</mark> &lt;1",
        ),
    ],
)
async def test_what_the_filter_looks_for_is_marked(
    client: Client,
    dovecot: Dovecot,
    mailuser: User,
    filter_: Any,
    subject: str | None,
    preview: str | None,
) -> None:
    """RFC 8621 §5: words of text, subject and body conditions; what NOT excludes is no match."""
    octets = mail(subject="The Foosball & chess", body="A fool\r\n<1\r\n")
    dovecot.append(mailuser, "INBOX", octets)
    assert await snippet(client, filter_) == (subject, preview)


@pytest.mark.checklist("S01", "S02")
async def test_what_a_query_finds_has_snippets(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §5.2: the filter of an Email/query, in one request with it."""
    octets = [mail(n, subject=f"{n}", body=f"Number {n} of café\r\n") for n in range(5)]
    dovecot.append_all(mailuser, "INBOX", [*map(Message, octets), Message(mail("other"))])
    filter_ = {"text": "CAFÉ"}
    (_, found), (_, got) = await client.request(
        ("Email/query", {"filter": filter_}),
        (
            "SearchSnippet/get",
            {
                "filter": filter_,
                "#emailIds": {"resultOf": "0", "name": "Email/query", "path": "/ids"},
            },
        ),
    )
    assert len(found["ids"]) == 5
    assert [one["emailId"] for one in got["list"]] == found["ids"]
    assert {one["preview"] for one in got["list"]} == {
        f"Number {n} of <mark>café</mark>" for n in range(5)
    }


ALTERNATIVE = """
    Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary=o

    --o
    Content-Type: multipart/alternative; boundary=i

    --i
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: base64

    R3LDvMOfZSBpbSBLbGFydGV4dA==
    --i
    Content-Type: text/html; charset=iso-8859-1
    Content-Transfer-Encoding: quoted-printable

    <style>p { color: red }</style><p hidden>unseen<p>Die <b>Gr=FC=DF</b>e<td>&amp; &lt;Links&gt;
    --i--
    --o
    Content-Type: text/csv
    Content-Disposition: attachment; filename=table.csv

    table,attached
    --o
    Content-Type: application/octet-stream

    binary
    --o--
    """


@pytest.mark.checklist("S02")
@pytest.mark.parametrize(
    ("word", "preview"),
    [
        ("klartext", "Grüße im <mark>Klartext</mark>"),
        ("GRÜSSE", "<mark>Grüße</mark> im Klartext"),
        ("links", "Die Grüße &amp; &lt;<mark>Links</mark>&gt; table,attached"),
        ("attached", "Die Grüße &amp; &lt;Links&gt; table,<mark>attached</mark>"),
        ("unseen", None),
        ("red", None),
        ("amp", None),
        ("binary", None),
    ],
)
async def test_texts_are_read_as_a_person_reads_them(
    client: Client, dovecot: Dovecot, mailuser: User, word: str, preview: str | None
) -> None:
    """RFC 8621 §5: decoded, HTML converted; the other texts where the one shown has no match."""
    dovecot.append(mailuser, "INBOX", crlf(ALTERNATIVE))
    assert (await snippet(client, {"body": word}))[1] == preview


async def test_subject_is_decoded(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §5: the subject of the Email (§4.1.3), whatever it is encoded in."""
    dovecot.append(mailuser, "INBOX", crlf(ALTERNATIVE))
    assert await snippet(client, {"subject": "ÜSS"}) == ("Gr<mark>üß</mark>e", None)


@pytest.mark.checklist("S02")
@pytest.mark.parametrize(
    "content_type", ["text/plain; charset=utf-8", "text/html; charset=utf-8", "text/x-unheard-of"]
)
async def test_a_long_text_has_a_short_preview(
    client: Client, dovecot: Dovecot, mailuser: User, content_type: str
) -> None:
    """RFC 8621 §5: at most 255 octets around a match, of a text of 130 kB."""
    text = f"{'&amp; Füllwörter ' * 3_500} Nadel {'Füllwörter ' * 3_000}"
    octets = one_part(content_type, encodebytes(text.encode()), "Content-Transfer-Encoding: base64")
    dovecot.append(mailuser, "INBOX", octets)
    _, preview = await snippet(client, {"body": "nadel"})
    assert preview is not None
    assert "<mark>Nadel</mark>" in preview
    assert 200 < len(preview.encode()) <= 255
    assert preview[0] == preview[-1] == "…"
    plain = unescape(preview.strip("…").replace("<mark>", "").replace("</mark>", ""))
    assert plain in " ".join((unescape(text) if "html" in content_type else text).split())


async def test_what_is_too_far_on_is_not_looked_for(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §8.5: so much of a text is read, and the answer is that there is no preview."""
    body = b"nothing " * 100_000 + b"needle\r\n"
    dovecot.append(mailuser, "INBOX", one_part("text/plain", body))
    assert await snippet(client, {"body": "needle"}) == (None, None)


async def test_many_long_texts_are_read_in_several_batches(
    client: Client, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §8.5: what is held in memory is bounded, the answer is the same."""
    monkeypatch.setattr(search_snippet, "_BATCH_OCTETS", 10_000)
    octets = [mail(n, body="line\r\n" * 700 + f"number {n}\r\n") for n in range(7)]
    dovecot.append_all(mailuser, "INBOX", map(Message, octets))
    found = await snippets(client, {"body": "number"})
    assert len({preview for _, preview in found}) == 7
    assert all(preview and "<mark>number</mark>" in preview for _, preview in found)


@pytest.mark.checklist("S03")
async def test_ids_that_are_no_emails_are_not_found(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §5.1: notFound, or null; each id once, in the order of the request."""
    dovecot.append_all(mailuser, "INBOX", [Message(mail(n)) for n in range(2)])
    first, second = await client.query()
    wanted = [second, "absent", first, second, "no id", "absent"]
    got = await client.call("SearchSnippet/get", filter={"text": "hello"}, emailIds=wanted)
    assert [snippet["emailId"] for snippet in got["list"]] == [second, first]
    assert got["notFound"] == ["absent", "no id"]
    got = await client.call("SearchSnippet/get", filter={"text": "hello"}, emailIds=[])
    assert (got["list"], got["notFound"]) == ([], None)


@pytest.mark.checklist("S03")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"emailIds": ["x"] * (DEFAULTS.max_objects_in_get + 1)}, "requestTooLarge"),
        ({"emailIds": [], "filter": {"unheardOf": 1}}, "unsupportedFilter"),
        ({"emailIds": [], "filter": {"text": 1}}, "invalidArguments"),
        ({"emailIds": [], "filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"emailIds": [], "filter": "text"}, "invalidArguments"),
        ({"emailIds": "x"}, "invalidArguments"),
        ({"emailIds": [1]}, "invalidArguments"),
        ({"emailIds": None}, "invalidArguments"),
        ({}, "invalidArguments"),
        ({"emailIds": [], "ids": []}, "invalidArguments"),
    ],
)
async def test_errors(client: Client, arguments: dict[str, Any], error: str) -> None:
    """RFC 8621 §5.1, RFC 8620 §3.6.2."""
    with pytest.raises(Refused) as refused:
        await client.call("SearchSnippet/get", **arguments)
    assert refused.value.type == error


async def test_an_email_that_goes_away_meanwhile_is_not_found(
    client: Client, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8621 §5.1: expunged between the look at the index and the reading of its text."""
    dovecot.append_all(mailuser, "INBOX", [Message(mail(n)) for n in range(2)])
    ids = await client.query()
    sections = client.account.content.sections
    read = sections.read

    async def delayed(wanted: Any) -> Any:
        monkeypatch.undo()
        with dovecot.imap(mailuser) as imap:
            imap.select("INBOX")
            imap.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
            imap.expunge()
        return await read(wanted)

    monkeypatch.setattr(sections, "read", delayed)
    got = await client.call("SearchSnippet/get", filter={"text": "hello"}, emailIds=ids)
    (left,) = await client.query()
    assert [one["emailId"] for one in got["list"]] == [left]
    assert got["notFound"] == [id_ for id_ in ids if id_ != left]
    assert got["list"][0]["preview"] == "<mark>Hello</mark>."


async def test_snippets_change_no_state(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §5.1: neither flags nor states are touched by looking for words."""
    dovecot.append(mailuser, "INBOX", mail())
    before = await client.call("Email/get", ids=await client.query(), properties=["keywords"])
    assert (await snippet(client, {"text": "hello"}))[1] == "<mark>Hello</mark>."
    after = await client.call("Email/get", ids=await client.query(), properties=["keywords"])
    assert after == before
