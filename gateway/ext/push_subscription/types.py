"""RFC 8620 §7.2: the PushSubscription type, as the JMAP core is told of it."""

from __future__ import annotations

from typing import Final

from gateway.ext.push_subscription.email_push import KIND
from gateway.ext.push_subscription.setting import Sets, Terms, members
from gateway.ext.push_subscription.subscriptions import Book
from gateway.jmap.call import CORE
from gateway.jmap.errors import MethodError
from gateway.jmap.kinds import OBJECT, STRING, STRING_LIST, UTC_DATE, nullable
from gateway.jmap.settable import Set, Settable
from gateway.jmap.spec import DataType, Get, GetRequest, GetResult, Property
from gateway.mail.backend import backend
from gateway.sync.account import Account

_STORE: Final = frozenset({"STORE"})
_NEVER_TOLD: Final = frozenset({"url", "keys"})


def _property(name: str, settable: Settable) -> Property:
    return Property(name, _STORE, default=name not in _NEVER_TOLD, settable=settable)


_EMAIL_PUSH: Final = _property("emailPush", Settable(nullable(KIND), initial=None))


def push_subscription(book: Book, terms: Terms) -> DataType:
    """The type."""

    @backend
    async def load(account: Account, request: GetRequest) -> GetResult:
        """RFC 8620 §7.2.1. Where pushes go to is the client's own secret."""
        if not _NEVER_TOLD.isdisjoint(request.properties):
            raise MethodError("forbidden", "The url and the keys are not told.")
        held = await book.of(account.id)
        return GetResult(
            "",
            {
                id_: {name: members(id_, each)[name] for name in request.properties}
                for id_, each in held.items()
            },
        )

    return DataType(
        "PushSubscription",
        CORE,
        "RFC 8620 §7.2",
        properties=(
            _property("deviceClientId", Settable(STRING, immutable=True)),
            _property("url", Settable(STRING, immutable=True)),
            _property("keys", Settable(nullable(OBJECT), initial=None, immutable=True)),
            _property("verificationCode", Settable(nullable(STRING), initial=None)),
            _property("expires", Settable(nullable(UTC_DATE), initial=None)),
            _property("types", Settable(nullable(STRING_LIST), initial=None)),
            *(() if terms.email_push is None else (_EMAIL_PUSH,)),
        ),
        get=Get(load, sources=_STORE),
        set=Set(Sets(book, terms).open),
        of_user=True,
    )
