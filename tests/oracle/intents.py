"""RFC 8620 §5.3: what each object of a request asks for, and what follows from its outcome."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.oracle.expected import Expected, Keywords


class Told(Enum):
    """What an answer says of one object; UNKNOWN when there was none, or it says just that."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was told of an object, with the id it has, and the type of the error if refused.

    is_due: it had to be refused.
    """

    told: Told
    id: str | None = None
    error: str = ""
    is_due: bool = False


@dataclass(slots=True)
class Intent(ABC):
    """One object of a method call: the position of the call, and what the object is called in it.

    `is_exact` is set when the outcome is known: only this has happened to the object.
    """

    call: int
    key: str
    is_exact: bool = field(default=False, init=False)

    def __str__(self) -> str:
        number = getattr(self, "number", None)
        about = "" if number is None else f" (message {number})"
        return f"{self.call}: {self.verb} {self.kind} {self.key}{about}{self._what()}"

    def _what(self) -> str:
        """What is asked for."""
        return ""

    @property
    @abstractmethod
    def verb(self) -> str:
        """create, update or destroy."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """The type."""

    @abstractmethod
    def expect(self, expected: Expected, outcome: Outcome) -> list[str]:
        """Put what follows into `expected`; what can not have been told, in words."""


def _is_unknown(expected: Expected, outcome: Outcome) -> bool:
    """Whether a Mailbox may be refused since the store has lost which id it has."""
    return expected.are_ids_lost and outcome.error == "invalidProperties"


def told_paths(expected: Expected, mailbox_ids: Mapping[str, Any]) -> set[str]:
    """The paths of Mailboxes; of those that are not known, the id."""
    return {expected.paths.get(id_, id_) for id_ in mailbox_ids}


# --- Email ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class NewEmail(Intent):
    """Email/set create, or Email/import (then with its octets)."""

    number: int
    mailbox_ids: dict[str, bool]
    keywords: frozenset[str]
    octets: bytes | None = None

    def _what(self) -> str:
        return f" in {[*self.mailbox_ids]} {sorted(self.keywords)}{' imported' * bool(self.octets)}"

    @property
    def verb(self) -> str:
        return "create"

    @property
    def kind(self) -> str:
        return "Email"

    def expect(self, expected: Expected, outcome: Outcome) -> list[str]:
        self.is_exact = expected.is_exact(self.number, self.mailbox_ids)
        after = told_paths(expected, self.mailbox_ids)
        if outcome.told is Told.UNKNOWN:
            expected.perhaps(self.number, after, is_exact=self.is_exact)
        elif outcome.told is Told.DONE:
            expected.put(self.number, after, is_exact=self.is_exact)
            if self.is_exact:
                expected.keywords[self.number] = Keywords(self.keywords)
        elif self.is_exact and not outcome.is_due:
            is_lost = self.octets is not None and expected.are_uploads_lost
            is_lost |= _is_unknown(expected, outcome)
            return [] if is_lost else [f"{self} was refused: {outcome.error}"]
        return []


@dataclass(slots=True)
class ChangedEmail(Intent):
    """Email/set update: a value that replaces another one, and what a patch adds and removes."""

    number: int
    keywords: Keywords | None = None
    mailbox_ids: dict[str, bool] | None = None
    added: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def _what(self) -> str:
        whole = "" if self.mailbox_ids is None else f" to {[*self.mailbox_ids]}"
        left = "".join(f" -{id_}" for id_ in self.left)
        added = "".join(f" +{id_}" for id_ in self.added)
        return f"{whole}{left}{added} {self.keywords or ''}".rstrip()

    @property
    def verb(self) -> str:
        return "update"

    @property
    def kind(self) -> str:
        return "Email"

    def expect(self, expected: Expected, outcome: Outcome) -> list[str]:
        named = (*(self.mailbox_ids or ()), *self.added, *self.left)
        self.is_exact = expected.is_exact(self.number, named)
        before = expected.now.live(self.number)
        after = self._after(expected, {*before})
        if outcome.told is Told.REFUSED and self.is_exact:
            possible = before and after and not outcome.is_due
            possible = possible and not _is_unknown(expected, outcome)
            where = f"in {[*before]}, to be in {[*after]},"
            return [f"{self} {where} was refused: {outcome.error}"] if possible else []
        if outcome.told is not Told.DONE:  # what others have marked meanwhile may have been moved
            expected.perhaps(self.number, after, is_exact=self.is_exact)
            return []
        if self.is_exact and not before:
            return [f"{self} was done to what is not there"]
        if not before:  # what was done to it may have come before what others did
            expected.loosen(self.number, fewer=1, more=max(1, len(after)))
            return []
        expected.put(self.number, after, is_exact=self.is_exact)
        if self.keywords is not None and self.is_exact:
            expected.keywords[self.number] = self.keywords
        return []

    def _after(self, expected: Expected, before: set[str]) -> set[str]:
        if self.mailbox_ids is not None:
            return told_paths(expected, self.mailbox_ids)
        left = told_paths(expected, dict.fromkeys(self.left))
        return (before - left) | told_paths(expected, dict.fromkeys(self.added))


@dataclass(slots=True)
class GoneEmail(Intent):
    """Email/set destroy."""

    number: int

    @property
    def verb(self) -> str:
        return "destroy"

    @property
    def kind(self) -> str:
        return "Email"

    def expect(self, expected: Expected, outcome: Outcome) -> list[str]:
        self.is_exact = expected.is_exact(self.number)
        there = expected.now.live(self.number)
        if outcome.told is Told.REFUSED and self.is_exact:
            possible = there and not outcome.is_due
            return [f"{self} in {[*there]} was refused: {outcome.error}"] if possible else []
        if outcome.told is Told.REFUSED:  # what had been removed already may have been put back
            expected.perhaps(self.number, there, is_exact=False)
        elif outcome.told is Told.UNKNOWN:
            expected.perhaps(self.number, (), is_exact=self.is_exact, may_go=True)
        else:
            expected.put(self.number, (), is_exact=self.is_exact)
        return []


@dataclass(slots=True)
class FoundGone(Intent):
    """Email/set destroy of what a query in the same request finds in a mailbox.

    `numbers` are those of known Emails by id; `found` is what was destroyed, if that was told, and
    `refused` what was not.
    """

    mailbox_id: str
    numbers: dict[str, int]
    found: list[str] | None = None
    refused: tuple[str, ...] = ()

    def _what(self) -> str:
        return f"found in {self.mailbox_id}"

    @property
    def verb(self) -> str:
        return "destroy"

    @property
    def kind(self) -> str:
        return "Email"

    def expect(self, expected: Expected, outcome: Outcome) -> list[str]:
        if outcome.told is Told.REFUSED:
            return []
        kept = Outcome(Told.REFUSED, is_due=True)
        told = dict.fromkeys(self.found or (), outcome) | dict.fromkeys(self.refused, kept)
        wrong = []
        for id_, of_id in told.items():
            if id_ in self.numbers:
                gone = GoneEmail(self.call, id_, self.numbers[id_])
                wrong += gone.expect(expected, of_id)
        if self.found is None or not self.numbers.keys() >= told.keys():
            expected.some_may_go(expected.paths.get(self.mailbox_id))
        return wrong


# --- Mailbox -------------------------------------------------------------------------------------


@dataclass(slots=True)
class NewMailbox(Intent):
    """Mailbox/set create; the parent may be one that the same request creates ("#key")."""

    name: str
    parent_id: str | None
    is_subscribed: bool

    def _what(self) -> str:
        return f" {self.name} in {self.parent_id}"

    @property
    def verb(self) -> str:
        return "create"

    @property
    def kind(self) -> str:
        return "Mailbox"

    def expect(self, expected: Expected, outcome: Outcome) -> list[str]:
        above = "" if self.parent_id is None else expected.paths.get(self.parent_id)
        if above is None or outcome.told is Told.REFUSED:
            return []
        path = f"{above}/{self.name}" if above else self.name
        if outcome.told is Told.UNKNOWN:
            expected.paths[f"#{self.key}"] = path
            return []
        expected.restructure()
        self.is_exact = above in expected.now.boxes - expected.races.boxes or not above
        for id_ in (f"#{self.key}", outcome.id or ""):
            expected.paths[id_] = path
        expected.now.boxes.add(path)
        if self.is_exact:
            expected.made.add(path)
            expected.subscribed[path] = self.is_subscribed
        return []


@dataclass(slots=True)
class ChangedMailbox(Intent):
    """Mailbox/set update: another name, another parent, or another subscription."""

    name: str | None = None
    parent_id: str | None = None
    is_moved: bool = False
    is_subscribed: bool | None = None

    def _what(self) -> str:
        return f" {self.name or ''} {f'into {self.parent_id}' if self.is_moved else ''}"

    @property
    def verb(self) -> str:
        return "update"

    @property
    def kind(self) -> str:
        return "Mailbox"

    def expect(self, expected: Expected, outcome: Outcome) -> list[str]:
        old = expected.paths.get(self.key)
        if outcome.told is Told.REFUSED:
            return []
        is_renamed = self.name is not None or self.is_moved
        if is_renamed:
            expected.restructure()
        sure = expected.now.boxes - expected.races.boxes
        if outcome.told is Told.UNKNOWN or old is None or old not in sure:
            expected.is_structure_loose |= is_renamed
            return []
        self.is_exact = not expected.is_structure_loose
        new = self._new_path(expected, old)
        if new is None:
            expected.is_structure_loose = True
        elif new != old:
            expected.renamed(old, new)
        if self.is_subscribed is not None and self.is_exact and new is not None:
            expected.subscribed[new] = self.is_subscribed
        return []

    def _new_path(self, expected: Expected, old: str) -> str | None:
        above, _, name = old.rpartition("/")
        if self.is_moved:
            found = "" if self.parent_id is None else expected.paths.get(self.parent_id)
            if found is None:
                return None
            above = found
        name = name if self.name is None else self.name
        return f"{above}/{name}" if above else name


@dataclass(slots=True)
class SwappedMailboxes(Intent):
    """Mailbox/set update of two siblings that are called like each other afterwards.

    `key` is the one, `other` the other; both are done, or none.
    """

    other: str

    def _what(self) -> str:
        return f" swapped with {self.other}"

    @property
    def verb(self) -> str:
        return "update"

    @property
    def kind(self) -> str:
        return "Mailbox"

    def expect(self, expected: Expected, outcome: Outcome) -> list[str]:
        if outcome.told is Told.REFUSED:
            return []
        expected.restructure()
        one, other = expected.paths.get(self.key), expected.paths.get(self.other)
        if outcome.told is Told.UNKNOWN or one is None or other is None:
            expected.is_structure_loose = True
            return []
        self.is_exact = not expected.is_structure_loose
        for old, new in ((one, "\0"), (other, one), ("\0", other)):
            expected.renamed(old, new)
        expected.gone -= {"\0", one, other}
        expected.made.discard("\0")
        return []


@dataclass(slots=True)
class GoneMailbox(Intent):
    """Mailbox/set destroy."""

    with_emails: bool

    def _what(self) -> str:
        return " with Emails" if self.with_emails else ""

    @property
    def verb(self) -> str:
        return "destroy"

    @property
    def kind(self) -> str:
        return "Mailbox"

    def expect(self, expected: Expected, outcome: Outcome) -> list[str]:
        path = expected.paths.get(self.key)
        if outcome.told is Told.REFUSED:
            return []
        expected.restructure()
        if path not in expected.now.boxes - expected.races.boxes:
            expected.give_up(may_go=self.with_emails)
            return []
        assert path is not None
        self.is_exact = not expected.is_structure_loose
        if outcome.told is Told.UNKNOWN:
            for number in expected.now.inside(path):
                rest = {*expected.now.live(number)} - {path}
                is_exact = expected.is_exact(number)
                gone = self.with_emails and not rest
                expected.perhaps(number, rest, is_exact=is_exact, may_go=gone)
            return []
        lost = expected.removed(path, with_emails=self.with_emails)
        return [f"{path} was destroyed with {lost} in it"] if lost else []
