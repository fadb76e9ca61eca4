"""RFC 9051: what another mail program does to an account, message by message."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from tests.servers.mail_server import MailServer, User, quoted
from tests.sync.letters import letter, message_id

# RFC 5464; the standard library does not know of it.
imaplib.Commands.setdefault("SETMETADATA", ("AUTH", "SELECTED"))

Numbers = tuple[int, ...]


class Hand:
    """One IMAP client. Messages go by the numbers of their letters, wherever they are.

    What it does can be strung together.
    """

    def __init__(self, client: imaplib.IMAP4) -> None:
        self.client = client

    def append(self, mailbox: str, number: int, root: int | None = None, *flags: str) -> Self:
        """A letter arrives; `root` is the number of what it answers."""
        message = letter(number, root, *flags)
        assert message.internaldate
        date = imaplib.Time2Internaldate(message.internaldate)
        _ok(self.client.append(quoted(mailbox), f"({' '.join(flags)})", date, message.octets))
        return self

    def store(self, mailbox: str, numbers: Numbers, what: str, flags: str) -> Self:
        """Change flags: `what` is FLAGS, +FLAGS or -FLAGS."""
        with self._selected(mailbox):
            _ok(self.client.uid("STORE", self._uids(numbers), what, f"({flags})"))
        return self

    def expunge(self, mailbox: str, numbers: Numbers) -> Self:
        """Letters go away for good."""
        with self._selected(mailbox):
            uids = self._uids(numbers)
            _ok(self.client.uid("STORE", uids, "+FLAGS.SILENT", "(\\Deleted)"))
            _ok(self.client.uid("EXPUNGE", uids))
        return self

    def copy(self, mailbox: str, numbers: Numbers, target: str) -> Self:
        """Letters are in another mailbox too."""
        with self._selected(mailbox):
            _ok(self.client.uid("COPY", self._uids(numbers), quoted(target)))
        return self

    def move(self, mailbox: str, numbers: Numbers, target: str) -> Self:
        """Letters are in another mailbox instead (RFC 6851)."""
        with self._selected(mailbox):
            _ok(self.client.uid("MOVE", self._uids(numbers), quoted(target)))
        return self

    def create(self, *mailboxes: str) -> Self:
        """Make mailboxes."""
        for mailbox in mailboxes:
            _ok(self.client.create(quoted(mailbox)))
        return self

    def delete(self, mailbox: str) -> Self:
        """Delete a mailbox."""
        _ok(self.client.delete(quoted(mailbox)))
        return self

    def rename(self, old: str, new: str) -> Self:
        """Rename a mailbox, and with it those below."""
        _ok(self.client.rename(quoted(old), quoted(new)))
        return self

    def subscribe(self, mailbox: str) -> Self:
        """Subscribe to a mailbox."""
        _ok(self.client.subscribe(quoted(mailbox)))
        return self

    def unsubscribe(self, mailbox: str) -> Self:
        """Unsubscribe from a mailbox."""
        _ok(self.client.unsubscribe(quoted(mailbox)))
        return self

    def set_use(self, mailbox: str, use: str | None) -> Self:
        r"""RFC 6154 §5.4: what a mailbox is for, as in `\Archive`."""
        value = "NIL" if use is None else quoted(use)
        entry = f"(/private/specialuse {value})"
        _ok(self.client._simple_command("SETMETADATA", quoted(mailbox), entry))
        return self

    @contextmanager
    def _selected(self, mailbox: str) -> Iterator[None]:
        """A server ends the connection of who has a mailbox selected that another deletes."""
        _ok(self.client.select(quoted(mailbox)))
        yield
        self.client.unselect()

    def _uids(self, numbers: Numbers) -> str:
        """UIDs in the selected mailbox; of a letter that is there twice the first."""
        uids = []
        for number in numbers:
            _, found = self.client.uid("SEARCH", "HEADER", "Message-ID", f"<{message_id(number)}>")
            uids.append(found[0].decode().split()[0])
        return ",".join(uids)


@contextmanager
def hand(server: MailServer, user: User) -> Iterator[Hand]:
    """Give a client that is logged in."""
    with server.imap(user) as client:
        yield Hand(client)


def furnish(server: MailServer) -> User:
    """A user with threads over several mailboxes, flags of all kinds, and an empty mailbox."""
    user = server.add_user()
    with hand(server, user) as writer:
        writer.create("A", "A/B", "C")
        writer.subscribe("A")
        for number, (mailbox, root, *flags) in LETTERS.items():
            writer.append(mailbox, number, root, *flags)
    return user


LETTERS: dict[int, tuple[str, int | None, *tuple[str, ...]]] = {
    1: ("INBOX", None),
    2: ("INBOX", 1, "\\Seen"),
    3: ("INBOX", None, "\\Flagged", "$Work"),
    4: ("INBOX", None),
    5: ("INBOX", None),
    6: ("INBOX", 5),
    7: ("INBOX", None, "\\Answered"),
    8: ("INBOX", None),
    11: ("A", 1),
    12: ("A", None, "\\Seen"),
    13: ("A/B", None, "\\Draft"),
    14: ("Trash", 3),
    15: ("A", None),
}


def _ok(answer: tuple[str, object]) -> None:
    assert answer[0] == "OK", answer
