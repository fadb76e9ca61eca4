"""RFC 8620 §3.3: what a client that writes asks for, weighted as people do it.

Whatever is chosen is chosen by the Random that is passed in, from what the client has cached: it
may be out of date.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.oracle.expected import Keywords
from tests.oracle.imap_model import STANDING
from tests.oracle.intents import (
    ChangedEmail,
    ChangedMailbox,
    FoundGone,
    GoneEmail,
    GoneMailbox,
    Intent,
    NewEmail,
    NewMailbox,
    SwappedMailboxes,
)
from tests.oracle.jmap_client import Client, paths_of
from tests.oracle.jmap_http import Call
from tests.oracle.letters import DOMAIN, write

KEYWORDS = ("$seen", "$flagged", "$answered", "$draft", "$junk", "$forwarded", "work", "later")
# Those of before are of writers over IMAP.
_FIRST_NUMBER = 100_000
_NAMES = ("Küche", "note", "R&D", "a b", "x.y", "2024", "Straße")
_DAY = datetime(2024, 6, 1, tzinfo=UTC)
_STATES = ("", "", "", "", "", "now", "now", "stale")


@dataclass(slots=True)
class Request:
    """Method calls, and what they are to bring about."""

    calls: list[Call] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)

    def __str__(self) -> str:
        return "; ".join(map(str, self.intents)) or "nothing"


class Requests:
    """Makes requests from what a client knows.

    upload: gives the blobId of octets. only: names of methods to choose from, by default all.
    """

    def __init__(
        self,
        client: Client,
        upload: Callable[[bytes], str],
        only: Collection[str] = (),
    ) -> None:
        self._client = client
        self._next = _FIRST_NUMBER
        # A gateway leaves a name alone that means another mailbox, by its UIDVALIDITY, too often.
        self._swapped: set[str] = set()
        self._upload = upload
        self._old_states: dict[str, str] = {}
        self._weights: dict[Callable[[Request, Random], None], int] = {
            self.keywords: 30,
            self.move: 30,
            self.destroy: 12,
            self.create: 14,
            self.import_: 14,
            self.import_and_mark: 4,
            self.destroy_found: 3,
            self.create_mailboxes: 8,
            self.file_in_new_mailbox: 4,
            self.change_mailbox: 10,
            self.swap_mailboxes: 3,
            self.destroy_mailbox: 6,
        }
        for operation in [*self._weights] if only else ():
            if operation.__name__ not in only:
                del self._weights[operation]

    def choose(self, rng: Random) -> Request:
        """One request of one or several calls."""
        request = Request()
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            (operation,) = rng.choices([*self._weights], [*self._weights.values()])
            operation(request, rng)
        return request

    def perform(self, name: str, rng: Random) -> Request:
        """A request that does one thing."""
        request = Request()
        getattr(self, name)(request, rng)
        return request

    # --- Email -----------------------------------------------------------------------------------

    def keywords(self, request: Request, rng: Random) -> None:
        """Email/set update of keywords, by value and by patch."""
        updates: dict[str, Any] = {}
        call = len(request.calls)
        for id_ in self._emails(rng, rng.choice((1, 1, 2, 5, 40))):
            chosen = rng.sample(KEYWORDS, rng.choice((0, 1, 1, 2, 3)))
            if rng.random() < 0.4:
                updates[id_] = {"keywords": dict.fromkeys(chosen, True)}
                wanted = Keywords(frozenset(chosen))
            else:
                updates[id_] = {f"keywords/{k}": rng.choice((True, True, None)) for k in chosen}
                has = frozenset(k for k in chosen if updates[id_][f"keywords/{k}"])
                wanted = Keywords(None, has, frozenset(chosen) - has)
            intent = ChangedEmail(call, id_, self._number_of(id_), keywords=wanted)
            request.intents.append(intent)
        if updates:
            self._set(request, rng, "Email", {"update": updates})

    def move(self, request: Request, rng: Random) -> None:
        """Email/set update of mailboxIds, by value and by patch, and of keywords with it."""
        updates: dict[str, Any] = {}
        call, mailboxes = len(request.calls), self._mailboxes()
        for id_ in self._emails(rng, rng.choice((1, 1, 2, 5, 30))):
            now = [*self._client.caches["Email"].objects[id_]["mailboxIds"]]
            intent = ChangedEmail(call, id_, self._number_of(id_))
            targets = rng.sample(mailboxes, min(len(mailboxes), rng.choice((1, 1, 1, 2))))
            if rng.random() < 0.5:
                intent.mailbox_ids = dict.fromkeys(targets, True)
                updates[id_] = {"mailboxIds": intent.mailbox_ids}
            else:
                stay = set(now) - set(targets)
                intent.left = tuple(m for m in sorted(stay) if rng.random() < 0.7)
                intent.added = tuple(targets)
                patch = {f"mailboxIds/{m}": None for m in intent.left}
                updates[id_] = patch | {f"mailboxIds/{m}": True for m in targets}
            if rng.random() < 0.2:
                updates[id_] |= {"keywords/$seen": True}
                intent.keywords = Keywords(None, frozenset({"$seen"}))
            request.intents.append(intent)
        if updates:
            self._set(request, rng, "Email", {"update": updates})

    def destroy(self, request: Request, rng: Random) -> None:
        """Email/set destroy, and now and then an update of the same Email in the same call."""
        ids = self._emails(rng, rng.choice((1, 1, 2, 4)))
        if not ids:
            return
        intents = [GoneEmail(len(request.calls), id_, self._number_of(id_)) for id_ in ids]
        request.intents += intents
        self._set(request, rng, "Email", {"destroy": ids})

    def create(self, request: Request, rng: Random) -> None:
        """Email/set create."""
        creates = {}
        for _ in range(rng.choice((1, 1, 2))):
            number = self._number()
            new = self._new_email(request, rng, number)
            creates[new.key] = _email_object(new, rng)
        self._set(request, rng, "Email", {"create": creates})

    def import_(self, request: Request, rng: Random) -> None:
        """Email/import of what was uploaded before."""
        imports = {}
        for _ in range(rng.choice((1, 1, 2, 3))):
            new = self._new_email(request, rng, self._number())
            letter = write(new.number, None, rng)
            new.octets = letter.octets
            imports[new.key] = {
                "blobId": self._upload(letter.octets),
                "mailboxIds": new.mailbox_ids,
                "keywords": dict.fromkeys(sorted(new.keywords), True),
                "receivedAt": f"{letter.received:%Y-%m-%dT%H:%M:%SZ}",
            }
        self._call(request, rng, "Email/import", "Email", {"emails": imports})

    def import_and_mark(self, request: Request, rng: Random) -> None:
        """Email/import, and Email/set of what it makes, by its creation id."""
        self.import_(request, rng)
        new = request.intents[-1]
        assert isinstance(new, NewEmail)
        key = f"#{new.key}"
        update = {key: {"keywords/$flagged": True}}
        wanted = Keywords(None, new.keywords | {"$flagged"})
        request.intents.append(ChangedEmail(len(request.calls), key, new.number, wanted))
        self._set(request, rng, "Email", {"update": update})

    def destroy_found(self, request: Request, rng: Random) -> None:
        """Email/set destroy of what Email/query finds."""
        mailbox = rng.choice(self._mailboxes())
        query: Call = ("Email/query", {"filter": {"inMailbox": mailbox}, "limit": 2})
        request.calls.append(query)
        position = len(request.calls)
        reference = {"resultOf": str(position - 1), "name": "Email/query", "path": "/ids"}
        numbers = {id_: self._number_of(id_) for id_ in self._client.caches["Email"].objects}
        request.intents.append(FoundGone(position, "", mailbox, numbers))
        request.calls.append(("Email/set", {"#destroy": reference}))

    # --- Mailbox ---------------------------------------------------------------------------------

    def create_mailboxes(self, request: Request, rng: Random) -> None:
        """Mailbox/set create, with a child now and then."""
        names: list[NewMailbox] = []
        above: str | None = rng.choice([None, None, *self._movable()])
        for _ in range(rng.choice((1, 1, 2, 3))):
            key = f"b{self._number()}"
            name = f"{rng.choice(_NAMES)}{self._number()}"
            new = NewMailbox(len(request.calls), key, name, above, rng.random() < 0.7)
            names.append(new)
            if rng.random() < 0.5:
                above = f"#{key}"
        self._create_mailboxes(request, rng, names)

    def file_in_new_mailbox(self, request: Request, rng: Random) -> None:
        """Mailbox/set create, and Email/set that moves something into it."""
        key = f"b{self._number()}"
        new = NewMailbox(len(request.calls), key, f"new{self._number()}", None, True)
        self._create_mailboxes(request, rng, [new])
        ids = self._emails(rng, rng.choice((1, 3)))
        call = len(request.calls)
        mailbox_ids = {f"#{key}": True}
        request.intents += [
            ChangedEmail(call, id_, self._number_of(id_), mailbox_ids=mailbox_ids) for id_ in ids
        ]
        update = {id_: {"mailboxIds": mailbox_ids} for id_ in ids}
        if ids:
            self._set(request, rng, "Email", {"update": update})

    def _create_mailboxes(self, request: Request, rng: Random, new: list[NewMailbox]) -> None:
        request.intents += new
        objects = {
            m.key: {"name": m.name, "parentId": m.parent_id, "isSubscribed": m.is_subscribed}
            for m in new
        }
        self._set(request, rng, "Mailbox", {"create": objects})

    def change_mailbox(self, request: Request, rng: Random) -> None:
        """Mailbox/set update of a name, a parent, a subscription."""
        movable = self._movable()
        if not movable:
            return
        id_ = rng.choice(movable)
        intent, update = ChangedMailbox(len(request.calls), id_), dict[str, Any]()
        if rng.random() < 0.5:
            intent.name = update["name"] = f"{rng.choice(_NAMES)}{self._number()}"
        if rng.random() < 0.3:
            tree = self._tree(id_)
            intent.parent_id = rng.choice([None, *(m for m in movable if m not in tree)])
            intent.is_moved, update["parentId"] = True, intent.parent_id
        if not update:
            intent.is_subscribed = update["isSubscribed"] = rng.random() < 0.5
        request.intents.append(intent)
        self._set(request, rng, "Mailbox", {"update": {id_: update}})

    def swap_mailboxes(self, request: Request, rng: Random) -> None:
        """Mailbox/set update of two siblings, which take each other's name."""
        mailboxes = self._client.caches["Mailbox"].objects
        roots = [id_ for id_ in self._movable() if mailboxes[id_]["parentId"] is None]
        if len(roots) < 2:
            return
        one, other = rng.sample(roots, 2)
        names = {mailboxes[one]["name"], mailboxes[other]["name"]}
        if names & self._swapped:
            return
        self._swapped |= names
        request.intents.append(SwappedMailboxes(len(request.calls), one, other))
        update = {
            one: {"name": mailboxes[other]["name"]},
            other: {"name": mailboxes[one]["name"]},
        }
        self._set(request, rng, "Mailbox", {"update": update})

    def destroy_mailbox(self, request: Request, rng: Random) -> None:
        """Mailbox/set destroy, with Emails or not."""
        movable = self._movable()
        if not movable:
            return
        id_, with_emails = rng.choice(movable), rng.random() < 0.4
        request.intents.append(GoneMailbox(len(request.calls), id_, with_emails))
        asked = {"destroy": [id_], "onDestroyRemoveEmails": with_emails}
        self._set(request, rng, "Mailbox", asked)

    # --- What it is made of ----------------------------------------------------------------------

    def _set(self, request: Request, rng: Random, kind: str, asked: dict[str, Any]) -> None:
        self._call(request, rng, f"{kind}/set", kind, asked)

    def _call(
        self, request: Request, rng: Random, method: str, kind: str, asked: dict[str, Any]
    ) -> None:
        """Add a call, sometimes with ifInState: that of the cache, or one of long ago."""
        state = self._client.caches[kind].state
        old = self._old_states.setdefault(kind, state)
        if rng.random() < 0.1:
            self._old_states[kind] = state
        which = rng.choice(_STATES)
        if which:
            asked["ifInState"] = state if which == "now" else old
        request.calls.append((method, asked))

    def _number(self) -> int:
        """One that no message and no mailbox has."""
        self._next += 1
        return self._next

    def _emails(self, rng: Random, count: int) -> list[str]:
        known = [*self._client.caches["Email"].objects]
        return rng.sample(known, min(len(known), count))

    def _number_of(self, id_: str) -> int:
        return number_of(self._client.caches["Email"].objects[id_])

    def _mailboxes(self) -> list[str]:
        return [*self._client.caches["Mailbox"].objects]

    def _movable(self) -> list[str]:
        paths = paths_of(self._client.caches["Mailbox"].objects)
        return [id_ for id_, path in paths.items() if path not in STANDING]

    def _tree(self, id_: str) -> set[str]:
        paths = paths_of(self._client.caches["Mailbox"].objects)
        above = f"{paths[id_]}/"
        return {other for other, path in paths.items() if f"{path}/".startswith(above)}

    def _new_email(self, request: Request, rng: Random, number: int) -> NewEmail:
        mailboxes = self._mailboxes()
        chosen = rng.sample(mailboxes, min(len(mailboxes), rng.choice((1, 1, 1, 2, 3))))
        keywords = frozenset(rng.sample(KEYWORDS, rng.choice((0, 1, 2))))
        made = NewEmail(
            len(request.calls), f"e{number}", number, dict.fromkeys(chosen, True), keywords
        )
        request.intents.append(made)
        return made


def number_of(email: dict[str, Any]) -> int:
    """Which message an Email is (letters.py)."""
    return int(email["from"][0]["email"].partition("@")[0].removeprefix("m"))


def _email_object(new: NewEmail, rng: Random) -> dict[str, Any]:
    number = new.number
    received = _DAY + timedelta(minutes=number)
    return {
        "mailboxIds": new.mailbox_ids,
        "keywords": dict.fromkeys(sorted(new.keywords), True),
        "from": [{"name": "Writer", "email": f"m{number}@{DOMAIN}"}],
        "to": [{"name": "Grüße", "email": "reader@example.test"}],
        "subject": f"Written {number}",
        "receivedAt": f"{received:%Y-%m-%dT%H:%M:%SZ}",
        "messageId": [f"{number}@{DOMAIN}"],
        "textBody": [{"partId": "text", "type": "text/plain"}],
        "bodyValues": {"text": {"value": f"Number {number}: plum" + " cake\n" * rng.randrange(20)}},
    }
