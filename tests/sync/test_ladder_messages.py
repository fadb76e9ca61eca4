r"""RFC 8621 §§2.2, 3.2, 4.3: what other clients do to messages, as /changes tells it on each step.

Emails, Threads and Mailboxes are followed; each change is told of with exactly the ids it touched.
"""

from __future__ import annotations

import pytest

from tests.servers.mail_server import MailServer
from tests.sync.conftest import STEPS, Gateways
from tests.sync.hand import Hand, furnish
from tests.sync.ladder import change, following, look_once, tell_all

every_step = pytest.mark.parametrize("server", STEPS, indirect=True)
# How mailboxes are listed and searched has no part in what is learnt of messages that are there.
message_step = pytest.mark.parametrize(
    "server",
    [step for step in STEPS if step not in ("no-list-status", "no-list-extended", "no-esearch")],
    indirect=True,
)


@pytest.fixture(autouse=True)
def _look_once(monkeypatch: pytest.MonkeyPatch) -> None:
    look_once(monkeypatch)


def flag_and_unflag(writer: Hand) -> None:
    writer.store("INBOX", (4,), "+FLAGS", "\\Flagged")
    writer.store("INBOX", (4,), "-FLAGS", "\\Flagged")


def expunge_and_append(writer: Hand) -> None:
    writer.expunge("INBOX", (6,))
    writer.append("INBOX", 24, None, "$New")


def come_and_go(writer: Hand) -> None:
    writer.append("INBOX", 25)
    writer.expunge("INBOX", (25,))


def there_and_back(writer: Hand) -> None:
    writer.move("A", (15,), "C")
    writer.move("C", (15,), "A")


def move_and_read(writer: Hand) -> None:
    writer.move("INBOX", (8,), "C")
    writer.store("C", (8,), "+FLAGS", "\\Seen $Done")


def answer_and_delete(writer: Hand) -> None:
    writer.append("A/B", 26, 13)
    writer.expunge("A/B", (13,))


def read_everywhere(writer: Hand) -> None:
    for mailbox, number in (("INBOX", 4), ("A", 11), ("Trash", 14)):
        writer.store(mailbox, (number,), "+FLAGS", "\\Seen")


MAIL = (
    change("mail arrives", lambda w: w.append("INBOX", 20), created=[20]),
    change("an answer arrives", lambda w: w.append("A", 21, 1), created=[21]),
    change("mail fills a mailbox", lambda w: w.append("C", 22, None, "\\Seen"), created=[22]),
    change("mail comes as deleted", lambda w: w.append("A", 23, None, "\\Deleted")),
    change(
        "it is deleted no more", lambda w: w.store("A", (23,), "-FLAGS", "\\Deleted"), created=[23]
    ),
    change(
        "it is deleted again", lambda w: w.store("A", (23,), "+FLAGS", "\\Deleted"), destroyed=[23]
    ),
    change("mail comes and goes", come_and_go),
    change("one goes, one comes", expunge_and_append, destroyed=[6], created=[24]),
    change("an answer to what goes", answer_and_delete, destroyed=[13], created=[26]),
    change("a thread loses its first", lambda w: w.expunge("INBOX", (1,)), destroyed=[1]),
    change("mail is expunged", lambda w: w.expunge("INBOX", (5, 7)), destroyed=[5, 7]),
    change(
        "two mailboxes at once",
        lambda w: w.expunge("Trash", (14,)).append("C", 27, 3),
        destroyed=[14],
        created=[27],
    ),
)

