"""The whole gateway in front of a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession, encode_basic_auth

from gateway import config
from gateway.app import running
from tests.servers.mail_server import MailServer, User

MAIL = "urn:ietf:params:jmap:mail"
USING = ["urn:ietf:params:jmap:core", MAIL]


def settings(server: MailServer, data_dir: Path, **environment: str) -> config.Config:
    """Give a configuration on free ports, with a store of its own."""
    return config.load(
        None,
        {
            "JMAP_GATEWAY_SERVER__LISTEN": "127.0.0.1:0",
            "JMAP_GATEWAY_SERVER__ADMIN_LISTEN": "127.0.0.1:0",
            "JMAP_GATEWAY_SERVER__DATA_DIR": str(data_dir),
            "JMAP_GATEWAY_IMAP__URL": f"imap://127.0.0.1:{server.imap_port}",
            **environment,
        },
        {},
    )


class Client:
    """A JMAP client of one user."""

    def __init__(self, http: ClientSession, url: str, user: User) -> None:
        self.http = http
        self.url = url
        credentials = encode_basic_auth(user.username, user.password, encoding="utf-8")
        self.headers = {"Authorization": credentials}
        self.account_id = ""

    async def get(self, path: str, **options: Any) -> ClientResponse:
        """GET a path of the service."""
        return await self.http.get(self.url + path, headers=self.headers, **options)

    async def session(self) -> dict[str, Any]:
        """Give the Session object, which must be there."""
        response = await self.get("/.well-known/jmap")
        assert response.status == 200, await response.text()
        session: dict[str, Any] = await response.json()
        self.account_id = session["primaryAccounts"][MAIL]
        return session

    async def post(self, *calls: list[Any]) -> ClientResponse:
        """POST method calls."""
        body = {"using": USING, "methodCalls": calls}
        return await self.http.post(f"{self.url}/jmap/api", json=body, headers=self.headers)

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Give the arguments of the response to one call on the account."""
        if not self.account_id:
            await self.session()
        response = await self.post([method, {"accountId": self.account_id, **arguments}, "0"])
        assert response.status == 200, await response.text()
        [[name, answer, _]] = (await response.json())["methodResponses"]
        assert name == method, answer
        assert isinstance(answer, dict)
        return answer


@asynccontextmanager
async def client_of(settings: config.Config, user: User) -> AsyncIterator[Client]:
    """Start a gateway and give a client of it."""
    async with running(settings) as url, ClientSession() as http:
        yield Client(http, url, user)
