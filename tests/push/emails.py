"""New mail, and the EmailPush objects that tell of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tests.push.subscribing import Subscriber
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import Message, User
from tests.servers.push_service import Arrived, Subscription
from tests.sync.letters import letter

SECONDS = 30


async def arrive(server: Dovecot, user: User, *letters: Message, mailbox: str = "INBOX") -> None:
    await asyncio.to_thread(server.append_all, user, mailbox, letters)


def config(*properties: str, **further: Any) -> dict[str, Any]:
    return {"filter": None, "properties": list(properties), **further}


def pushed(push: Arrived) -> list[dict[str, Any]]:
    """The `emails` of an EmailPush."""
    assert push.json["@type"] == "EmailPush"
    found: list[dict[str, Any]] = push.json["emails"]
    return found


async def subjects(device: Subscription, count: int) -> list[str]:
    """Those of so many Emails, in as many pushes as it takes."""
    found: list[str] = []
    while len(found) < count:
        found += [email["subject"] for email in pushed(await device.next())]
    return found


async def known(phone: Subscriber, count: int) -> None:
    """Wait until the gateway knows so many Emails."""
    async with asyncio.timeout(SECONDS):
        while (await phone.client.call("Email/query", calculateTotal=True))["total"] < count:
            await asyncio.sleep(0.02)


def matters(numbers: Iterable[int]) -> list[str]:
    return [f"matter {number}" for number in numbers]


def long_letter(number: int, octets: int) -> Message:
    """One whose header field X-Long has about so many octets."""
    plain = letter(number)
    return replace(plain, octets=b"X-Long: " + b"x" * octets + b"\r\n" + plain.octets)
