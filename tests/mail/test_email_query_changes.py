"""RFC 8620 §5.6, RFC 8621 §4.5: Email/queryChanges, case by case, while others change the mail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.store.opening import open_store
from tests.mail.client import Client, Refused, connected
from tests.mail.conftest import Connect
from tests.mail.followed import Followed, applied, follow
from tests.mail.messages import RECEIVED, mail, reply
from tests.servers.dovecot import Dovecot, Message, User, quoted

NEWEST_FIRST = [{"property": "receivedAt", "isAscending": False}]
FLAGGED_FIRST = [{"property": "hasKeyword", "keyword": "$flagged", "isAscending": False}]


@pytest.fixture
async def inbox(client: Client, dovecot: Dovecot, mailuser: User) -> str:
    """Give the id of the inbox, in which there are five Emails, the newest last, and an Archive."""
    dovecot.append_all(mailuser, "INBOX", [at(n) for n in range(5)])
    return (await client.paths())["Inbox"]


def at(minute: int, octets: bytes | None = None, *flags: str) -> Message:
    """A message that came in that minute; its subject says so as well."""
    octets = octets or mail(minute, subject=f"Number {minute}")
    return Message(octets, flags, RECEIVED.replace(minute=minute))


def store(dovecot: Dovecot, user: User, mailbox: str, uids: str, change: str, flags: str) -> None:
    with dovecot.imap(user) as imap:
        imap.select(quoted(mailbox))
        imap.uid("STORE", uids, f"{change}FLAGS", f"({flags})")


def expunge(dovecot: Dovecot, user: User, mailbox: str, uids: str) -> None:
    with dovecot.imap(user) as imap:
        imap.select(quoted(mailbox))
        imap.uid("STORE", uids, "+FLAGS", "(\\Deleted)")
        imap.uid("EXPUNGE", uids)


def move(dovecot: Dovecot, user: User, source: str, uids: str, target: str) -> None:
    with dovecot.imap(user) as imap:
        imap.select(quoted(source))
        imap.uid("MOVE", uids, quoted(target))


async def refusal(followed: Followed, **arguments: Any) -> str:
    """The error type that a call for changes ends in."""
    with pytest.raises(Refused) as refused:
        await followed.changes(**arguments)
    return refused.value.type


def indexes(answer: dict[str, Any]) -> list[int]:
    return [item["index"] for item in answer["added"]]


# --- what happens to mail -------------------------------------------------------------------------


@pytest.mark.checklist("I02", "I03", "I07")
async def test_new_mail_is_added_where_it_belongs(
    client: Client, dovecot: Dovecot, mailuser: User, inbox: str
) -> None:
    """RFC 8620 §5.6: at the top, and further down when it is older; nothing else is said."""
    view = await follow(client, "Email", filter={"inMailbox": inbox}, sort=NEWEST_FIRST)
    nothing = await view.follow()
    assert (nothing["removed"], nothing["added"]) == ([], [])
    assert nothing["newQueryState"] == nothing["oldQueryState"]
    dovecot.append_all(mailuser, "INBOX", [at(30), at(3, mail("late"))])
    answer = await view.follow()
    assert answer["removed"] == []
    assert indexes(answer)[0] == 0
    assert indexes(answer)[1] in (2, 3)


@pytest.mark.checklist("I01", "I07")
async def test_flags_are_no_change_where_nothing_looks_at_them(
    client: Client, dovecot: Dovecot, mailuser: User, inbox: str
) -> None:
    """RFC 8620 §5.6: only what filter or sort include counts as mutable."""
    view = await follow(client, "Email", filter={"inMailbox": inbox}, sort=NEWEST_FIRST)
    store(dovecot, mailuser, "INBOX", "1:3", "+", "\\Seen \\Flagged")
    answer = await view.follow()
    assert (answer["removed"], answer["added"]) == ([], [])


@pytest.mark.checklist("I01", "I02", "I03", "P14")
async def test_flags_move_mail_in_and_out_and_about(
    client: Client, dovecot: Dovecot, mailuser: User, inbox: str
) -> None:
    """RFC 8621 §4.5: filters and sorts by keywords; what was touched is removed and added again."""
    unread = await follow(client, "Email", filter={"notKeyword": "$seen"}, sort=NEWEST_FIRST)
    flagged = await follow(client, "Email", sort=[*FLAGGED_FIRST, *NEWEST_FIRST])
    newest, _, third, *_ = unread.ids
    store(dovecot, mailuser, "INBOX", "3", "+", "\\Seen")
    answer = await unread.follow()
    assert (answer["removed"], answer["added"]) == ([third], [])
    answer = await flagged.follow()
    assert (answer["removed"], answer["added"]) == ([third], [{"id": third, "index": 2}])
    store(dovecot, mailuser, "INBOX", "3", "-", "\\Seen")
    store(dovecot, mailuser, "INBOX", "3", "+", "\\Flagged")
    assert set((await unread.follow())["removed"]) == {third}
    answer = await flagged.follow()
    assert (answer["removed"], answer["added"]) == ([third], [{"id": third, "index": 0}])
    assert flagged.ids[:2] == [third, newest]


@pytest.mark.checklist("I01", "I03", "P02", "P14")
async def test_mail_is_moved_and_destroyed(
    client: Client, dovecot: Dovecot, mailuser: User, inbox: str
) -> None:
    """RFC 8620 §5.6: out of one mailbox, into the other; where both count it is touched."""
    archive = (await client.paths())["Archive"]
    views = {
        "inbox": await follow(client, "Email", filter={"inMailbox": inbox}, sort=NEWEST_FIRST),
        "archive": await follow(client, "Email", filter={"inMailbox": archive}),
        "other": await follow(client, "Email", filter={"inMailboxOtherThan": [archive]}),
        "all": await follow(client, "Email", collapseThreads=False),
    }
    moved = views["inbox"].ids[0]
    move(dovecot, mailuser, "INBOX", "5", "Archive")
    answers = {name: await view.follow() for name, view in views.items()}
    removed = {name: answer["removed"] for name, answer in answers.items()}
    assert removed == {"inbox": [moved], "archive": [moved], "other": [moved], "all": []}
    assert views["archive"].ids == [moved]
    destroyed = views["inbox"].ids[1]
    expunge(dovecot, mailuser, "INBOX", "3")
    for name, view in views.items():
        answer = await view.follow()
        assert answer["added"] == []
        assert answer["removed"] == ([] if name == "archive" else [destroyed])


@pytest.mark.checklist("I03", "P13", "P14")
async def test_another_email_stands_for_its_thread(
    client: Client, dovecot: Dovecot, mailuser: User, inbox: str
) -> None:
    """RFC 8621 §4.5: with collapseThreads, Emails that nobody touched come and go."""
    query = {"filter": {"inMailbox": inbox}, "sort": NEWEST_FIRST, "collapseThreads": True}
    view = await follow(client, "Email", **query)
    replies = [at(10 + n, reply(f"r{n}", 2, subject="Re: Number 2")) for n in range(2)]
    first, second = dovecot.append_all(mailuser, "INBOX", replies)
    second_of_thread = view.ids[2]
    answer = await view.follow()
    assert (answer["removed"], indexes(answer)) == ([second_of_thread], [0])
    assert len(view.ids) == 5
    exemplar = view.ids[0]
    expunge(dovecot, mailuser, "INBOX", str(second))
    answer = await view.follow()
    assert (answer["removed"], indexes(answer)) == ([exemplar], [0])
    expunge(dovecot, mailuser, "INBOX", str(first))
    answer = await view.follow()
    assert answer["added"] == [{"id": second_of_thread, "index": 2}]


@pytest.mark.checklist("I01", "P04", "P14")
async def test_keywords_of_other_emails_of_the_thread_count(
    client: Client, dovecot: Dovecot, mailuser: User, inbox: str
) -> None:
    """RFC 8621 §4.5: what is true of a Thread changes for Emails that nobody touched."""
    condition = {"inMailbox": inbox, "someInThreadHaveKeyword": "$flagged"}
    view = await follow(client, "Email", filter=condition, sort=NEWEST_FIRST)
    answering = reply("answer", 1, subject="Re: Number 1")
    dovecot.append(mailuser, "Sent", answering, ["\\Flagged"], RECEIVED)
    answer = await view.follow()
    assert indexes(answer) == [0]
    store(dovecot, mailuser, "Sent", "1", "-", "\\Flagged")
    answer = await view.follow()
    assert (len(answer["removed"]), answer["added"]) == (1, [])


@pytest.mark.checklist("I03", "P14")
async def test_the_mailbox_that_the_filter_names_is_deleted(
    client: Client, dovecot: Dovecot, mailuser: User, inbox: str
) -> None:
    """RFC 8620 §5.6: all of its mail leaves the results, and comes into those of its absence."""
    dovecot.create(mailuser, "Project")
    dovecot.append_all(mailuser, "Project", [at(20, mail("a")), at(21, mail("b"))])
    project = (await client.paths())["Project"]
    inside = await follow(client, "Email", filter={"inMailbox": project})
    without = {"operator": "NOT", "conditions": [{"inMailbox": project}]}
    outside = await follow(client, "Email", filter=without)
    other = await follow(client, "Email", filter={"inMailboxOtherThan": [inbox]})
    ids = set(inside.ids)
    move(dovecot, mailuser, "Project", "1", "INBOX")
    with dovecot.imap(mailuser) as imap:
        imap.delete("Project")
    assert set((await inside.follow())["removed"]) == ids
    assert inside.ids == []
    assert len((await outside.follow())["added"]) == 1
    assert set((await other.follow())["removed"]) == ids


# --- the arguments --------------------------------------------------------------------------------


@pytest.mark.checklist("I04")
async def test_what_is_behind_the_last_id_a_client_has_is_left_out(
    client: Client, dovecot: Dovecot, mailuser: User, inbox: str
) -> None:
    """RFC 8620 §5.6 upToId: honoured where nothing mutable counts, and the id is there."""
    immutable = await follow(client, "Email", filter={"minSize": 1}, sort=NEWEST_FIRST)
    mutable = await follow(client, "Email", filter={"inMailbox": inbox}, sort=NEWEST_FIRST)
    ids = immutable.ids
    expunge(dovecot, mailuser, "INBOX", "1,4")
    dovecot.append_all(mailuser, "INBOX", [at(30), at(0, mail("old"))])
    answer = await immutable.changes(upToId=ids[2], calculateTotal=True)
    assert (answer["removed"], indexes(answer), answer["total"]) == ([ids[1]], [0], 5)
    assert applied(ids[:3], answer) == (await client.query(sort=NEWEST_FIRST))[:3]
    for view, last in ((mutable, ids[2]), (immutable, ids[1]), (immutable, "Eunknown")):
        answer = await view.changes(upToId=last)
        assert set(answer["removed"]) == {ids[1], ids[4]}
        assert indexes(answer) == [0, 4]


@pytest.mark.checklist("I05", "I06")
async def test_more_changes_than_wanted_and_the_total_if_wanted(
    client: Client, dovecot: Dovecot, mailuser: User, inbox: str
) -> None:
    """RFC 8620 §5.6: each id in removed and each item in added is one change."""
    view = await follow(client, "Email", filter={"inMailbox": inbox})
    dovecot.append_all(mailuser, "INBOX", [at(30), at(31)])
    expunge(dovecot, mailuser, "INBOX", "2")
    assert await refusal(view, maxChanges=2) == "tooManyChanges"
    assert "total" not in await view.changes(maxChanges=3)
    answer = await view.changes(calculateTotal=True, collapseThreads=False)
    assert answer["total"] == 6
    assert len(answer["removed"]) + len(answer["added"]) == 3


@pytest.mark.checklist("I08")
@pytest.mark.parametrize(
    "other",
    [
        {"filter": {"hasKeyword": "$seen"}},
        {"filter": None},
        {"sort": [{"property": "receivedAt"}]},
        {"sort": [*NEWEST_FIRST, {"property": "size"}]},
        {"sort": [NEWEST_FIRST[0] | {"collation": "i;ascii-casemap"}]},
        {"collapseThreads": True},
    ],
)
async def test_a_state_is_of_one_query(
    client: Client, inbox: str, dovecot: Dovecot, mailuser: User, other: dict[str, Any]
) -> None:
    """RFC 8620 §5.6: with another filter, sort or collapseThreads it means nothing."""
    view = await follow(client, "Email", filter={"inMailbox": inbox}, sort=NEWEST_FIRST)
    dovecot.append(mailuser, "INBOX", mail("new"))
    assert await refusal(view, **other) == "cannotCalculateChanges"
    nested = {"operator": "AND", "conditions": [{"inMailbox": inbox, "minSize": 1}]}
    view = await follow(client, "Email", filter=nested)
    nested["conditions"] = [{"minSize": 1, "inMailbox": inbox}]
    assert (await view.changes(filter=nested, sort=[]))["added"] == []


@pytest.mark.checklist("I05")
async def test_states_that_nobody_gave_are_not_known(client: Client, inbox: str) -> None:
    """RFC 8620 §5.6 cannotCalculateChanges."""
    view = await follow(client, "Email", filter={"inMailbox": inbox})
    query, _, state = view.state.partition(".")
    epoch, sequence, digest = state.split(".")
    ahead = f"{epoch}.{int(sequence) + 1}.{digest}"
    texts = ["", ".", query, f"{query}.", f"{query}.{ahead}", f"{query}.other.{sequence}.{digest}"]
    texts += [
        f"{query}-00.{state}",
        f"{query}.{epoch}.{sequence}.f{digest}",
        state,
        f"x{view.state}",
    ]
    for text in texts:
        assert await refusal(view, sinceQueryState=text) == "cannotCalculateChanges", text


# --- text ----------------------------------------------------------------------------------------


@pytest.mark.checklist("I01", "I03", "P07")
async def test_a_text_is_followed_through_a_restart(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    """RFC 8621 §4.5: what left the mailbox is searched for again, as it may have been found."""
    dovecot.append_all(mailuser, "INBOX", [at(n) for n in range(3)])
    kept = open_store("memory://", b"x" * 32, tmp_path)
    async with connected(dovecot, mailuser, tmp_path, kept) as client:
        inbox = (await client.paths())["Inbox"]
        found = {"inMailbox": inbox, "subject": "number"}
        view = await follow(client, "Email", filter=found, sort=NEWEST_FIRST)
        missed = await follow(client, "Email", filter={"inMailbox": inbox, "subject": "other"})
    move(dovecot, mailuser, "INBOX", "2", "Archive")
    async with connected(dovecot, mailuser, tmp_path, kept) as client:
        view.client = missed.client = client
        left = view.ids[1]
        dovecot.append_all(mailuser, "INBOX", [at(9), at(10, mail("x", subject="Another one"))])
        answer = await view.follow()
        assert (answer["removed"], indexes(answer)) == ([left], [0])
        assert len((await missed.follow())["added"]) == 1


@pytest.mark.checklist("I01", "I05", "P07")
async def test_what_is_gone_can_not_be_searched_for_any_more(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    """RFC 8620 §5.6: the server's word is taken as long as it is remembered; without it there is
    a difference only if what is gone was not in the results.
    """
    dovecot.append_all(mailuser, "INBOX", [at(n) for n in range(3)])
    kept = open_store("memory://", b"x" * 32, tmp_path)
    async with connected(dovecot, mailuser, tmp_path, kept) as client:
        view = await follow(client, "Email", filter={"subject": "number"}, sort=NEWEST_FIRST)
        gone = view.ids[0]
        expunge(dovecot, mailuser, "INBOX", "3")
        answer = await view.follow()
        assert (answer["removed"], answer["added"]) == ([gone], [])
        missed = await follow(client, "Email", filter={"subject": "other"})
    expunge(dovecot, mailuser, "INBOX", "2")
    async with connected(dovecot, mailuser, tmp_path, kept) as client:
        view.client = missed.client = client
        assert await refusal(view) == "cannotCalculateChanges"
        assert (await missed.follow())["removed"] == []


@pytest.mark.checklist("I03", "P05")
async def test_attachments_are_followed(client: Client, dovecot: Dovecot, mailuser: User) -> None:
    """RFC 8621 §4.5: hasAttachment is known of new mail before anything is said."""
    view = await follow(client, "Email", filter={"hasAttachment": True})
    part = b'Content-Disposition: attachment; filename="a"\r\n'
    octets = b"Content-Type: application/octet-stream\r\n" + part + mail("attached")
    dovecot.append_all(mailuser, "INBOX", [at(1, octets), at(2)])
    assert indexes(await view.follow()) == [0]


# --- accounts that are not indexed yet ------------------------------------------------------------


@pytest.mark.checklist("I03", "H13")
async def test_the_first_window_of_a_cold_account_is_followed(
    connect: Connect, dovecot: Dovecot
) -> None:
    """RFC 8620 §5.6: its state holds when the rest of the account is known."""
    user = dovecot.add_user()
    dovecot.append_all(user, "INBOX", [at(n % 60, mail(n)) for n in range(120)])
    client = await connect(dovecot, user)
    inbox = (await client.paths())["Inbox"]
    cold = await connect(dovecot, user)
    view = await follow(cold, "Email", filter={"inMailbox": inbox}, sort=NEWEST_FIRST)
    assert len(view.ids) == 120
    window = await follow(
        await connect(dovecot, user),
        "Email",
        filter={"inMailbox": inbox},
        sort=NEWEST_FIRST,
        limit=7,
    )
    window.query.pop("limit")
    expunge(dovecot, user, "INBOX", "60")
    dovecot.append(user, "INBOX", mail("new"))
    await view.follow()
    answer = await window.changes()
    assert applied(window.ids, answer)[:7] == view.ids[:7]
