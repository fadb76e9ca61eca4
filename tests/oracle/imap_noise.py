"""RFC 9051 §6, RFC 6851: clients that do what clients do, weighted as imaptest does it.

Whatever is chosen is chosen by the Random that is passed in. What may be refused is no failure:
the model only believes what a server has answered OK to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from tests.oracle.imap_model import Held, ImapModel
from tests.oracle.imap_wire import Imap, quoted, uid_set, uids_of
from tests.oracle.imap_writers import Writers
from tests.oracle.letters import write

FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft")
KEYWORDS = ("$Junk", "$Forwarded", "Work", "later", "$MDNSent", "NonJunk")
_MOST_MESSAGES = 900
_BULK = (60, 250)
_COPYUID = re.compile(rb"COPYUID (\d+) ([\d:,]+) ([\d:,]+)")
_APPENDUID = re.compile(rb"APPENDUID (\d+) (\d+)")


class Noise(Writers):
    """What the writers of an account do.

    set_uidvalidity: gives a mailbox another UIDVALIDITY, None where the server can not do that.
    """

    def __init__(
        self,
        model: ImapModel,
        connect: Callable[[], Imap],
        set_uidvalidity: Callable[[str, int], None] | None,
    ) -> None:
        super().__init__(model, connect)
        self._set_uidvalidity = set_uidvalidity
        self._uidvalidity = 2_000_000_000
        weights: dict[Callable[[Random], str], int] = {
            self.append: 80,
            self.append_again: 10,
            self.append_many: 4,
            self.store: 80,
            self.store_all: 6,
            self.mark_deleted: 20,
            self.unmark_deleted: 15,
            self.expunge: 20,
            self.uid_expunge: 20,
            self.copy: 30,
            self.copy_many: 2,
            self.move: 40,
            self.move_back: 10,
            self.move_many: 3,
            self.expunge_many: 2,
            self.create: 15,
            self.rename: 12,
            self.exchange_names: 3,
            self.delete: 8,
            self.recreate: 8,
            self.subscribe: 10,
        }
        if set_uidvalidity is not None:
            weights[self.renumber] = 4
        self._operations, self._weights = list(weights), list(weights.values())

    def act(self, rng: Random) -> str:
        """Do something; returns what."""
        (operation,) = rng.choices(self._operations, self._weights)
        return self._perform(operation, rng)

    def perform(self, name: str, rng: Random) -> str:
        """Do an operation; returns what."""
        return self._perform(getattr(self, name), rng)

    # --- Messages ------------------------------------------------------------------------------

    def append(self, rng: Random) -> str:
        """APPEND a message or a few."""
        return self._append(rng, rng.choice((1, 1, 1, 2, 3)))

    def append_many(self, rng: Random) -> str:
        """APPEND as many as a migration does."""
        return self._append(rng, rng.randint(*_BULK))

    def append_again(self, rng: Random) -> str:
        """APPEND octets that are there, or were."""
        if not self.model.written:
            return "nothing"
        number = rng.choice(list(self.model.written))
        self.model.again.add(number)
        return self._append_these(rng, self._mailbox(rng), [(number, *self.model.written[number])])

    def _append(self, rng: Random, count: int) -> str:
        if self.model.size + count > _MOST_MESSAGES:
            return self._thin_out(rng)
        letters = []
        for _ in range(count):
            roots = self.model.roots
            root = rng.choice(roots[-30:]) if roots and rng.random() < 0.5 else None
            letter = write(self._next, root, rng)
            if root is None:
                roots.append(letter.number)
            self.model.written[letter.number] = (letter.octets, letter.internaldate)
            letters.append((letter.number, letter.octets, letter.internaldate))
            self._next += 1
        return self._append_these(rng, self._mailbox(rng, "INBOX"), letters)

    def _append_these(
        self, rng: Random, name: str, letters: Sequence[tuple[int, bytes, bytes]]
    ) -> str:
        commands, deleted = [], []
        for _, octets, date in letters:
            flags = _some_flags(rng)
            deleted.append(rng.random() < 0.03)
            told = b" ".join([*flags, *([b"\\Deleted"] if deleted[-1] else [])])
            head = b"APPEND %s (%s) %s {%d+}" % (quoted(name), told, date, len(octets))
            commands.append(head + b"\r\n" + octets)
        for letter, is_deleted, answer in zip(
            letters, deleted, self._writer.volley(commands), strict=True
        ):
            if answer.ok and (uid := _APPENDUID.search(answer.text)):
                self.model.added(name, int(uid[2]), Held(letter[0], is_deleted))
                self.model.validities.setdefault(name, int(uid[1]))
        return f"{_short([number for number, _, _ in letters])} in {name}"

    def _thin_out(self, rng: Random) -> str:
        name = max(self.model.mailboxes, key=lambda n: len(self.model.mailboxes[n]))
        held = list(self.model.mailboxes[name])
        return self._expunge_uids(name, rng.sample(held, len(held) * 2 // 3))

    def store(self, rng: Random) -> str:
        """STORE flags and keywords on some messages."""
        name, uids = self._some(rng)
        return self._store(rng, name, uids) if uids else "nothing"

    def store_all(self, rng: Random) -> str:
        """STORE on 1:*, as "mark all as read" does."""
        name = self._mailbox(rng)
        return self._store(rng, name, list(self.model.mailboxes[name]), b"1:*")

    def _store(self, rng: Random, name: str, uids: list[int], told: bytes = b"") -> str:
        how = rng.choice((b"+FLAGS", b"-FLAGS", b"+FLAGS.SILENT", b"FLAGS"))
        self.model.touch(name, uids)
        if told:
            self.model.sweep(name)
        flags = b" ".join(_some_flags(rng) or [b"\\Seen"])
        *_, answer = self._on(name, b"UID STORE %s %s (%s)" % (told or uid_set(uids), how, flags))
        if how == b"FLAGS" and answer.ok:
            for uid in uids:
                self.model.mailboxes[name][uid].deleted = False
        return f"{how.decode()} {flags.decode()} on {_short(uids)} in {name}"

    def mark_deleted(self, rng: Random) -> str:
        """\\Deleted, which JMAP takes for gone."""
        return self._mark(rng, True)

    def unmark_deleted(self, rng: Random) -> str:
        """\\Deleted is taken back."""
        return self._mark(rng, False)

    def _mark(self, rng: Random, deleted: bool) -> str:
        name, uids = self._some(rng)
        if not deleted:
            marked = {n: [u for u, m in b.items() if m.deleted] for n, b in self._boxes().items()}
            names = [n for n, found in marked.items() if found]
            name = rng.choice(names) if names else name
            uids = marked.get(name, [])
        if not uids:
            return "nothing"
        self.model.touch(name, uids, is_removed=True)
        command = b"UID STORE %s %sFLAGS (\\Deleted)"
        *_, answer = self._on(name, command % (uid_set(uids), b"+" if deleted else b"-"))
        if answer.ok:
            for uid in uids:
                self.model.mailboxes[name][uid].deleted = deleted
        return f"{_short(uids)} in {name}"

    def expunge(self, rng: Random) -> str:
        """EXPUNGE takes everything that has \\Deleted."""
        name, uids = self._some(rng)
        if not uids:
            return "nothing"
        return self._expunge(name, uids, b"EXPUNGE")

    def uid_expunge(self, rng: Random) -> str:
        """UID EXPUNGE takes only what is named."""
        name, uids = self._some(rng)
        return self._expunge_uids(name, uids) if uids else "nothing"

    def expunge_many(self, rng: Random) -> str:
        """Most of a mailbox goes."""
        filled = self.model.filled()
        if not filled:
            return "nothing"
        name = rng.choice(filled)
        held = list(self.model.mailboxes[name])
        return self._expunge_uids(name, rng.sample(held, max(1, len(held) * 3 // 4)))

    def _expunge_uids(self, name: str, uids: list[int]) -> str:
        return self._expunge(name, uids, b"UID EXPUNGE " + uid_set(uids))

    def _expunge(self, name: str, uids: list[int], command: bytes) -> str:
        """What is left says the server: another session may have had its part in it."""
        mark = b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % uid_set(uids)
        self.model.touch(name, uids, is_removed=True)
        marked, _, left = self._on(name, mark, command, b"UID SEARCH ALL")
        held = self.model.mailboxes[name]
        if marked.ok:
            for uid in uids:
                held[uid].deleted = True
        found = {int(uid) for line in left.lines(b"SEARCH") for uid in line.split()}
        gone = [uid for uid in held if uid not in found]
        if left.ok:
            self.model.touch(name, gone, is_removed=True)
            self.model.removed(name, gone)
        return f"{_short(gone)} in {name}"

    def copy(self, rng: Random) -> str:
        """COPY, now and then to where it is."""
        return self._transfer(rng, b"COPY", *self._some(rng))

    def move(self, rng: Random) -> str:
        """MOVE."""
        return self._transfer(rng, b"MOVE", *self._some(rng))

    def copy_many(self, rng: Random) -> str:
        """COPY a whole mailbox."""
        if self.model.size > _MOST_MESSAGES // 2:
            return "nothing"
        return self._transfer(rng, b"COPY", *self._whole(rng))

    def move_many(self, rng: Random) -> str:
        """MOVE a whole mailbox."""
        return self._transfer(rng, b"MOVE", *self._whole(rng))

    def move_back(self, rng: Random) -> str:
        """MOVE, and MOVE back at once."""
        name, uids = self._some(rng)
        target = self._mailbox(rng)
        before = {*self.model.mailboxes[target]}
        there = self._transfer(rng, b"MOVE", name, uids, target)
        moved = [uid for uid in self.model.mailboxes[target] if uid not in before]
        return f"{there} and {self._transfer(rng, b'MOVE', target, moved, name)}"

    def _transfer(
        self, rng: Random, verb: bytes, name: str, uids: list[int], target: str | None = None
    ) -> str:
        target = self._mailbox(rng) if target is None else target
        if not uids or (verb == b"MOVE" and target == name):
            return "nothing"
        self.model.touch(name, uids)
        command = b"UID %s %s %s" % (verb, uid_set(uids), quoted(target))
        *_, answer = self._on(name, command)
        told = [answer.text, *(parts[0] for parts in answer.untagged)]
        found = next((match for text in told if (match := _COPYUID.search(text))), None)
        if answer.ok and found:
            old, new = uids_of(found[2]), uids_of(found[3])
            self.model.validities.setdefault(target, int(found[1]))
            self.model.copied(name, target, old, new)
            if verb == b"MOVE":
                self.model.removed(name, old)
        return f"{_short(uids)} from {name} to {target}"

    # --- Mailboxes -----------------------------------------------------------------------------

    def create(self, rng: Random) -> str:
        """CREATE, at the root or below another, with a new name or one that was used before."""
        name = self._name(rng)
        if self._writer.volley([b"CREATE " + quoted(name)])[0].ok:
            self.model.made(name)
        return name

    def rename(self, rng: Random) -> str:
        """RENAME, with all that is below."""
        movable = self.model.movable()
        return self._rename(rng.choice(movable), self._name(rng)) if movable else "nothing"

    def exchange_names(self, rng: Random) -> str:
        """Two mailboxes are called like each other."""
        roots = [name for name in self.model.movable() if "/" not in name]
        if len(roots) < 2:
            return "nothing"
        one, other = rng.sample(roots, 2)
        between = f"between{self._number()}"
        return " ".join(
            self._rename(*names) for names in ((one, between), (other, one), (between, other))
        )

    def _rename(self, old: str, new: str) -> str:
        if new.startswith(old + "/") or old not in self.model.mailboxes:
            return "nothing"
        if any(self.model.is_worn(new + name[len(old) :]) for name in self.model.below(old)):
            return "nothing"
        answer = self._writer.volley([b"RENAME %s %s" % (quoted(old), quoted(new))])[0]
        if answer.ok:
            self.model.renamed(old, new)
        return f"{old} to {new}{'' if answer.ok else ' refused'}"

    def delete(self, rng: Random) -> str:
        """DELETE."""
        movable = self.model.movable()
        if not movable:
            return "nothing"
        name = rng.choice(movable)
        if self._writer.volley([b"DELETE " + quoted(name)])[0].ok:
            self.model.deleted(name)
        return name

    def recreate(self, rng: Random) -> str:
        """DELETE, and CREATE by the same name."""
        movable = [name for name in self.model.movable() if not self.model.is_worn(name)]
        if not movable:
            return "nothing"
        name = rng.choice(movable)
        if not self._writer.volley([b"DELETE " + quoted(name)])[0].ok:
            return f"{name} refused"  # others have just renamed it, with all that is in it
        self.model.deleted(name)
        if not self._writer.volley([b"CREATE " + quoted(name)])[0].ok:
            return f"{name} refused"
        self.model.made(name)
        self._append_these(rng, name, self._old_letters(rng))
        return name

    def subscribe(self, rng: Random) -> str:
        """SUBSCRIBE or UNSUBSCRIBE."""
        name, verb = self._mailbox(rng), rng.choice((b"SUBSCRIBE", b"UNSUBSCRIBE"))
        self._writer.volley([verb + b" " + quoted(name)])
        return f"{verb.decode()} {name}"

    def renumber(self, rng: Random) -> str:
        """A mailbox has another UIDVALIDITY."""
        assert self._set_uidvalidity is not None
        name = self._mailbox(rng)
        if self.model.is_worn(name) or self.has_company:
            return "nothing"
        self.model.meanings[name] += 1
        self._uidvalidity += 1
        self.model.validities[name] = self._uidvalidity
        self.model.sweep(name)
        self._set_uidvalidity(name, self._uidvalidity)
        return name


def _some_flags(rng: Random) -> list[bytes]:
    return [flag.encode() for flag in rng.sample(FLAGS + KEYWORDS, rng.choice((0, 1, 1, 2, 3)))]


def _short(uids: list[int]) -> str:
    return uid_set(uids[:6]).decode() + ("..." if len(uids) > 6 else "")
