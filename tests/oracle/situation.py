"""I8: what is where, by paths and numbers, whoever says so."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from tests.oracle.imap_model import Held, ImapModel
from tests.oracle.raw_reader import Raw, path_of

# The path of a mailbox, and whether the copy in there has \Deleted.
Place: TypeAlias = tuple[str, bool]


@dataclass(slots=True)
class Situation:
    """Mailboxes by path, and how often each message is where."""

    boxes: set[str]
    mail: defaultdict[int, Counter[Place]]

    def live(self, number: int) -> Counter[str]:
        """How often a message is in each mailbox, as JMAP sees it."""
        there = Counter[str]()
        for (path, is_deleted), count in self.mail[number].items():
            if not is_deleted and count:
                there[path] = count
        return there

    def total(self, number: int) -> int:
        """How many copies there are."""
        return self.mail[number].total()

    def place(self, number: int, paths: Iterable[str]) -> None:
        """The live copies of a message are in these mailboxes now."""
        kept = {place: c for place, c in self.mail[number].items() if place[1]}
        self.mail[number] = Counter({**kept, **{(path, False): 1 for path in paths}})

    def move(self, old: str, new: str) -> None:
        """A mailbox and all below it have other paths."""
        self.boxes = {moved(path, old, new) for path in self.boxes}
        for number, places in self.mail.items():
            self.mail[number] = Counter(
                {(moved(p, old, new), d): c for (p, d), c in places.items()}
            )

    def remove(self, path: str) -> None:
        """A mailbox is gone with all that was in it."""
        self.boxes.discard(path)
        for number, places in self.mail.items():
            self.mail[number] = Counter({p: c for p, c in places.items() if p[0] != path})

    def inside(self, path: str) -> list[int]:
        """Which messages have copies in a mailbox."""
        return [n for n, places in self.mail.items() if any(p == path for p, _ in places)]


def moved(path: str, old: str, new: str) -> str:
    """The path of a mailbox once one is renamed, with all below it."""
    return new + path[len(old) :] if path == old or path.startswith(old + "/") else path


def _situation(boxes: Iterable[str], held: Iterable[tuple[str, int, bool]]) -> Situation:
    mail: defaultdict[int, Counter[Place]] = defaultdict(Counter)
    for name, number, is_deleted in held:
        mail[number][path_of(name), is_deleted] += 1
    return Situation({path_of(name) for name in boxes}, mail)


def of_model(model: ImapModel) -> Situation:
    """What the writers over IMAP believe."""
    boxes = model.mailboxes.items()
    held = ((name, h.number, h.deleted) for name, box in boxes for h in box.values())
    return _situation(model.mailboxes, held)


def of_raw(raw: Raw) -> Situation:
    """What is on the server."""
    return _situation(raw.validities, ((c.name, c.number, c.deleted) for c in raw.copies))


def adopt(model: ImapModel, raw: Raw) -> None:
    """Let the writers over IMAP know what is on the server."""
    boxes: dict[str, dict[int, Held]] = {name: {} for name in raw.validities}
    for copy in raw.copies:
        boxes[copy.name][copy.uid] = Held(copy.number, copy.deleted)
    model.adopt(boxes, raw.validities)
