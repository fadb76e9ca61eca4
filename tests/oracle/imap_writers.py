"""RFC 9051 §6.3.1, §6.6.1: who writes to an account, and how they choose what to write to."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from tests.oracle.imap_model import STANDING, Held, ImapModel
from tests.oracle.imap_wire import Answer, Imap, quoted

_UIDVALIDITY = re.compile(rb"UIDVALIDITY (\d+)")
_NAMES = ("box", "Projects", "Caf&AOk-", "a b", "2024", "R&-D", "x.y")


class Writers:
    """Two connections of one account, which share what they know.

    connect: opens a connection of the account. `has_company`: others write as well just now.
    """

    def __init__(self, model: ImapModel, connect: Callable[[], Imap]) -> None:
        self.model = model
        self._connect = connect
        self._writers: list[Imap] = []
        self._writer: Imap
        self._next = 1
        self.has_company = False

    def start(self) -> None:
        """Open the connections, and learn of the mailboxes that are there."""
        self.renew()
        answer = self._writers[0].run(b'LIST "" "*"')
        for name in dict.fromkeys((*STANDING, *map(_listed_name, answer.lines(b"LIST")))):
            self.model.made(name)

    def renew(self) -> None:
        """Begin new connections."""
        self.close()
        self._writers = [self._connect() for _ in range(2)]

    def close(self) -> None:
        """Close the connections."""
        for writer in self._writers:
            writer.close()

    def _perform(self, operation: Callable[[Random], str], rng: Random) -> str:
        """Let one of the writers do it."""
        self._writer = rng.choice(self._writers)
        return f"{operation.__name__} {operation(rng)}"

    def _on(self, name: str, *commands: bytes) -> list[Answer]:
        """Run commands in a mailbox, which is not left selected.

        Who has one selected that another deletes is thrown out. Each command waits for the one
        before: what is sent at once, Dovecot does not always do in order.
        """
        (selected,) = self._writer.volley([b"SELECT " + quoted(name)])
        if not self._is_meant(name, selected):
            self._writer.volley([b"UNSELECT"])
            return [Answer(b"NO it is another one") for _ in commands]
        try:
            *answers, _ = (self._writer.volley([c])[0] for c in (*commands, b"UNSELECT"))
        except ConnectionResetError:
            if not self.has_company:
                raise
            # Others have renamed or deleted it just then, and Dovecot has ended the session.
            self.model.lose_sight(name)
            self.renew()
            self._writer = self._writers[0]
            return [Answer(b"NO it is gone") for _ in commands]
        return answers

    def _is_meant(self, name: str, selected: Answer) -> bool:
        """Whether a mailbox is the one that is meant: while others write, it may be another one."""
        found = _UIDVALIDITY.search(b" ".join(parts[0] for parts in selected.untagged))
        if not self.has_company:
            assert selected.ok, (name, selected.text)
            assert found, selected.untagged
            self.model.validities[name] = int(found[1])
        known = self.model.validities.get(name)
        return selected.ok and found is not None and known in (None, int(found[1]))

    def _boxes(self) -> dict[str, dict[int, Held]]:
        return self.model.mailboxes

    def _mailbox(self, rng: Random, *more: str) -> str:
        return rng.choice([*self.model.mailboxes, *more, *more])

    def _some(self, rng: Random) -> tuple[str, list[int]]:
        filled = self.model.filled()
        if not filled:
            return "INBOX", []
        name = rng.choice(filled)
        uids = list(self.model.mailboxes[name])
        return name, rng.sample(uids, min(len(uids), rng.choice((1, 1, 1, 2, 3, 8))))

    def _whole(self, rng: Random) -> tuple[str, list[int]]:
        filled = self.model.filled()
        name = rng.choice(filled) if filled else "INBOX"
        return name, list(self.model.mailboxes[name])

    def _name(self, rng: Random) -> str:
        used = self.model.used - {*self.model.mailboxes} - {*STANDING}
        gone = sorted(name for name in used if not self.model.is_worn(name))
        if gone and rng.random() < 0.25:
            return rng.choice(gone)
        above = rng.choice(["", "", *(f"{name}/" for name in self.model.movable())])
        return f"{above}{rng.choice(_NAMES)}{self._number()}"

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _old_letters(self, rng: Random) -> list[tuple[int, bytes, bytes]]:
        written = self.model.written
        numbers = rng.sample(list(written), min(2, len(written)))
        self.model.again.update(numbers)
        return [(number, *written[number]) for number in numbers]


def _listed_name(line: bytes) -> str:
    return line.decode().rpartition('" ')[2].strip('"')
