"""RFC 8621 §2.5: creating, changing and destroying Mailboxes on the server, each wholly or not.

Everything is checked against the tree before the first command. What a server does besides is put
right afterwards: RENAME leaves subscriptions behind (RFC 9051 §6.3.6), and a role may go by the
name. What the server can not keep (roles, sortOrder) is chosen in the gateway, durably.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.imap.errors import CommandRefused
from gateway.obs.log import get_logger
from gateway.store.base import StoreError
from gateway.sync import roles
from gateway.sync.mailbox_arranging import Arrangement, objection_to, places
from gateway.sync.mailbox_choice import NO_CHOICE, NO_ORDER, NO_ROLE, Choice
from gateway.sync.mailbox_commands import MailboxCommands
from gateway.sync.mailbox_names import NoName, root_of
from gateway.sync.mailbox_plan import Objection, Place, Reason, settle
from gateway.sync.mailboxes import Mailbox
from gateway.sync.paths import INBOX_NAME
from gateway.sync.writing import Writing

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a Mailbox is to be; None: as it is, or for a new one, as the gateway finds best.

    order may be NO_ORDER.
    """

    place: Place
    order: int | None = None
    is_subscribed: bool | None = None


class MailboxWriting:
    """Changes of the Mailboxes of an account that is held for writing.

    All methods raise Unknown when it can not be found out what became of a command, and
    NotCommitted, AuthenticationFailed.
    """

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._account = writing.account
        self._settings = writing.account.mailbox_settings
        self._commands = MailboxCommands(writing.account.pool, writing.data.listed_names)

    def _arrangement(self) -> Arrangement:
        data = self._writing.data
        root = root_of(data.mailboxes, data.namespaces, self._account.extent)
        return Arrangement(data, root, self._commands, self._settings)

    # --- creating --------------------------------------------------------------------------------

    async def create(self, wishes: Mapping[str, Wish]) -> dict[str, str | Objection]:
        """Create Mailboxes; the ids by creation id, or what stands against it."""
        before = places(self._writing.data)
        # No id has such a name.
        wanted = {f"#{cid}": wish.place for cid, wish in wishes.items()}
        accepted, refused = settle(before, wanted)
        names = self._arrangement().names
        made: dict[str, bytes] = {}
        results: dict[str, str | Objection] = {cid[1:]: why for cid, why in refused.items()}
        for key in accepted:
            wish = wishes[key[1:]]
            try:
                wire = names.below(wish.place.parent_id, wish.place.name)
                await self._create(wire, names.delimiter(wish.place.parent_id), wish)
                made[key[1:]] = wire
            except NoName as error:
                results[key[1:]] = error.objection
            except CommandRefused as refusal:
                results[key[1:]] = _of_parent(objection_to(refusal, wire))
        await self._writing.refresh()
        found = {cid: self._with_wire(wire, before) for cid, wire in made.items()}
        created = {cid: id_ for cid, id_ in found.items() if id_ is not None}
        lost = {cid: Objection(Reason.UNAVAILABLE) for cid, id_ in found.items() if id_ is None}
        undone = await self._choose_for_new(before, {created[cid]: wishes[cid] for cid in created})
        for cid, id_ in created.items():
            lost |= {cid: Objection(Reason.UNAVAILABLE)} if id_ in undone else {}
        return {cid: _by_id(result, created) for cid, result in (results | created | lost).items()}

    async def _create(self, wire: bytes, delimiter: bytes, wish: Wish) -> None:
        use = roles.use(wish.place.role) if wish.place.role else None
        await self._commands.create(wire, delimiter.decode() or None, use)
        try:
            await self._commands.subscribe(wire, on=wish.is_subscribed is not False)
        except CommandRefused:
            if wish.is_subscribed is not False:
                await self._commands.delete(wire)
                raise

    def _with_wire(self, wire: bytes, before: Mapping[str, Place]) -> str | None:
        """The id of a new mailbox, whose name the server may spell in another way."""
        mailboxes = self._writing.data.mailboxes.values()
        new = [m for m in mailboxes if m.id not in before and m.wire is not None]
        exact = [m.id for m in mailboxes if m.wire == wire]
        alike = [m.id for m in new if m.wire and m.wire.strip().upper() == wire.strip().upper()]
        return next(iter(exact or alike), None)

    async def _choose_for_new(
        self, before: Mapping[str, Place], new: Mapping[str, Wish]
    ) -> set[str]:
        """What the server does not say of new mailboxes; those of which it could not be kept.

        These are gone again.
        """
        wanted = {id_: place.role for id_, place in before.items()}
        wanted |= {id_: wish.place.role for id_, wish in new.items() if wish.place.role}
        choices = self._choices(wanted, {id_: wish.order for id_, wish in new.items()})
        if await self._choose(choices):
            return set()
        failed = {id_ for id_ in new if id_ in choices}
        await self.destroy(failed, with_emails=False)
        return failed

    # --- changing --------------------------------------------------------------------------------

    async def update(self, wishes: Mapping[str, Wish]) -> dict[str, Objection | None]:
        """Change Mailboxes, by id; what stands against each of which nothing was changed."""
        data = self._writing.data
        before = dict(data.mailboxes)
        wanted = {id_: wish.place for id_, wish in wishes.items() if id_ in before}
        accepted, refused = settle(places(data), wanted)
        asked = {id_: wishes[id_] for id_ in accepted}
        refused |= await self._subscribe(asked, before)
        choices = self._asked_choices(asked, before)
        if choices and not await self._keep(choices):
            refused |= dict.fromkeys(choices, Objection(Reason.UNAVAILABLE))
        left = {id_: place for id_, place in accepted.items() if id_ not in refused}
        arrangement = self._arrangement()
        async with self._account.unobserved():
            refused |= await arrangement.reach(left)
            await self._subscribe_anew(before, arrangement.names.by_id)
        await self._take_back({id_ for id_ in asked if id_ in refused}, asked, choices, before)
        await self._writing.refresh()
        data.renamed.clear()
        done = {id_: wish for id_, wish in asked.items() if id_ not in refused}
        await self._put_right(before, done)
        # What was renamed and is gone now was renamed nevertheless.
        names, now = arrangement.names.by_id, self._writing.data.mailboxes
        moved = {id_ for id_ in done if names.get(id_) != before[id_].wire}
        gone = wishes.keys() - now.keys() - moved
        refused |= dict.fromkeys(gone, Objection(Reason.NOT_FOUND))
        return {id_: refused.get(id_) for id_ in wishes}

    async def _subscribe(
        self, asked: Mapping[str, Wish], before: Mapping[str, Mailbox]
    ) -> dict[str, Objection]:
        """Subscribe to mailboxes under the names they have, as that is what may be refused."""
        refused: dict[str, Objection] = {}
        for id_, wish in asked.items():
            wire = before[id_].wire
            if wish.is_subscribed in (None, before[id_].is_subscribed) or wire is None:
                continue
            try:
                await self._commands.subscribe(wire, on=bool(wish.is_subscribed))
            except CommandRefused as refusal:
                refused[id_] = objection_to(refusal)
        return refused

    async def _subscribe_anew(
        self, before: Mapping[str, Mailbox], wires: Mapping[str, bytes]
    ) -> None:
        """RFC 9051 §6.3.6: RENAME leaves subscriptions with the names."""
        kept = {*wires.values()}
        moved = [m for m in before.values() if m.wire != wires[m.id] and m.is_subscribed and m.wire]
        on = {wires[m.id] for m in moved}
        await self._commands.subscribe_all(on, {m.wire for m in moved if m.wire} - kept)

    def _asked_choices(
        self, asked: Mapping[str, Wish], before: Mapping[str, Mailbox]
    ) -> dict[str, Choice]:
        choices = {}
        for id_, wish in asked.items():
            held = before[id_].choice
            order = held.order if wish.order is None else wish.order
            order = None if order == NO_ORDER else order
            role = held.role
            if wish.place.role != before[id_].role:
                role = wish.place.role or NO_ROLE
            if (role, order) != held:
                choices[id_] = Choice(role, order)
        return choices

    async def _take_back(
        self,
        ids: Iterable[str],
        asked: Mapping[str, Wish],
        choices: Mapping[str, Choice],
        before: Mapping[str, Mailbox],
    ) -> None:
        """RFC 8620 §5.3: an update is made as a whole, or not at all."""
        chosen = {id_: before[id_].choice for id_ in ids if id_ in choices}
        if chosen and not await self._keep(chosen):
            self._writing.data.choices.update(chosen)
        for id_ in ids:
            wire, subscribed = before[id_].wire, before[id_].is_subscribed
            if wire is not None and asked[id_].is_subscribed not in (None, subscribed):
                on, off = ([wire], []) if subscribed else ([], [wire])
                await self._commands.subscribe_all(on, off)

    async def _put_right(self, before: Mapping[str, Mailbox], done: Mapping[str, Wish]) -> None:
        """Subscriptions and roles stay with their mailboxes, whatever they are called now."""
        now = self._writing.data.mailboxes
        on, off = set[bytes](), set[bytes]()
        for id_, was in before.items():
            mailbox, wish = now.get(id_), done.get(id_)
            if mailbox is None or mailbox.wire is None or mailbox.path == (INBOX_NAME,):
                continue
            asked = wish.is_subscribed if wish is not None else None
            wanted = was.is_subscribed if asked is None else asked
            if mailbox.is_subscribed != wanted and (mailbox.wire != was.wire or asked is not None):
                (on if wanted else off).add(mailbox.wire)
        await self._commands.subscribe_all(on, off)
        wanted_roles = {id_: m.role for id_, m in before.items()}
        wanted_roles |= {id_: wish.place.role for id_, wish in done.items()}
        choices = self._choices(wanted_roles, {})
        if choices and not await self._keep(choices):
            log.warning("roles_not_kept", mailboxes=len(choices))
        if on or off or choices:
            await self._writing.refresh()
        await self._save()

    # --- destroying ------------------------------------------------------------------------------

    async def destroy(
        self, ids: Iterable[str], *, with_emails: bool
    ) -> dict[str, Objection | None]:
        """Destroy Mailboxes, those below others first; what stands against each that stays."""
        data = self._writing.data
        names = self._arrangement().names.by_id
        refused: dict[str, Objection] = {}
        deleted: set[str] = set()
        asked = list(ids)
        known = sorted(
            (data.mailboxes[id_] for id_ in asked if id_ in data.mailboxes),
            key=lambda mailbox: -len(mailbox.path),
        )
        for mailbox in known:
            objection = await self._in_the_way(mailbox, deleted, with_emails=with_emails)
            if objection is not None:
                refused[mailbox.id] = objection
                continue
            try:
                await self._commands.delete(names[mailbox.id])
            except CommandRefused as refusal:
                refused[mailbox.id] = objection_to(refusal)
                if refused[mailbox.id].reason is not Reason.NOT_FOUND:
                    continue
            deleted.add(mailbox.id)  # a level goes with the last mailbox below it
        stale = {m.wire for m in known if m.id in deleted and m.is_subscribed and m.wire}
        await self._commands.subscribe_all((), stale)
        await self._writing.refresh()
        left = self._writing.data.mailboxes
        results: dict[str, Objection | None] = dict.fromkeys(asked, Objection(Reason.NOT_FOUND))
        for mailbox in known:
            is_gone = mailbox.id in deleted or mailbox.id not in left
            results[mailbox.id] = None if is_gone else refused[mailbox.id]
        for id_ in deleted - left.keys():
            self._writing.data.choices.pop(id_, None)
        await self._save()
        return results

    async def _in_the_way(
        self, mailbox: Mailbox, deleted: set[str], *, with_emails: bool
    ) -> Objection | None:
        mailboxes = self._writing.data.mailboxes.values()
        if any(m.parent_id == mailbox.id and m.id not in deleted for m in mailboxes):
            return Objection(Reason.HAS_CHILD)
        if not with_emails and await self._has_emails(mailbox):
            return Objection(Reason.HAS_EMAIL)
        return None

    async def _has_emails(self, mailbox: Mailbox) -> bool:
        """Whether there is mail in it; the server is asked just before, as DELETE does not mind."""
        data = self._writing.data
        if mailbox.wire is None or mailbox.status is None or data.counts(mailbox).total_emails:
            return data.counts(mailbox).total_emails > 0
        told, columns = await self._commands.figures(mailbox.wire), data.columns(mailbox.id)
        if told is None or columns is None:
            return False
        if (told.messages, told.uidnext) == (columns.exists, columns.uidnext):
            return False
        await self._writing.refresh()
        return self._writing.data.counts(mailbox).total_emails > 0

    # --- what the server does not keep -----------------------------------------------------------

    def _choices(
        self, wanted: Mapping[str, str | None], orders: Mapping[str, int | None]
    ) -> dict[str, Choice]:
        """What has to be chosen so that mailboxes have these roles and orders."""
        data, choices = self._writing.data, dict[str, Choice]()
        for id_, mailbox in data.mailboxes.items():
            role, order = data.choices.get(id_, NO_CHOICE)
            if id_ in wanted and mailbox.role != wanted[id_]:
                role = wanted[id_] or NO_ROLE
            if orders.get(id_) is not None:
                order = orders[id_]
            if (role, order) != data.choices.get(id_, NO_CHOICE):
                choices[id_] = Choice(role, order)
        return choices

    async def _choose(self, choices: Mapping[str, Choice]) -> bool:
        if not choices:
            return True
        if not await self._keep(choices):
            return False
        await self._writing.refresh()
        return True

    async def _keep(self, choices: Mapping[str, Choice]) -> bool:
        """Whether the store has taken what was chosen."""
        try:
            await self._settings.choose(self._writing.data, choices)
        except StoreError as error:
            log.warning("save_failed", reason=error.reason)
            return False
        return True

    async def _save(self) -> None:
        try:
            await self._settings.save(self._writing.data)
        except StoreError as error:
            log.warning("save_failed", reason=error.reason)


def _of_parent(objection: Objection) -> Objection:
    """What a CREATE does not find is the parent."""
    return Objection(Reason.NO_PARENT) if objection.reason is Reason.NOT_FOUND else objection


def _by_id(result: str | Objection, created: Mapping[str, str]) -> str | Objection:
    """With the id of what stands in the way, where it was created just now."""
    if isinstance(result, str) or result.by is None or not result.by.startswith("#"):
        return result
    return Objection(result.reason, created.get(result.by[1:]))