FLAGS = (
    change("read", lambda w: w.store("INBOX", (1,), "+FLAGS", "\\Seen"), updated=[1]),
    change("read once more", lambda w: w.store("INBOX", (1,), "+FLAGS", "\\Seen")),
    change("unread", lambda w: w.store("INBOX", (2,), "-FLAGS", "\\Seen"), updated=[2]),
    change("flagged", lambda w: w.store("INBOX", (2,), "+FLAGS", "\\Flagged"), updated=[2]),
    change("flagged and not", flag_and_unflag),
    change(
        "keywords on some",
        lambda w: w.store("INBOX", (3, 4, 7), "+FLAGS", "$Forwarded Custom"),
        updated=[3, 4, 7],
    ),
    change(
        "on some of which have it",
        lambda w: w.store("INBOX", (4, 5, 6), "+FLAGS", "Custom"),
        updated=[5, 6],
    ),
    change("cleared", lambda w: w.store("INBOX", (3,), "-FLAGS", "$Work"), updated=[3]),
    change("replaced", lambda w: w.store("INBOX", (3,), "FLAGS", "\\Draft other"), updated=[3]),
    change("in another mailbox", lambda w: w.store("A/B", (13,), "FLAGS", ""), updated=[13]),
    change("deleted", lambda w: w.store("INBOX", (3,), "+FLAGS", "\\Deleted"), destroyed=[3]),
    change("flagged while deleted", lambda w: w.store("INBOX", (3,), "+FLAGS", "\\Flagged")),
    change("undeleted", lambda w: w.store("INBOX", (3,), "-FLAGS", "\\Deleted"), created=[3]),
    change(
        "read in many mailboxes",
        read_everywhere,
        updated=[4, 11, 14],
    ),
)

PLACES = (
    change("moved", lambda w: w.move("INBOX", (3,), "A/B"), updated=[3]),
    change("moved to the trash", lambda w: w.move("INBOX", (7,), "Trash"), updated=[7]),
    change("there and back", there_and_back),
    change("moved and read", move_and_read, updated=[8]),
    change("copied", lambda w: w.copy("INBOX", (1, 2), "A"), updated=[1, 2]),
    change("copied further", lambda w: w.copy("A", (1,), "C"), updated=[1]),
    change("a copy is read", lambda w: w.store("A", (1,), "+FLAGS", "\\Seen")),
    change("a copy is flagged", lambda w: w.store("A", (1,), "+FLAGS", "\\Flagged"), updated=[1]),
    change(
        "all copies are read",
        lambda w: w.store("INBOX", (1,), "+FLAGS", "\\Seen").store("C", (1,), "+FLAGS", "\\Seen"),
        updated=[1],
    ),
    change("a copy goes", lambda w: w.expunge("INBOX", (1,)), updated=[1]),
    change("a copy is deleted", lambda w: w.store("A", (1,), "+FLAGS", "\\Deleted"), updated=[1]),
    change("the last copy goes", lambda w: w.expunge("C", (1,)), destroyed=[1]),
    change("copied in its mailbox", lambda w: w.copy("A", (12,), "A")),
    change(
        "one of the two unread", lambda w: w.store("A", (12,), "-FLAGS", "\\Seen"), updated=[12]
    ),
    change(
        "a mailbox is moved off", lambda w: w.move("INBOX", (2, 4, 5, 6), "C"), updated=[2, 4, 5, 6]
    ),
    change(
        "a mailbox is emptied",
        lambda w: w.expunge("C", (2, 4, 5, 6, 8)),
        destroyed=[4, 5, 6, 8],
        updated=[2],
    ),
)


@pytest.mark.checklist("D08", "E05", "E06", "E08", "E10", "L11", "M04", "P01")
@every_step
async def test_what_comes_and_goes_is_told(server: MailServer, gateways: Gateways) -> None:
    user = furnish(server)
    follower = await following(await gateways.login(server, user))
    await tell_all(follower, server, user, MAIL)


@pytest.mark.checklist("D08", "L11", "M04", "P01")
@message_step
async def test_flags_and_keywords_are_told(server: MailServer, gateways: Gateways) -> None:
    r"""RFC 8621 §4.1.1: an Email whose copies all have \Deleted does not exist."""
    user = furnish(server)
    follower = await following(await gateways.login(server, user))
    await tell_all(follower, server, user, FLAGS)


@pytest.mark.checklist("D08", "E08", "L11", "M04", "P01")
@message_step
async def test_moves_and_copies_are_told_as_updates(server: MailServer, gateways: Gateways) -> None:
    """RFC 8621 §4.1.1: it is mailboxIds that changes, and no Thread does."""
    user = furnish(server)
    follower = await following(await gateways.login(server, user))
    await tell_all(follower, server, user, PLACES)
