"""RFC 8620 §7.2: the PushSubscriptions of all users, durably, and who has any.

Those of one user are one value of the store (gateway.sync.records), which the id of the user's own
account is the name of. So that the gateway knows whom to watch for, the users that have any are
kept, too, in as many parts as there may be nodes that share the work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b
from time import time
from typing import Final, NamedTuple

from gateway.ext.push_subscription.subscription import ASKED, NEW, PushSubscription, of
from gateway.store.base import Durable
from gateway.sync.records import Kept, Records

OWNER: Final = "push"
"""Whose the list of users is in the store; no account has this id."""
PARTS: Final = 64
"""The list of users is in so many parts."""

Subscriptions = Mapping[str, PushSubscription]
"""By id."""
Edit = Callable[[Subscriptions], Mapping[str, PushSubscription | None]]


class User(NamedTuple):
    """Who has subscriptions; the account is the own one."""

    account_id: str
    username: str


class Listed(NamedTuple):
    """A user on the list; number: another one whenever the subscriptions have changed."""

    user: User
    number: int


def part_of(account_id: str) -> int:
    """In which part of the list of users one is."""
    return blake2b(account_id.encode(), digest_size=1).digest()[0] % PARTS


class Book:
    """Every method raises NotCommitted if the store fails."""

    def __init__(self, durable: Durable) -> None:
        self._durable = durable

    async def of(self, account_id: str) -> Subscriptions:
        """Those of a user that have not expired."""
        return self._alive(account_id, await self._records(account_id).load())

    async def change(self, user: User, edit: Edit) -> Subscriptions:
        """Put what `edit` makes of those there are in their place; None destroys one.

        `edit` is called again if another node was faster; what it raises is raised. Gives all that
        there are then.
        """
        # Without subscriptions a user on the list is taken off it when looked at; the other way
        # round, nobody would ever look.
        await self._list(user)
        found = await self._edit(user, edit)
        await self._list(user)
        return found

    async def _edit(self, user: User, edit: Edit) -> Subscriptions:
        def edited(kept: Kept) -> Kept:
            alive = self._alive(user.account_id, kept)
            for id_ in kept.records.keys() - alive.keys():
                kept = kept.without(id_)
            for id_, each in edit(alive).items():
                if each is None:
                    kept = kept.without(id_)
                else:
                    kept = kept.put(id_, each.value(self._hide(user.account_id)))
            return kept

        kept = await self._records(user.account_id).change(edited)
        return self._alive(user.account_id, kept)

    async def told(self, user: User, id_: str, told: str, pushed: Mapping[str, str]) -> None:
        """Remember what the client was told, if the subscription is still there.

        pushed: of the accounts whose new mail it still wants.
        """

        def edit(subscriptions: Subscriptions) -> Mapping[str, PushSubscription | None]:
            each = subscriptions.get(id_)
            if each is None:
                return {}
            states = {of: pushed.get(of, state) for of, state in each.pushed.items()}
            return {id_: replace(each, told=told, pushed=states)}

        await self._edit(user, edit)

    async def ask(self, user: User) -> Subscriptions:
        """Those that are to be verified; from now on a verification was sent, by the caller."""
        asked: dict[str, PushSubscription] = {}

        def edit(subscriptions: Subscriptions) -> Mapping[str, PushSubscription | None]:
            asked.clear()
            for id_, each in subscriptions.items():
                if each.stage == NEW:
                    asked[id_] = replace(each, stage=ASKED)
            return asked

        await self._edit(user, edit)
        return asked

    # --- who has any -----------------------------------------------------------------------------

    async def users(self, part: int) -> list[Listed]:
        """Who may have subscriptions, of one part."""
        found = []
        for account_id, record in (await self._users(part).load()).records.items():
            name = self._durable.reveal(OWNER, record.value["name"])
            if name is not None:
                found.append(Listed(User(account_id, name.decode()), record.updated))
        return found

    async def unlist(self, user: User) -> None:
        """Take off the list who has no subscription."""
        await self._users(part_of(user.account_id)).change(
            lambda kept: kept.without(user.account_id)
        )
        if await self.of(user.account_id):  # made meanwhile
            await self._list(user)

    async def _list(self, user: User) -> None:
        # What is hidden is never twice the same, so this takes another number each time.
        hidden = self._durable.hide(OWNER, user.username.encode())
        users = self._users(part_of(user.account_id))
        await users.change(lambda kept: kept.put(user.account_id, {"name": hidden}))

    # --- the store -------------------------------------------------------------------------------

    def _records(self, account_id: str) -> Records:
        return Records(self._durable, account_id, "pushsubscriptions")

    def _users(self, part: int) -> Records:
        return Records(self._durable, OWNER, f"users/{part}")

    def _alive(self, account_id: str, kept: Kept) -> dict[str, PushSubscription]:
        now = time()
        found = {}
        for id_, record in kept.records.items():
            each = of(record.value, lambda octets: self._durable.reveal(account_id, octets))
            if each is not None and each.expires > now:
                found[id_] = each
        return found

    def _hide(self, account_id: str) -> Callable[[bytes], bytes]:
        return lambda octets: self._durable.hide(account_id, octets)
