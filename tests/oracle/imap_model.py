"""I8: what the writers know to be in the mailboxes, from the answers to their own commands."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

# A server makes these by itself, so they are neither deleted nor renamed.
STANDING = ("INBOX", "Trash", "Sent", "Junk", "Drafts", "Archive")
# A gateway leaves a name alone that means another mailbox, by its UIDVALIDITY, time and again.
_MOST_MEANINGS = 4


@dataclass(slots=True)
class Held:
    """A message in a mailbox: its number, and whether it has \\Deleted."""

    number: int
    deleted: bool


@dataclass(slots=True)
class Touched:
    """When (time.monotonic) something was last done over IMAP: to messages, and to mailboxes.

    `removed` has the messages of which a copy was marked or removed, `unsure` those with which
    something was done that was not told, `named` when a mailbox was last made, renamed or deleted.
    """

    numbers: dict[int, float] = field(default_factory=dict)
    removed: dict[int, float] = field(default_factory=dict)
    unsure: dict[int, float] = field(default_factory=dict)
    boxes: dict[str, float] = field(default_factory=dict)
    named: float = float("-inf")


@dataclass(slots=True)
class ImapModel:
    """Mailboxes by name as on the wire, with what is in them by UID.

    `used` has the names of mailboxes that are no more, `meanings` how many mailboxes have been
    called by a name, `written` all octets that were ever appended by their number, `again` those
    that were appended more than once, `roots` those that began a thread, `validities` the
    UIDVALIDITY of a mailbox, once it is known, `touched` what was done over IMAP.
    """

    mailboxes: dict[str, dict[int, Held]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    meanings: Counter[str] = field(default_factory=Counter)
    written: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    roots: list[int] = field(default_factory=list)
    again: set[int] = field(default_factory=set)
    validities: dict[str, int] = field(default_factory=dict)
    touched: Touched = field(default_factory=Touched)

    def movable(self) -> list[str]:
        """Names of mailboxes that may be renamed and deleted."""
        return [name for name in self.mailboxes if name not in STANDING]

    def filled(self) -> list[str]:
        """Names of mailboxes with something in them."""
        return [name for name, held in self.mailboxes.items() if held]

    def below(self, name: str) -> list[str]:
        """Names of a mailbox and of all below it."""
        return [n for n in self.mailboxes if n == name or n.startswith(name + "/")]

    def is_worn(self, name: str) -> bool:
        """Whether a name has meant too many mailboxes to mean yet another one."""
        return self.meanings[name] >= _MOST_MEANINGS

    def made(self, name: str) -> None:
        """There is a mailbox of that name, with nothing in it."""
        self._restructured(name)
        self.mailboxes[name] = {}
        self.meanings[name] += 1

    @property
    def size(self) -> int:
        """How many messages there are, each copy counted."""
        return sum(map(len, self.mailboxes.values()))

    def added(self, name: str, uid: int, held: Held) -> None:
        """RFC 4315: what APPENDUID says."""
        self.mailboxes[name][uid] = held
        self.touched.numbers[held.number] = time.monotonic()

    def copied(self, source: str, target: str, uids: list[int], new: list[int]) -> None:
        """RFC 4315: what COPYUID says."""
        held = self.mailboxes[source]
        for old_uid, new_uid in zip(uids, new, strict=True):
            copy = Held(held[old_uid].number, held[old_uid].deleted)
            self.mailboxes[target][new_uid] = copy

    def removed(self, name: str, uids: list[int]) -> None:
        """Messages are no longer in a mailbox."""
        for uid in uids:
            del self.mailboxes[name][uid]

    def renamed(self, old: str, new: str) -> None:
        """A mailbox and all below it have other names."""
        for name in self.below(old):
            now = new + name[len(old) :]
            self._restructured(name, now)
            self.mailboxes[now] = self.mailboxes.pop(name)
            if name in self.validities:
                self.validities[now] = self.validities.pop(name)
            self.meanings[now] += 1
            self.used.add(name)

    def deleted(self, name: str) -> None:
        """A mailbox is gone with what was in it."""
        self._restructured(name)
        self.touch(name, self.mailboxes[name], is_removed=True)
        del self.mailboxes[name]
        self.validities.pop(name, None)
        self.used.add(name)

    def contents(self) -> Counter[tuple[str, int]]:
        """How often each message is in each mailbox."""
        return Counter(
            (name, held.number) for name, box in self.mailboxes.items() for held in box.values()
        )

    # --- What others have to know ----------------------------------------------------------------

    def touch(self, name: str, uids: Iterable[int], *, is_removed: bool = False) -> None:
        """Something is done to messages of a mailbox."""
        now = time.monotonic()
        for uid in uids:
            number = self.mailboxes[name][uid].number
            self.touched.numbers[number] = now
            if is_removed:
                self.touched.removed[number] = now

    def lose_sight(self, name: str) -> None:
        """Something may have been done to all there is in a mailbox, or not."""
        self.touch(name, self.mailboxes[name], is_removed=True)
        self.sweep(name)
        numbers = (held.number for held in self.mailboxes[name].values())
        self.touched.unsure |= dict.fromkeys(numbers, time.monotonic())

    def sweep(self, name: str) -> None:
        """Something is done to all there is in a mailbox, whatever that is."""
        self.touched.boxes[name] = time.monotonic()

    def rest(self) -> None:
        """What was done is known to all."""
        self.touched = Touched()

    def adopt(self, mailboxes: dict[str, dict[int, Held]], validities: dict[str, int]) -> None:
        """What is on the server now, whoever did it."""
        for name, validity in validities.items():
            is_known = name in self.mailboxes
            if not is_known or self.validities.get(name, validity) != validity:
                self.meanings[name] += 1
        called = {validity: name for name, validity in self.validities.items()}
        for name, validity in validities.items():
            before = called.get(validity)
            if before in self.touched.boxes and name not in self.touched.boxes:
                self.touched.boxes[name] = self.touched.boxes[before]
        self.used |= self.mailboxes.keys() - mailboxes.keys()
        self.mailboxes, self.validities = mailboxes, validities

    def _restructured(self, *names: str) -> None:
        self.touched.named = time.monotonic()
        for name in names:
            self.sweep(name)
