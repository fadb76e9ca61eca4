"""A gateway that pushes to a push service, and a client of it that subscribes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.app.harness import Client, client_of, settings
from tests.servers.mail_server import MailServer, User
from tests.servers.push_service import Arrived, PushService, Subscription

CORE = ["urn:ietf:params:jmap:core"]
VAPID = "urn:ietf:params:jmap:webpush-vapid"
KEYS = "correct-horse-battery-staple-0123456789"


class Refused(Exception):
    """A call, or the creation of an object, ended in an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.type: str = error["type"]
        self.properties: list[str] = error.get("properties", [])


@dataclass
class Subscriber:
    """A client with a device at a push service."""

    client: Client

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Raises Refused."""
        body = {"using": CORE, "methodCalls": [[method, arguments, "0"]]}
        url = f"{self.client.url}/jmap/api"
        response = await self.client.http.post(url, json=body, headers=self.client.headers)
        assert response.status == 200, await response.text()
        [[name, answer, _]] = (await response.json())["methodResponses"]
        if name == "error":
            raise Refused(answer)
        assert name == method
        found: dict[str, Any] = answer
        return found

    async def create(self, url: str, **properties: Any) -> dict[str, Any]:
        """What is told of a new subscription. Raises Refused."""
        wanted = {"deviceClientId": "a889-ffea-910", "url": url, **properties}
        answer = await self.call("PushSubscription/set", create={"new": wanted})
        if answer["notCreated"]:
            raise Refused(answer["notCreated"]["new"])
        created: dict[str, Any] = answer["created"]["new"]
        return created

    async def update(self, id_: str, **patch: Any) -> dict[str, Any] | None:
        """What is told besides. Raises Refused."""
        answer = await self.call("PushSubscription/set", update={id_: patch})
        if answer["notUpdated"]:
            raise Refused(answer["notUpdated"][id_])
        updated: dict[str, Any] | None = answer["updated"][id_]
        return updated

    async def all(self) -> list[dict[str, Any]]:
        """The subscriptions there are."""
        found: list[dict[str, Any]] = (await self.call("PushSubscription/get", ids=None))["list"]
        return found

    async def subscribe(self, device: Subscription, **properties: Any) -> str:
        """Have a verified subscription; its id."""
        created = await self.create(device.url, keys=device.keys, **properties)
        verification = await device.next()
        assert verification.json["@type"] == "PushVerification"
        assert verification.json["pushSubscriptionId"] == created["id"]
        await self.update(created["id"], verificationCode=verification.json["verificationCode"])
        id_: str = created["id"]
        return id_


def changed(push: Arrived) -> dict[str, dict[str, str]]:
    """The `changed` of a StateChange."""
    assert push.json["@type"] == "StateChange"
    found: dict[str, dict[str, str]] = push.json["changed"]
    return found


@asynccontextmanager
async def subscriber(
    server: MailServer,
    user: User,
    service: PushService,
    data_dir: Path,
    *,
    sign_in: bool = True,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Subscriber]:
    """A client of a gateway that keeps passwords, unless the environment says something else."""
    if environment is None:
        environment = {"JMAP_GATEWAY_PUSH__PASSWORD_KEYS": KEYS}
    configured = settings(
        server,
        data_dir,
        JMAP_GATEWAY_PUSH__NETWORKS="127.0.0.0/8",
        JMAP_GATEWAY_PUSH__CA_FILE=str(service.certificates.authority),
        **environment,
    )
    async with client_of(configured, user) as client:
        if sign_in:
            await client.session()
        yield Subscriber(client)
