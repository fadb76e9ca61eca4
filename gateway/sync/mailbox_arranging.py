"""RFC 9051 §6.3.6: mailboxes on their way from the tree that is to the one that is wanted.

No mailbox stays under a name that it was only given to be out of the way: what is refused half way
goes back, and what a lost connection or the end of the process leaves aside is noted in the store
before, and put back as soon as the account is looked at again.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from gateway.imap.errors import CommandRefused
from gateway.imap.refusals import code_of_mailbox
from gateway.obs.log import get_logger
from gateway.store.base import StoreError
from gateway.sync.data import AccountData
from gateway.sync.mailbox_commands import MailboxCommands
from gateway.sync.mailbox_names import NoName, Root, WireNames
from gateway.sync.mailbox_plan import Move, Objection, Place, Reason, next_move, settle
from gateway.sync.mailbox_settings import MailboxSettings

_REASONS = {
    "ALREADYEXISTS": Reason.TAKEN,
    "HASCHILDREN": Reason.HAS_CHILD,
    "NOPERM": Reason.FORBIDDEN,
    "CANNOT": Reason.NAME,
    "OVERQUOTA": Reason.OVER_QUOTA,
    "LIMIT": Reason.OVER_QUOTA,
    "NONEXISTENT": Reason.NOT_FOUND,
    "INUSE": Reason.UNAVAILABLE,
    "UNAVAILABLE": Reason.UNAVAILABLE,
    "SERVERBUG": Reason.UNAVAILABLE,
}

log = get_logger(__name__)


# RFC 5530 has no code for a name that is too long, and servers find others. File systems have 255
# octets for a name, which Maildir++ takes for all levels together.
_LONG = 200
_MAY_BE_FOR_LENGTH = (Reason.REFUSED, Reason.NOT_FOUND, Reason.UNAVAILABLE)


def objection_to(refused: CommandRefused, new_name: bytes = b"") -> Objection:
    """What a refused CREATE, RENAME or DELETE stands for."""
    reason = _REASONS.get(code_of_mailbox(refused) or "", Reason.REFUSED)
    if reason in _MAY_BE_FOR_LENGTH and len(new_name) > _LONG:
        reason = Reason.NAME
    return Objection(reason)


def places(data: AccountData) -> dict[str, Place]:
    """Where the mailboxes of an account are."""
    return {id_: Place(m.parent_id, m.name, m.role) for id_, m in data.mailboxes.items()}


class Arrangement:
    """The mailboxes of an account while they are renamed; `names` are those they have."""

    def __init__(
        self, data: AccountData, root: Root, commands: MailboxCommands, settings: MailboxSettings
    ) -> None:
        self._data = data
        self._commands = commands
        self._settings = settings
        self._before = places(data)
        self._now = dict(self._before)
        self.names = WireNames(data.mailboxes, root)
        self._token = secrets.token_hex(8)
        self._aside = 0

    async def reach(self, wanted: Mapping[str, Place]) -> dict[str, Objection]:
        """Bring mailboxes to places, as far as that can be; what stands against the others.

        A mailbox with an objection is where it was. Raises what the commands raise.
        """
        refused: dict[str, Objection] = {}
        try:
            while True:
                left = {id_: place for id_, place in wanted.items() if id_ not in refused}
                accepted, objections = settle(self._before, left)
                refused |= objections
                failed = await self._go({**self._before, **accepted})
                if failed is None:
                    return refused
                id_, objection = failed
                if id_ in accepted:
                    refused[id_] = objection
                else:  # it does not even go back
                    log.warning("mailbox_not_put_back", reason=objection.reason.value)
                    self._before[id_] = self._now[id_]
        finally:
            self._tell()

    async def _go(self, goal: Mapping[str, Place]) -> tuple[str, Objection] | None:
        while (move := next_move(self._now, goal, self._spare())) is not None:
            objection = await self._make(move, goal[move.id])
            if objection is not None:
                return move.id, objection
        return None

    def _spare(self) -> str:
        """A name that nothing has."""
        return f"moving-{self._token}-{self._aside}"

    async def _make(self, move: Move, goal: Place) -> Objection | None:
        old = self.names.by_id[move.id]
        try:
            to = self.names.below(move.parent_id, move.name, move.id)
            if move.name == self._spare():
                if not await self._note(move.id, to, goal):
                    return Objection(Reason.UNAVAILABLE)
                self._aside += 1
            await self._commands.rename(old, to)
        except NoName as error:
            return error.objection
        except CommandRefused as refused:
            self._settings.aside.pop(to, None)
            return objection_to(refused, to)
        self._settings.aside.pop(old, None)
        self.names.rename(move.id, to)
        now = self._now[move.id]
        self._now[move.id] = now._replace(parent_id=move.parent_id, name=move.name)
        return None

    async def _note(self, id_: str, aside: bytes, goal: Place) -> bool:
        """Write down that a mailbox is going to be aside, and where it belongs."""
        home, old = self.names.below(goal.parent_id, goal.name, id_), self.names.by_id[id_]
        self._settings.aside[aside] = [old, home]
        try:
            await self._settings.save(self._data)
        except StoreError as error:
            log.warning("save_failed", reason=error.reason)
            del self._settings.aside[aside]
            return False
        return True

    def _tell(self) -> None:
        """Let the account know which mailboxes have other names, so that they keep their ids."""
        for id_, mailbox in self._data.mailboxes.items():
            wire, path = self.names.by_id[id_], self._path(id_)
            if path != mailbox.path:
                self._data.renamed[id_] = (wire, path)

    def _path(self, id_: str) -> tuple[str, ...]:
        path: tuple[str, ...] = ()
        above: str | None = id_
        while above is not None:
            place = self._now[above]
            path, above = (place.name, *path), place.parent_id
        return path


async def put_back(commands: MailboxCommands, settings: MailboxSettings, data: AccountData) -> None:
    """Give mailboxes that were left aside a name of theirs again. Raises as the commands do."""
    names = {*await commands.names()}
    for aside, homes in list(settings.aside.items()):
        if aside in names:
            home = await _given_name(commands, aside, homes, names)
            data.renamed = {
                id_: (home if wire == aside else wire, path)
                for id_, (wire, path) in data.renamed.items()
            }
        settings.aside.pop(aside, None)
    try:
        await settings.save(data)
    except StoreError as error:
        log.warning("save_failed", reason=error.reason)


async def _given_name(
    commands: MailboxCommands, aside: bytes, homes: list[bytes], names: set[bytes]
) -> bytes:
    """The name that a mailbox has after that: the first one that is free, or one like it."""
    for home in (*homes, *(b"%s (%d)" % (home, n) for home in homes for n in (2, 3))):
        if home in names:
            continue
        try:
            await commands.rename(aside, home)
        except CommandRefused as refused:
            log.warning("mailbox_not_put_back", reason=str(refused))
            continue
        names.add(home)
        return home
    return aside
