"""RFC 8620 §7.2: a PushSubscription, as a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack

from gateway.ext.push_subscription.email_push import Configs, config_of
from gateway.sync.records import Value

VERIFIED: Final = "verified"
ASKED: Final = "asked"
NEW: Final = "new"
"""Where its verification stands: no PushVerification was sent yet; one was; the code was given."""

Hide = Callable[[bytes], bytes]
Reveal = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class PushSubscription:
    """A subscription. `expires` is in seconds since 1970; types None: all.

    p256dh, auth: the keys as the client gave them, None without any. stage: NEW, ASKED or VERIFIED.
    server_key: the application server key that was announced when it was made (RFC 9749 §4).
    told: the id (gateway.push.changes) of what the client was told last. pushed: the states of
    EmailDelivery, by account id, up to which new mail was pushed.
    """

    device_client_id: str
    url: str = field(repr=False)
    p256dh: str | None = field(repr=False)
    auth: str | None = field(repr=False)
    code: str = field(repr=False)
    expires: float
    types: tuple[str, ...] | None
    server_key: str
    stage: str = NEW
    told: str = ""
    email_push: Configs | None = field(default=None, repr=False)
    pushed: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_verified(self) -> bool:
        """Whether pushes may be sent."""
        return self.stage == VERIFIED

    @property
    def has_keys(self) -> bool:
        """Whether pushes are encrypted."""
        return self.p256dh is not None and self.auth is not None

    @property
    def wanted(self) -> frozenset[str] | None:
        """The types that the client wants to hear of; None: all."""
        return frozenset(self.types) if self.types is not None else None

    def value(self, hide: Hide) -> Value:
        """What is kept of it; where it goes, and what mail is about, is for nobody to read."""
        private = msgpack.packb([self.url, self.p256dh, self.auth, self.code])
        configs = members(self.email_push)
        return {
            "device": self.device_client_id,
            "private": hide(private),
            "expires": self.expires,
            "types": list(self.types) if self.types is not None else None,
            "server_key": self.server_key,
            "stage": self.stage,
            "told": self.told,
            "email_push": hide(msgpack.packb(configs)) if configs is not None else None,
            "pushed": dict(self.pushed),
        }


def members(configs: Configs | None) -> dict[str, Any] | None:
    """The property emailPush."""
    if configs is None:
        return None
    return {account_id: config.members() for account_id, config in configs.items()}


def of(value: Value, reveal: Reveal) -> PushSubscription | None:
    """Inverse of PushSubscription.value; None if it was hidden with a secret that is gone."""
    private = reveal(value["private"])
    if private is None:
        return None
    url, p256dh, auth, code = msgpack.unpackb(private)
    types: list[Any] | None = value["types"]
    return PushSubscription(
        value["device"],
        url,
        p256dh,
        auth,
        code,
        value["expires"],
        tuple(types) if types is not None else None,
        value["server_key"],
        value["stage"],
        value["told"],
        _configs(value.get("email_push"), reveal),
        value.get("pushed", {}),
    )


def _configs(hidden: bytes | None, reveal: Reveal) -> Configs | None:
    octets = reveal(hidden) if hidden is not None else None
    if octets is None:
        return None
    return {account_id: config_of(each) for account_id, each in msgpack.unpackb(octets).items()}
