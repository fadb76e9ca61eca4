"""RFC 8621 §3: Threads and the Emails in them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.mail.messages import RECEIVED, mail, reply
from tests.servers.dovecot import Dovecot, Message, User


async def threads(client: Client) -> dict[str, str]:
    """Thread ids by Message-ID."""
    emails = await client.emails(properties=["messageId", "threadId"])
    return {email["messageId"][0]: email["threadId"] for email in emails}


@pytest.mark.checklist("M03")
async def test_emails_of_a_thread_come_oldest_first(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §3: by receivedAt, wherever they are; those of one moment always the same way."""
    minutes = {"a": 3, "b": 1, "c": 2, "d": 2, "e": 2}
    for number, (name, minute) in enumerate(minutes.items()):
        octets = mail(name) if name == "a" else reply(name, "a")
        mailbox = ("INBOX", "Archive")[number % 2]
        dovecot.append(mailuser, mailbox, octets, (), RECEIVED + timedelta(minutes=minute))
    emails = await client.emails(properties=["threadId", "receivedAt"])
    (thread_id,) = {email["threadId"] for email in emails}
    got = await client.call("Thread/get", ids=[thread_id])
    expected = sorted(emails, key=lambda email: (email["receivedAt"], email["id"]))
    (thread,) = got["list"]
    assert sorted(thread["emailIds"]) == sorted(email["id"] for email in emails)
    received = {email["id"]: email["receivedAt"] for email in emails}
    assert [received[id_] for id_ in thread["emailIds"]] == [e["receivedAt"] for e in expected]
    assert (await client.call("Thread/get", ids=[thread_id]))["list"] == [thread]


@pytest.mark.checklist("M01")
async def test_thread_and_email_ids_stay_whatever_comes_later(
    client: Client, connect: Connect, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §3: threadId is immutable; late parents move nobody."""
    dovecot.append(mailuser, "INBOX", reply("b", "a"))
    dovecot.append(mailuser, "INBOX", mail("other", subject="Something else"))
    before = await threads(client)
    dovecot.append(mailuser, "Archive", mail("a"))
    dovecot.append(mailuser, "Archive", reply("c", "a"))
    after = await threads(client)
    assert after.items() >= before.items()
    assert after["a@example.test"] == after["b@example.test"] == after["c@example.test"]
    assert after["other@example.test"] != after["a@example.test"]
    assert await threads(await connect(dovecot, mailuser)) == after


@pytest.mark.checklist("M01")
async def test_every_email_is_in_the_thread_it_names(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §3: also one that has no Message-ID, and the same subject alone joins nobody."""
    octets = [mail("a"), mail("b"), reply("c", "b"), b"Subject: A greeting\r\n\r\nHello.\r\n"]
    octets += [b"\r\nNo header.\r\n", b"\r\nNone either.\r\n"]
    dovecot.append_all(mailuser, "INBOX", map(Message, octets))
    emails = await client.emails(properties=["threadId"])
    ids = sorted({email["threadId"] for email in emails})
    got = await client.call("Thread/get", ids=ids)
    assert len(ids) == 5
    assert sorted(
        (thread["id"], id_) for thread in got["list"] for id_ in thread["emailIds"]
    ) == sorted((email["threadId"], email["id"]) for email in emails)


@pytest.mark.checklist("M03")
async def test_deleted_email_leaves_its_thread_and_an_empty_thread_is_none(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    r"""RFC 8621 §3, §4.1.1: \Deleted is as good as gone."""
    dovecot.append(mailuser, "INBOX", mail("a"))
    dovecot.append(mailuser, "INBOX", reply("b", "a"))
    (thread_id,) = set((await threads(client)).values())
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
        ids = await client.query()
        got = await client.call("Thread/get", ids=[thread_id])
        assert got["list"] == [{"id": thread_id, "emailIds": ids}]
        assert len(ids) == 1
        imap.uid("STORE", "2", "+FLAGS", "(\\Deleted)")
        imap.expunge()
    gone = await client.call("Thread/get", ids=[thread_id])
    assert (gone["list"], gone["notFound"]) == ([], [thread_id])


@pytest.mark.checklist("D08")
async def test_state_of_threads_does_not_move_with_keywords(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §3.2: a Thread changes when an Email joins or leaves it."""
    dovecot.append(mailuser, "INBOX", mail("a"))
    await client.query()
    first = (await client.call("Thread/get", ids=[]))["state"]
    with dovecot.imap(mailuser) as imap:
        imap.select("INBOX")
        imap.uid("STORE", "1", "+FLAGS", "(\\Seen $Junk)")
    assert (await client.call("Thread/get", ids=[]))["state"] == first
    dovecot.append(mailuser, "INBOX", reply("b", "a"))
    assert (await client.call("Thread/get", ids=[]))["state"] != first


@pytest.mark.checklist("D02", "D04", "D06", "D07")
async def test_answer_has_what_was_asked_for(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §5.1."""
    dovecot.append(mailuser, "INBOX", mail("a"))
    (thread_id,) = set((await threads(client)).values())
    wanted = ["Tmissing", thread_id, "T" + "A" * 11, thread_id, "no id!", "Tmissing"]
    got = await client.call("Thread/get", ids=wanted, properties=["id"])
    assert got["list"] == [{"id": thread_id}]
    assert got["notFound"] == ["Tmissing", "T" + "A" * 11, "no id!"]
    assert (await client.call("Thread/get", ids=[]))["list"] == []
    with pytest.raises(Refused) as refused:
        await client.call("Thread/get", ids=None)
    assert refused.value.type == "requestTooLarge"
