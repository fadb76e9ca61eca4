"""RFC 8620 §7.2.2: PushSubscription/set."""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from gateway.ext.push_subscription import subscription
from gateway.ext.push_subscription.email_push import Configs, configs_of
from gateway.ext.push_subscription.subscription import ASKED, VERIFIED, PushSubscription
from gateway.ext.push_subscription.subscriptions import Book, Subscriptions, User
from gateway.jmap.errors import SetError, invalid_properties, quoted
from gateway.jmap.limits import Limits
from gateway.jmap.settable import Change
from gateway.jmap.spec import DataType
from gateway.mail.backend import backend_errors
from gateway.sync.account import Account
from gateway.webpush.addresses import BadUrl, Networks, check_url
from gateway.webpush.encryption import BadKeys, Keys

MAX_SUBSCRIPTIONS: Final = 16
"""Of one user (threat R5)."""
MAX_SECONDS: Final = 30 * 24 * 3600.0
"""RFC 8620 §7.2 wants a week at least: so long a device may be away before it is forgotten."""
_MAX_TYPES: Final = 100
_MAX_NAME: Final = 255
_TYPE = re.compile(r"[A-Za-z0-9][\w.:/-]{0,99}", re.ASCII)

Edits = dict[str, PushSubscription | None]


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms subscriptions are taken.

    server_key: the application server key (RFC 9749), None while the store has not told it.
    networks: those beside the internet's where pushes may go to. let_in: makes sure that a user can
    be watched for later, and with True also what has come; raises SetError, NotCommitted. now: what
    a client knows that wants these types and has seen the account as it is (PushSubscription.told);
    raises ImapError, NotCommitted. may_verify: whether one more verification may be sent for a user
    now. changed: is told of a user whose subscriptions are others than before. email_push: None
    where it is not seen what comes for users who are away.
    """

    server_key: Callable[[], str | None]
    networks: Networks
    let_in: Callable[[Account, bool], Awaitable[None]]
    now: Callable[[Account, frozenset[str] | None], Awaitable[str]]
    may_verify: Callable[[User], bool]
    changed: Callable[[User], None]
    email_push: MailTerms | None


@dataclass(frozen=True, slots=True)
class MailTerms:
    """What is needed to push new mail itself. email: the type.

    states: those of EmailDelivery as of now, of those of the accounts that a user has; raises
    ImapError, NotCommitted.
    """

    email: DataType
    states: Callable[[Account, Collection[str]], Awaitable[dict[str, str]]]


class Sets:
    """Opens the /set of a user."""

    def __init__(self, book: Book, terms: Terms) -> None:
        self._book = book
        self._terms = terms

    @asynccontextmanager
    async def open(
        self, account: Account, _arguments: dict[str, Any], limits: Limits
    ) -> AsyncIterator[Setting]:
        """Begin a PushSubscription/set. Raises MethodError serverUnavailable."""
        with backend_errors():
            held = await self._book.of(account.id)
            yield Setting(self._book, self._terms, account, held, limits)


class Setting:
    """A PushSubscription/set under way; see gateway.jmap.settable.Setting."""

    def __init__(
        self, book: Book, terms: Terms, account: Account, held: Subscriptions, limits: Limits
    ) -> None:
        self._book = book
        self._terms = terms
        self._account = account
        self._user = User(account.id, account.username)
        self._held = held
        self._limits = limits

    @property
    def state(self) -> str:
        """The type has none."""
        return ""

    async def current(
        self, ids: Sequence[str], properties: frozenset[str]
    ) -> dict[str, dict[str, Any]]:
        """All that there is of these, what /get does not tell, too: to compare with."""
        return {
            id_: {name: members(id_, self._held[id_])[name] for name in ("id", *properties)}
            for id_ in ids
            if id_ in self._held
        }

    # --- create ----------------------------------------------------------------------------------

    async def create(
        self, objects: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any] | SetError]:
        """RFC 8620 §7.2.2: the verification is sent at once."""
        made: dict[str, tuple[str, PushSubscription]] = {}
        outcome: dict[str, dict[str, Any] | SetError] = {}
        for name, wanted in objects.items():
            try:
                new = await self._with_email_push(self._new(wanted), wanted.get("emailPush"))
                await self._let_in(new)
                if len(self._held) + len(made) >= MAX_SUBSCRIPTIONS:
                    raise SetError("overQuota", f"There may be at most {MAX_SUBSCRIPTIONS}.")
                if not self._terms.may_verify(self._user):
                    raise SetError("rateLimit", "Too many verifications were asked for; wait.")
            except SetError as error:
                outcome[name] = error
            else:
                with backend_errors():
                    told = await self._terms.now(self._account, new.wanted)
                made[name] = (f"P{secrets.token_hex(12)}", replace(new, told=told))
        if made:
            self._held = await self._book.change(self._user, lambda _: dict(made.values()))
            self._terms.changed(self._user)
        for name, (id_, new) in made.items():
            outcome[name] = {"id": id_, "expires": _utc_date(new.expires)}
        return outcome

    def _new(self, wanted: Mapping[str, Any]) -> PushSubscription:
        server_key = self._terms.server_key()
        if server_key is None:
            raise SetError("serverUnavailable", "The key of the server is not known yet.")
        if wanted["verificationCode"] is not None:
            raise invalid_properties(["verificationCode"], "The server sends it.")
        device = wanted["deviceClientId"]
        if not 0 < len(device) <= _MAX_NAME:
            raise invalid_properties(["deviceClientId"], f"It has 1 to {_MAX_NAME} characters.")
        p256dh, auth = _keys(wanted["keys"])
        return PushSubscription(
            device,
            self._url(wanted["url"]),
            p256dh,
            auth,
            code=secrets.token_hex(16),
            expires=_expires(wanted["expires"]),
            types=_types(wanted["types"]),
            server_key=server_key,
        )

    def _url(self, url: str) -> str:
        try:
            check_url(url, self._terms.networks)
        except BadUrl as error:
            raise invalid_properties(["url"], str(error)) from error
        return url

    # --- update and destroy ----------------------------------------------------------------------

    async def update(
        self, changes: dict[str, Change]
    ) -> dict[str, dict[str, Any] | SetError | None]:
        """The right code verifies a subscription; its lifetime and its types can be others."""
        outcome: dict[str, dict[str, Any] | SetError | None] = {}
        edits: dict[str, Callable[[PushSubscription], PushSubscription]] = {}
        for id_, change in changes.items():
            held = self._held.get(id_)
            try:
                if held is None:
                    raise SetError("notFound")
                edits[id_] = await self._edit(held, change.after)
                if not change.after.keys().isdisjoint({"expires", "emailPush"}):
                    await self._let_in(edits[id_](held))
            except SetError as error:
                outcome[id_] = error
            else:
                told = _utc_date(edits[id_](held).expires)
                differs = "expires" in change.after and told != change.after["expires"]
                outcome[id_] = {"expires": told} if differs else None
        await self._change(lambda now: {id_: edits[id_](now[id_]) for id_ in edits if id_ in now})
        return outcome | {id_: SetError("notFound") for id_ in edits.keys() - self._held.keys()}

    async def destroy(self, ids: Sequence[str]) -> dict[str, SetError | None]:
        """What is kept of them is gone at once."""
        there = {id_ for id_ in ids if id_ in self._held}
        await self._change(lambda now: {id_: None for id_ in there if id_ in now})
        return {id_: None if id_ in there else SetError("notFound") for id_ in ids}

    async def _edit(
        self, held: PushSubscription, after: Mapping[str, Any]
    ) -> Callable[[PushSubscription], PushSubscription]:
        """What is to be done to it. Raises SetError invalidProperties."""
        edit = _edit(held, after)
        if "emailPush" not in after:
            return edit
        wanted = await self._with_email_push(held, after["emailPush"])

        def edited(now: PushSubscription) -> PushSubscription:
            pushed = {of: now.pushed.get(of, state) for of, state in wanted.pushed.items()}
            return replace(edit(now), email_push=wanted.email_push, pushed=pushed)

        return edited

    async def _with_email_push(
        self, held: PushSubscription, value: dict[str, Any] | None
    ) -> PushSubscription:
        """The same, to be told of what comes from now on. Raises SetError invalidProperties."""
        terms = self._terms.email_push
        if value is None or terms is None:
            return replace(held, email_push=None, pushed={})
        configs: Configs = configs_of(value, terms.email, self._limits)
        if not held.has_keys:
            raise invalid_properties(["emailPush"], "It is pushed only encrypted: give keys, too.")
        with backend_errors():
            states = await terms.states(self._account, configs.keys())
        if unknown := configs.keys() - states.keys():
            raise invalid_properties(["emailPush"], f"There are no accounts {quoted(unknown)}.")
        return replace(held, email_push=configs, pushed=states)

    async def _let_in(self, held: PushSubscription) -> None:
        with backend_errors():
            await self._terms.let_in(self._account, bool(held.email_push))

    async def _change(self, edit: Callable[[Subscriptions], Edits]) -> None:
        if edit(self._held):
            self._held = await self._book.change(self._user, edit)
            self._terms.changed(self._user)


def members(id_: str, held: PushSubscription) -> dict[str, Any]:
    """All properties."""
    return {
        "id": id_,
        "deviceClientId": held.device_client_id,
        "url": held.url,
        "keys": {"p256dh": held.p256dh, "auth": held.auth} if held.has_keys else None,
        "verificationCode": held.code if held.is_verified else None,
        "expires": _utc_date(held.expires),
        "types": list(held.types) if held.types is not None else None,
        "emailPush": subscription.members(held.email_push),
    }


def _edit(
    held: PushSubscription, after: Mapping[str, Any]
) -> Callable[[PushSubscription], PushSubscription]:
    """What is to be done to it. Raises SetError invalidProperties."""
    new: dict[str, Any] = {}
    if "verificationCode" in after:
        code = after["verificationCode"]
        # Whoever has not got the code has not got the push.
        is_right = isinstance(code, str) and hmac.compare_digest(code.encode(), held.code.encode())
        if not is_right or held.stage not in (ASKED, VERIFIED):
            raise invalid_properties(["verificationCode"], "It is not the one that was sent.")
        new["stage"] = VERIFIED
    if "expires" in after:
        new["expires"] = _expires(after["expires"])
    if "types" in after:
        new["types"] = _types(after["types"])
    return lambda now: replace(now, **new)


def _keys(keys: Mapping[str, Any] | None) -> tuple[str, str] | tuple[None, None]:
    if keys is None:
        return None, None
    p256dh, auth = keys.get("p256dh"), keys.get("auth")
    if not isinstance(p256dh, str) or not isinstance(auth, str) or len(keys) > 2:
        raise invalid_properties(["keys"], 'It has the Strings "p256dh" and "auth".')
    try:
        Keys.parse(p256dh, auth)
    except BadKeys as error:
        raise invalid_properties(["keys"], str(error)) from error
    return p256dh, auth


def _types(types: list[str] | None) -> tuple[str, ...] | None:
    if types is None:
        return None
    if len(types) > _MAX_TYPES or not all(map(_TYPE.fullmatch, types)):
        raise invalid_properties(["types"], "They are not names of types.")
    return tuple(dict.fromkeys(types))


def _expires(wanted: str | None) -> float:
    """RFC 8620 §7.2: no later than the server allows."""
    now = time.time()
    if wanted is None:
        return now + MAX_SECONDS
    at = datetime.fromisoformat(wanted.replace(":60", ":59")).timestamp()
    if at <= now:
        raise invalid_properties(["expires"], "It is past.")
    return min(at, now + MAX_SECONDS)


def _utc_date(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
