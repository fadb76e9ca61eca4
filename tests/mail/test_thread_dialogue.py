"""RFC 8621 §3: a dialogue as people write it, in Threads and in the server's own (RFC 5256 THREAD).

Of the archive of a real list, the benchmark `threads` tells how far the two agree.
"""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from tests.mail.client import Client
from tests.mail.conftest import Connect
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot, Message, User


def letter(name: str, subject: str, *earlier: str, only_in_reply_to: bool = False) -> bytes:
    """A message that answers the last one of `earlier`."""
    fields = []
    if earlier:
        fields.append(f"In-Reply-To: <{earlier[-1]}@example.test>")
    if earlier and not only_in_reply_to:
        fields.append(f"References: {' '.join(f'<{one}@example.test>' for one in earlier)}")
    return mail(name, subject=subject, fields=fields)


DIALOGUE = [
    letter("a1", "Lunch on Friday?"),
    letter("a2", "Re: Lunch on Friday?", "a1"),
    letter("a3", "AW: Lunch on Friday?", "a1", "a2"),
    letter("a4", "Re: AW: Lunch on  Friday?", "a1", "a2", "a3"),
    letter("a5", "SV: Lunch on Friday?", "a1", only_in_reply_to=True),
    letter("a6", "Fwd: [team] Lunch on Friday? (fwd)", "a1"),
    letter("b1", "[team] Minutes"),
    letter("b2", "=?utf-8?q?Ref=3A?= [team] Minutes", "b1"),
    letter("b3", "Antwort: [team] Minutes", "b1", "b2"),
    letter("c1", "[Bug 7] New: It breaks"),
    letter("c2", "[Bug 7] It breaks", "c1"),
    # Their common ancestor went to somebody else.
    letter("d2", "Re: Holidays", "d1"),
    letter("d3", "Re: Holidays", "d1", "d2"),
    letter("d4", "Re: Holidays", "d1"),
    letter("e1", "Nothing to do with it"),
]


def server_threads(server: Dovecot, user: User, algorithm: str) -> set[frozenset[int]]:
    """The UIDs of each thread of INBOX."""
    with server.imap(user) as client:
        client.select(readonly=True)
        answer: bytes = client.uid("THREAD", algorithm, "UTF-8", "ALL")[1][0]
    threads, depth = [set[int]()], 0
    for token in re.findall(rb"[()]|\d+", answer):
        depth += {b"(": 1, b")": -1}.get(token, 0)
        if token.isdigit():
            threads[-1].add(int(token))
        elif not depth:
            threads.append(set())
    return {frozenset(thread) for thread in threads if thread}


async def jmap_threads(client: Client) -> dict[str, frozenset[int]]:
    """The UIDs of each Thread by its id; the n-th message of DIALOGUE has UID n."""
    uids = {re.findall(rb"Message-ID: <(.*)>", m)[0].decode(): n for n, m in enumerate(DIALOGUE, 1)}
    threads = defaultdict(set)
    for email in await client.emails(properties=["messageId", "threadId"]):
        threads[email["threadId"]].add(uids[email["messageId"][0]])
    return {id_: frozenset(members) for id_, members in threads.items()}


@pytest.mark.checklist("M01")
@pytest.mark.parametrize("algorithm", ["REFERENCES", "REFS"])
async def test_threads_are_those_of_the_server(
    client: Client, dovecot: Dovecot, mailuser: User, algorithm: str
) -> None:
    """RFC 8621 §3: what names the same message, under the same subject, is together."""
    dovecot.append_all(mailuser, "INBOX", map(Message, DIALOGUE))
    found = await jmap_threads(client)
    assert set(found.values()) == server_threads(dovecot, mailuser, algorithm)
    assert len(found) == 5


@pytest.mark.checklist("M01")
async def test_thread_ids_depend_on_the_messages_only(connect: Connect, dovecot: Dovecot) -> None:
    """RFC 8621 §3: the same ids in whatever order mail came, and whatever of it is there."""
    found = []
    for messages in (DIALOGUE, DIALOGUE[::-1], DIALOGUE[1::2]):
        user = dovecot.add_user()
        dovecot.append_all(user, "INBOX", map(Message, messages))
        found.append(await jmap_threads(await connect(dovecot, user)))
    in_order, reversed_, every_other = found
    assert reversed_ == in_order
    assert all(members <= in_order[id_] for id_, members in every_other.items())


@pytest.mark.checklist("M01")
async def test_another_subject_is_another_thread(
    client: Client, dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §3 (2): who answers an old message with a new subject begins a conversation."""
    octets = [letter("a1", "Lunch on Friday?"), letter("a2", "Your car", "a1")]
    octets += [letter("a3", "Your boat (was: Your car)", "a1", "a2")]
    octets += [letter("a4", "Re: Your boat", "a1", "a2", "a3")]
    dovecot.append_all(mailuser, "INBOX", map(Message, octets))
    emails = await client.emails(properties=["messageId", "threadId"])
    threads = {email["messageId"][0][:2]: email["threadId"] for email in emails}
    assert len({threads[name] for name in ("a1", "a2", "a3")}) == 3
    assert threads["a3"] == threads["a4"]
