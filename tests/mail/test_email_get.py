"""RFC 8621 §4.1.1, §4.2: what Email/get says of a message, next to what was stored."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from gateway.jmap.limits import DEFAULTS
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.mail.messages import RECEIVED, mail
from tests.servers.dovecot import Dovecot, Message, User

DEFAULT_PROPERTIES = [
    *("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "messageId"),
    *("inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject"),
    *("sentAt", "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments"),
]

# --- RFC 8620 §5.1 ------------------------------------------------------------------------------


@pytest.mark.checklist("O01")
async def test_without_properties_the_fixed_list_is_given(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.2."""
    dovecot.append(mailuser, "INBOX", mail())
    email = await client.email()
    assert email.keys() == set(DEFAULT_PROPERTIES)
    assert email["bodyValues"] == {}


@pytest.mark.checklist("D02", "D04", "D06", "D07", "D09")
async def test_only_what_was_asked_for_is_given(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §5.1."""
    dovecot.append(mailuser, "INBOX", mail())
    (id_,) = await client.query()
    wanted = ["Emissing", id_, "E" + "A" * 16, id_, "no id!", "Emissing", id_[:-1], id_.lower()]
    for properties in (["id"], [], ["size", "id"], ["bodyStructure", "preview", "subject"]):
        got = await client.call("Email/get", ids=wanted, properties=properties)
        assert got["accountId"] == client.account.id
        assert [email.keys() for email in got["list"]] == [{"id", *properties}]
        assert got["list"][0]["id"] == id_
        missing = ["Emissing", "E" + "A" * 16, "no id!", id_[:-1], id_.lower()]
        assert got["notFound"] == missing
    nothing = await client.call("Email/get", ids=[])
    assert (nothing["list"], nothing["notFound"]) == ([], [])


@pytest.mark.checklist("D03", "D05", "O02", "O05", "C20")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"ids": None}, "requestTooLarge"),
        ({"ids": ["E"] * (DEFAULTS.max_objects_in_get + 1)}, "requestTooLarge"),
        ({"ids": [], "properties": ["subject", "colour"]}, "invalidArguments"),
        ({"ids": [], "bodyProperties": ["type", "colour"]}, "invalidArguments"),
        ({"ids": [], "bodyProperties": "type"}, "invalidArguments"),
        ({"ids": [], "maxBodyValueBytes": -1}, "invalidArguments"),
        ({"ids": [], "maxBodyValueBytes": "1"}, "invalidArguments"),
        ({"ids": [], "fetchAllBodyValues": None}, "invalidArguments"),
        ({"ids": [], "fetchEverything": True}, "invalidArguments"),
    ],
)
async def test_what_email_get_does_not_take_is_refused(
    client: Client, arguments: dict[str, Any], error: str
) -> None:
    """RFC 8620 §5.1, RFC 8621 §4.2."""
    with pytest.raises(Refused) as refused:
        await client.call("Email/get", **arguments)
    assert refused.value.type == error


@pytest.mark.checklist("L18")
async def test_ids_of_another_account_are_unknown(
    client: Client, connect: Connect, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §9.5: what one may not see does not exist; not a word of the other's mail."""
    stranger = dovecot.add_user()
    dovecot.append(stranger, "INBOX", mail())
    theirs = await (await connect(dovecot, stranger)).email("blobId", "threadId", "mailboxIds")
    dovecot.append(mailuser, "INBOX", mail(2))
    (email_id,), (thread_id,), (mailbox_id,) = (
        [theirs["id"]],
        [theirs["threadId"]],
        theirs["mailboxIds"],
    )
    for method, id_ in (("Email", email_id), ("Thread", thread_id), ("Mailbox", mailbox_id)):
        got = await client.call(f"{method}/get", ids=[id_])
        assert (got["list"], got["notFound"]) == ([], [id_])
    assert await client.query({"inMailbox": mailbox_id}) == []
    assert await client.blob(theirs["blobId"]) is None


# --- RFC 8621 §4.1.1: metadata ------------------------------------------------------------------


@pytest.mark.checklist("N06", "J10")
@pytest.mark.parametrize(
    ("received", "shown"),
    [
        (RECEIVED, "2024-02-29T12:30:15Z"),
        (datetime(2023, 12, 31, 23, 0, 1, tzinfo=timezone(timedelta(hours=-5))), None),
        (datetime(1999, 6, 5, 4, 3, 2, tzinfo=timezone(timedelta(hours=5, minutes=45))), None),
    ],
)
async def test_size_and_received_date(
    client: Client, dovecot: Dovecot, mailuser: User, received: datetime, shown: str | None
) -> None:
    """RFC 8621 §4.1.1: octets of the message; INTERNALDATE in UTC, whatever its offset."""
    octets = mail(body="Gr\u00fc\u00dfe.\r\n")
    dovecot.append(mailuser, "INBOX", octets, (), received)
    email = await client.email("blobId", "size", "receivedAt")
    assert email["size"] == len(octets)
    assert await client.blob(email["blobId"]) == octets
    moment = datetime.fromisoformat(email["receivedAt"])
    assert moment == received
    assert email["receivedAt"].endswith("Z")
    assert shown in (None, email["receivedAt"])


@pytest.mark.checklist("N01", "N02")
async def test_same_message_in_several_mailboxes_is_one_email(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.1.1 mailboxIds; the id stays when the message moves (§2)."""
    dovecot.append(mailuser, "INBOX", mail())
    dovecot.append(mailuser, "INBOX", mail(2))
    paths = await client.paths()
    inbox, archive, trash = paths["Inbox"], paths["Archive"], paths["Trash"]

    async def places() -> dict[str, Any]:
        emails = await client.emails(properties=["mailboxIds", "messageId"])
        return {e["messageId"][0][0]: (e["id"], e["mailboxIds"]) for e in emails}

    first = (await places())["1"][0]
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("COPY", "1", "Archive")
        assert (await places())["1"] == (first, {inbox: True, archive: True})
        imap.uid("COPY", "1", "INBOX")
        assert (await places())["1"] == (first, {inbox: True, archive: True})
        imap.uid("MOVE", "1,3", "Trash")
        assert (await places())["1"] == (first, {archive: True, trash: True})
        imap.select("Trash")
        imap.uid("STORE", "1:*", "+FLAGS", "(\\Deleted)")
        assert (await places())["1"] == (first, {archive: True})
        imap.select("Archive")
        imap.uid("STORE", "1:*", "+FLAGS", "(\\Deleted)")
        imap.expunge()
    assert (await places()).keys() == {"2"}
    got = await client.call("Email/get", ids=[first], properties=["mailboxIds"])
    assert got["notFound"] == [first]


@pytest.mark.checklist("N03", "N04", "N05")
async def test_flags_and_keywords_of_imap_are_keywords(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    r"""RFC 8621 §4.1.1: system flags, others in lower case; neither \Recent nor \Deleted."""
    flags = {
        (): {},
        ("\\Seen", "\\Flagged"): {"$seen": True, "$flagged": True},
        ("\\Answered", "\\Draft"): {"$answered": True, "$draft": True},
        ("$Forwarded", "NonJunk", "MiXed-99"): {
            "$forwarded": True,
            "nonjunk": True,
            "mixed-99": True,
        },
        ("a/b", "!#$&'+,-.:;<=>?@[^_`|}~"): {
            "a/b": True,
            "!#$&'+,-.:;<=>?@[^_`|}~": True,
        },
    }
    messages = [Message(mail(n), f) for n, f in enumerate(flags)]
    dovecot.append_all(mailuser, "INBOX", [*messages, Message(mail("d"), ("\\Deleted",))])
    emails = await client.emails(properties=["messageId", "keywords"])
    shown = {email["messageId"][0]: email["keywords"] for email in emails}
    assert shown == {f"{n}@example.test": f for n, f in enumerate(flags.values())}


@pytest.mark.checklist("N05", "P04")
async def test_more_keywords_than_a_word_has_bits(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.1.1: keywords that come one by one, 150 in all."""
    for batch, mailbox in enumerate(("INBOX", "Archive", "Junk")):
        numbers = range(batch * 50, batch * 50 + 50)
        messages = [Message(mail(n), (f"key{n}", "Common")) for n in numbers]
        dovecot.append_all(mailuser, mailbox, messages)
        emails = await client.emails(properties=["messageId", "keywords"])
        assert {e["messageId"][0]: e["keywords"] for e in emails} == {
            f"{n}@example.test": {f"key{n}": True, "common": True} for n in range(batch * 50 + 50)
        }
    (found,) = await client.emails(await client.query({"hasKeyword": "KEY149"}), ["messageId"])
    assert found["messageId"] == ["149@example.test"]


@pytest.mark.checklist("N04")
async def test_keywords_of_copies_are_united_but_seen_is_what_all_are(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §4.1.1: one Email has one set of keywords."""
    dovecot.append(mailuser, "INBOX", mail(), ["\\Seen", "\\Flagged", "$one"])
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("COPY", "1", "Archive")
        imap.select("Archive")
        imap.uid("STORE", "1", "FLAGS", "(\\Answered $Two)")
        email = await client.email("keywords")
        kept = {"$flagged": True, "$answered": True, "$one": True, "$two": True}
        assert email["keywords"] == kept
        imap.uid("STORE", "1", "+FLAGS", "(\\Seen)")
        assert (await client.email("keywords"))["keywords"] == kept | {"$seen": True}
        # Only one copy is left.
        imap.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
        assert (await client.email("keywords"))["keywords"] == {
            "$seen": True,
            "$flagged": True,
            "$one": True,
        }
        imap.uid("STORE", "1", "-FLAGS", "(\\Deleted \\Seen)")
        assert (await client.email("keywords"))["keywords"] == kept


@pytest.mark.checklist("D08")
async def test_state_moves_with_every_change_and_not_without(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §5.1: delivery, keywords, a move and an expunge, in any mailbox."""
    dovecot.append(mailuser, "INBOX", mail())
    await client.query()
    states = [(await client.call("Email/get", ids=[]))["state"]]

    async def moved() -> bool:
        states.append((await client.call("Email/get", ids=[]))["state"])
        return states[-1] not in states[:-1]

    assert not await moved()
    dovecot.append(mailuser, "Archive", mail(2))
    assert await moved()
    with dovecot.imap(mailuser) as imap:
        imap.select("Archive")
        imap.uid("STORE", "1", "+FLAGS", "(\\Flagged)")
        assert await moved()
        imap.uid("MOVE", "1", "INBOX")
        assert await moved()
        imap.select("INBOX")
        imap.uid("COPY", "1", "Archive")
        assert await moved()
        imap.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
        assert await moved()
        imap.expunge()
    await client.query()
    assert len({(await client.call("Email/get", ids=[]))["state"] for _ in range(3)}) == 1


async def test_many_emails_are_read_at_once(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §5.1: every one has its own values, in the order that was asked for."""
    mailboxes = ("INBOX", "Archive", "Sent")
    for number, mailbox in enumerate(mailboxes):
        messages = [
            Message(mail(n, subject=f"Number {n}", body=f"Body {n}.\r\n"))
            for n in range(number * 100, number * 100 + 100)
        ]
        dovecot.append_all(mailuser, mailbox, messages)
    ids = await client.query(sort=[{"property": "subject"}])
    emails = await client.emails(ids[::-1], fetchTextBodyValues=True)
    assert [email["id"] for email in emails] == ids[::-1]
    assert sorted(int(email["subject"].removeprefix("Number ")) for email in emails) == [
        *range(300)
    ]
    for email in emails:
        number = email["subject"].removeprefix("Number ")
        assert email["messageId"] == [f"{number}@example.test"]
        assert email["preview"] == f"Body {number}."
        assert email["bodyValues"]["1"]["value"] == f"Body {number}.\n"
