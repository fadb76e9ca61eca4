"""I8: what has to be where after writes over JMAP, going by what their answers say.

What only one request was about, and nobody over IMAP lately, is known exactly. Of a message that
others touched as well it is known that it is there, and about how often: two moves at once may
leave two copies, and never none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from tests.oracle.imap_model import ImapModel, Touched
from tests.oracle.raw_reader import Raw, path_of
from tests.oracle.situation import Place, Situation, moved, of_model, of_raw

# A gateway learns within this time of what is done over IMAP.
LATELY_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Races:
    """What was done over IMAP lately: messages, those marked or removed, mailboxes by path.

    unsure: messages with which something was done that was not told.
    """

    numbers: frozenset[int]
    removed: frozenset[int]
    unsure: frozenset[int]
    boxes: frozenset[str]
    is_named: bool


def races(touched: Touched, since: float, known: float) -> Races:
    """What was touched since a moment (time.monotonic), and since mailboxes were known by path."""
    return Races(
        frozenset(n for n, at in touched.numbers.items() if at >= since),
        frozenset(n for n, at in touched.removed.items() if at >= since),
        frozenset(n for n, at in touched.unsure.items() if at >= since),
        frozenset(path_of(name) for name, at in touched.boxes.items() if at >= known),
        touched.named >= known,
    )


@dataclass(frozen=True, slots=True)
class Keywords:
    """What the keywords of an Email have to be: all of them, or some that are there or not."""

    whole: frozenset[str] | None = None
    has: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()

    def __str__(self) -> str:
        if self.whole is not None:
            return f"{{{', '.join(sorted(self.whole))}}}"
        patch = [f"+{k}" for k in sorted(self.has)] + [f"-{k}" for k in sorted(self.lacks)]
        return " ".join(patch) or "unchanged"

    def hold(self, found: Collection[str]) -> bool:
        """Whether it is so."""
        if self.whole is not None:
            return self.whole == {*found}
        return self.has <= {*found} and self.lacks.isdisjoint(found)


@dataclass(slots=True)
class _Loose:
    """How a message may be off what is expected: so many copies less or more, or even gone."""

    fewer: int = 0
    more: int = 0
    may_go: bool = False


@dataclass(slots=True)
class Expected:
    """Built up by the outcomes of all that is in some requests; `request` is whose turn it is.

    `contested` are messages that several of them are about, `paths` those of Mailboxes by id, `now`
    is what is where if all is as told, `within` where the copies of a message may be, one in each,
    of which the outcome is not known. are_uploads_lost: the store may have lost what was uploaded.
    are_ids_lost: and which ids renamed Mailboxes have, where the server has none for them.
    """

    now: Situation
    paths: dict[str, str]
    races: Races
    again: set[int]
    request: int = 0
    is_structure_loose: bool = False
    are_uploads_lost: bool = False
    are_ids_lost: bool = False
    keywords: dict[int, Keywords] = field(default_factory=dict)
    within: dict[int, frozenset[str]] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    subscribed: dict[str, bool] = field(default_factory=dict)
    loose: dict[int, _Loose] = field(default_factory=dict)
    contested: set[int] = field(default_factory=set)
    _by: dict[int, int] = field(default_factory=dict)
    _builder: int | None = None

    # --- Messages --------------------------------------------------------------------------------

    def is_exact(self, number: int, mailbox_ids: Iterable[str | None] = ()) -> bool:
        """Whether only what is told has happened to a message, and to some mailboxes."""
        live = self.now.live(number)
        paths = {*live, *(self.paths.get(id_ or "", "") for id_ in mailbox_ids)}
        return (
            self._is_mine(number)
            and number not in self.races.numbers | self.again | self.loose.keys()
            and number not in self.within
            and all(count == 1 for count in live.values())
            and paths <= self.now.boxes - self.races.boxes
            and not self.is_structure_loose
        )

    def _is_mine(self, number: int) -> bool:
        """Whether only the request whose turn it is has to do with a message."""
        is_mine = self._by.setdefault(number, self.request) == self.request
        if not is_mine:
            self.contested.add(number)
        return is_mine

    def is_sure(self, number: int) -> bool:
        """Whether it is known where a message is, once all is told."""
        return number not in self.loose and number not in self.within

    def put(self, number: int, after: Collection[str], *, is_exact: bool) -> None:
        """The copies of a message are in these mailboxes, and in no others."""
        if not is_exact:
            total = self.now.total(number)
            self.loosen(number, fewer=total, more=total + len(after))
            self.loose[number].may_go |= not after or self._may_vanish(after)
        self.now.place(number, after)

    def perhaps(
        self, number: int, after: Collection[str], *, is_exact: bool, may_go: bool = False
    ) -> None:
        """The copies may be in some mailboxes now, or be where they were, or be in between."""
        before = self.now.live(number)
        self.keywords.pop(number, None)
        if is_exact:
            self.within[number] = frozenset({*before, *after})
        else:
            total = self.now.total(number)
            self.loosen(number, fewer=total, more=total + len(after))
            may_go |= self._may_vanish(after)
        if may_go or not before:
            self.loose.setdefault(number, _Loose()).may_go = True

    def _may_vanish(self, after: Collection[str]) -> bool:
        """Whether others may have deleted one of these mailboxes once a message was moved there."""
        return not {*after} <= self.now.boxes - self.races.boxes

    def loosen(self, number: int, *, fewer: int, more: int) -> None:
        """Others have to do with the message as well, or it may be what an earlier one left."""
        loose = self.loose.setdefault(number, _Loose())
        loose.fewer += fewer
        loose.more += more + len(self.within.pop(number, ()))
        self.keywords.pop(number, None)

    # --- Mailboxes -------------------------------------------------------------------------------

    def restructure(self) -> None:
        """Mailboxes get other names; where others do that as well, no path is sure."""
        mine = self._builder in (None, self.request)
        self._builder = self.request
        if not mine or self.races.is_named:
            self.is_structure_loose = True

    def renamed(self, old: str, new: str) -> None:
        """A mailbox and all below it have other paths."""
        can_hold = old in self.now.boxes  # and is not only above others that can
        # What others put there meanwhile may have been put where another one has that name now.
        for number in self.races.numbers:
            if any(moved(path, old, new) != path for path in self.now.live(number)):
                self.loosen(number, fewer=0, more=0)
        self.now.move(old, new)
        self.paths = {id_: moved(path, old, new) for id_, path in self.paths.items()}
        self.made = {moved(path, old, new) for path in self.made - {old}}
        self.subscribed = {moved(path, old, new): is_ for path, is_ in self.subscribed.items()}
        self.gone.add(old)
        self.gone.discard(new)
        if can_hold:
            self.made.add(new)

    def removed(self, path: str, *, with_emails: bool) -> list[int]:
        """A mailbox is gone; which messages that could not be there any more had been in it."""
        lost = []
        for number in self.now.inside(path):
            before = self.now.live(number)
            is_raced = number in self.races.numbers or not self._is_mine(number)
            if before[path] and not with_emails and not is_raced and not self.is_structure_loose:
                lost.append(number)
            if is_raced or number in self.loose:
                total = self.now.total(number)
                self.loosen(number, fewer=total, more=total)
                self.loose[number].may_go |= with_emails
            self.within.pop(number, None)
        self.now.remove(path)
        self.made.discard(path)
        self.gone.add(path)
        return lost

    def give_up(self, *, may_go: bool) -> None:
        """It is not known which mailbox it was that something has happened to."""
        self.is_structure_loose = True
        if may_go:
            self._let_go([*self.now.mail])

    def some_may_go(self, path: str | None) -> None:
        """Some of the messages in a mailbox are destroyed, and it is not known which.

        They may have been there when they were looked for, and be elsewhere by now.
        """
        if path is not None and path in self.now.boxes - self.races.boxes:
            self._let_go({*self.now.inside(path), *self.races.numbers})
        else:
            self._let_go([*self.now.mail])

    def _let_go(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._is_mine(number)
            total = self.now.total(number)
            self.loosen(number, fewer=total, more=0)
            self.loose[number].may_go = True

    # --- What is ---------------------------------------------------------------------------------

    def differences(self, raw: Raw) -> list[str]:
        """What is not as it has to be, in words."""
        found = of_raw(raw)
        wrong = [
            f"message {number}: is {_told(found.mail[number])},"
            f" has to be {_told(self.now.mail[number])} {self._freedom(number)}"
            for number in sorted({*found.mail, *self.now.mail})
            if not self._is_right(number, found)
        ]
        if not self.is_structure_loose:
            wrong += [f"Mailbox {path} is not there" for path in self.made - found.boxes]
            wrong += [f"Mailbox {path} is there" for path in self.gone & found.boxes - self.made]
            wrong += self._wrong_subscriptions(raw)
        return wrong + self._wrong_keywords(raw)

    def _is_right(self, number: int, found: Situation) -> bool:
        is_, expected = found.mail[number], self.now.mail[number]
        if +is_ == +expected:
            return True
        loose = self.loose.get(number)
        if number in self.within:
            live = found.live(number)
            is_there = bool(live) or (loose is not None and loose.may_go)
            return is_there and self._are_single(live) and self._are_within(number, live)
        if loose is not None:
            return self._is_within(number, loose, is_.total())
        return self.is_structure_loose and self._is_kept(number, is_, expected)

    def _is_kept(self, number: int, is_: Counter[Place], expected: Counter[Place]) -> bool:
        """Whether no copies are lost, but in mailboxes deleted by a name that was another one's."""
        raced = sum(count for (path, _), count in expected.items() if path in self.races.boxes)
        is_spared = number in self.races.removed  # in the mailbox that was meant
        return expected.total() - raced <= is_.total() and (
            is_spared or is_.total() <= expected.total()
        )

    def _is_within(self, number: int, loose: _Loose, total: int) -> bool:
        """Whether there are about as many copies as has to be."""
        expected = self.now.total(number)
        most = expected + loose.more
        if number in self.races.removed:
            return total <= most
        # Copies may be in a mailbox that is deleted just then, or gives its name to another one.
        safe = sum(path not in self.races.boxes for path in self.now.live(number))
        may_go = loose.may_go or not safe or not most
        return max(min(expected - loose.fewer, safe), 0 if may_go else 1) <= total <= most

    def _are_within(self, number: int, live: Counter[str]) -> bool:
        if self.is_structure_loose:
            return len(live) <= len(self.within[number])
        return {*live} <= self.within[number]

    def _are_single(self, live: Counter[str]) -> bool:
        return all(count == 1 for count in live.values())

    def _freedom(self, number: int) -> str:
        loose = self.loose.get(number)
        free = f"or in {sorted(self.within[number])}" if number in self.within else ""
        return f"{free} {loose or ''}".strip()

    def _wrong_subscriptions(self, raw: Raw) -> list[str]:
        shown = {path_of(entry.name): entry.is_subscribed for entry in raw.listed}
        return [
            f"Mailbox {path}: isSubscribed is {shown[path]}"
            for path, wanted in self.subscribed.items()
            if path in shown and path not in self.races.boxes and shown[path] != wanted
        ]

    def _wrong_keywords(self, raw: Raw) -> list[str]:
        wrong = []
        for mail, _ in raw.mails():
            wanted = self.keywords.get(mail.number)
            if wanted is not None and not wanted.hold(mail.keywords):
                wrong.append(f"message {mail.number}: {sorted(mail.keywords)}, not {wanted}")
        return wrong


def expect(
    model: ImapModel,
    paths: dict[str, str],
    since: float,
    known: float,
    contested: frozenset[int],
) -> Expected:
    """What is where as far as is known over IMAP.

    What was done there since a moment is a race, as is what is contested; `paths` of Mailboxes are
    of an earlier moment.
    """
    raced = races(model.touched, since - LATELY_SECONDS, min(since, known) - LATELY_SECONDS)
    raced = replace(raced, numbers=raced.numbers | contested)
    expected = Expected(of_model(model), dict(paths), raced, {*model.again})
    for number in raced.unsure:
        expected.loosen(number, fewer=1, more=1)
    return expected


def _told(places: Counter[tuple[str, bool]]) -> str:
    shown = [
        f"{path}{' (deleted)' if is_deleted else ''}{f' x{count}' if count > 1 else ''}"
        for (path, is_deleted), count in sorted(places.items())
        if count
    ]
    return ", ".join(shown) or "nowhere"
