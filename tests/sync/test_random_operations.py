"""RFC 8620 §1.6.2, RFC 8621 §2, §4.1.1: two other clients do as they please, and all is seen."""

from __future__ import annotations

import imaplib
import random
from collections.abc import Callable

import pytest

from tests.servers.dovecot import Dovecot, User, quoted
from tests.sync import raw
from tests.sync.conftest import LADDER, Gateways
from tests.sync.letters import letter
from tests.sync.views import email_ids, view

SEEDS = 20
OPERATIONS = 40
BETWEEN_LOOKS = 4
# Dovecot makes these anew by itself, so they are neither deleted nor renamed.
STANDING = ("INBOX", "Trash", "Sent", "Junk", "Drafts", "Archive")
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Junk", "one", "two")
# Where no GUIDs tell, equal messages of a mailbox are different Emails, and a renamed mailbox is.
SERVERS = [name for name in LADDER if name not in ("no-guids", "no-preview")]


class Writer:
    """A client that does one thing after the other; what can not be done is left out.

    No name of a mailbox is used twice: Dovecot needs a second to tell the two apart.
    """

    def __init__(self, client: imaplib.IMAP4, rng: random.Random, first: int) -> None:
        self._client = client
        self._rng = rng
        self._next = first
        self._first = first
        self._operations: dict[Callable[[], None], int] = {
            self.append: 8,
            self.flag: 8,
            self.delete_messages: 3,
            self.undelete: 2,
            self.expunge: 3,
            self.copy: 4,
            self.move: 5,
            self.create: 3,
            self.rename: 2,
            self.delete: 2,
            self.subscribe: 1,
        }

    def act(self) -> str:
        """Do something at random; returns what."""
        (operation,) = self._rng.choices(
            list(self._operations), weights=list(self._operations.values())
        )
        operation()
        if self._client.state == "SELECTED":
            # A server ends the connection of who has a mailbox selected that another deletes.
            self._client.unselect()
        return operation.__name__

    def append(self) -> None:
        root = self._rng.choice([None, None, *range(self._first, self._next)])
        message = letter(self._next, root, *self._some_flags())
        assert message.internaldate
        date = imaplib.Time2Internaldate(message.internaldate)
        flags = f"({' '.join(message.flags)})"
        self._client.append(quoted(self._mailbox()), flags, date, message.octets)
        self._next += 1

    def flag(self) -> None:
        what = self._rng.choice(["+FLAGS", "-FLAGS", "FLAGS"])
        self._on_some("STORE", what, f"({' '.join(self._some_flags())})")

    def delete_messages(self) -> None:
        self._on_some("STORE", "+FLAGS", "(\\Deleted)")

    def undelete(self) -> None:
        self._on_some("STORE", "-FLAGS", "(\\Deleted)")

    def expunge(self) -> None:
        if self._on_some("STORE", "+FLAGS", "(\\Deleted)"):
            self._client.expunge()

    def copy(self) -> None:
        self._on_some("COPY", quoted(self._mailbox()))

    def move(self) -> None:
        self._on_some("MOVE", quoted(self._mailbox()))

    def create(self) -> None:
        self._client.create(quoted(self._fresh_name()))

    def rename(self) -> None:
        if changeable := self._changeable():
            self._client.rename(quoted(self._rng.choice(changeable)), quoted(self._fresh_name()))

    def delete(self) -> None:
        if changeable := self._changeable():
            self._client.delete(quoted(self._rng.choice(changeable)))

    def subscribe(self) -> None:
        getattr(self._client, self._rng.choice(["subscribe", "unsubscribe"]))(
            quoted(self._mailbox())
        )

    def _mailbox(self) -> str:
        return self._rng.choice(["INBOX", *raw.names(self._client)])

    def _changeable(self) -> list[str]:
        return [name for name in raw.names(self._client) if name not in STANDING]

    def _fresh_name(self) -> str:
        self._next += 1
        parent = self._rng.choice(["", *(f"{name}/" for name in self._changeable())])
        return f"{parent}box{self._next}"

    def _some_flags(self) -> list[str]:
        return self._rng.sample(FLAGS, self._rng.randrange(4))

    def _on_some(self, command: str, *arguments: str) -> bool:
        """Run a UID command on some messages of a mailbox; False when there are none."""
        if self._client.select(quoted(self._mailbox()))[0] != "OK":
            return False
        found = raw.uids(self._client)
        if not found:
            return False
        chosen = self._rng.sample(found, self._rng.randrange(1, min(4, len(found)) + 1))
        self._client.uid(command, ",".join(chosen), *arguments)
        return True


@pytest.mark.checklist("A09", "D08", "L06", "N01", "N02", "N03", "N04", "N06", "M01")
@pytest.mark.parametrize(
    ("seed", "server"),
    [(seed, SERVERS[seed % len(SERVERS)]) for seed in range(SEEDS)],
    indirect=["server"],
)
async def test_whatever_two_clients_do_is_seen(
    seed: int, server: Dovecot, gateways: Gateways
) -> None:
    """And an Email never gets another id, nor does a state stand for two things."""
    user, rng = server.add_user(), random.Random(seed)
    account = await gateways.login(server, user)
    done: list[str] = []
    known: dict[str, str] = {}
    states: dict[str, dict[str, frozenset[str]]] = {}
    with server.imap(user) as first, server.imap(user) as second:
        writers = [Writer(first, rng, 1), Writer(second, rng, 1000)]
        for _ in range(OPERATIONS // BETWEEN_LOOKS):
            done += [rng.choice(writers).act() for _ in range(BETWEEN_LOOKS)]
            expected = raw.read(server, user)
            assert await view(account) == expected, done
            for name, id_ in (await email_ids(account)).items():
                assert known.setdefault(name, id_) == id_, done
            keywords = {name: mail.keywords for name, mail in expected.mails.items()}
            assert states.setdefault(account.data.email_state(), keywords) == keywords, done
    await check_fresh_gateway(server, user, gateways, known)


async def check_fresh_gateway(
    server: Dovecot, user: User, gateways: Gateways, known: dict[str, str]
) -> None:
    """One that has nothing but the server shows the same, with the same ids."""
    fresh = await gateways.login(server, user)
    assert await view(fresh) == raw.read(server, user)
    ids = await email_ids(fresh)
    assert ids.items() <= known.items()
