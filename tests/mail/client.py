"""A JMAP client inside the process: requests go to the dispatcher, over a real IMAP server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.ext.blob import BLOB
from gateway.ext.registry import METHODS, types
from gateway.imap.connection import Endpoint
from gateway.jmap import ijson
from gateway.jmap.dispatch import Context, dispatch
from gateway.jmap.envelope import Invocation, parse_request
from gateway.jmap.limits import DEFAULTS
from gateway.jmap.registry import AccountRef, Registry
from gateway.mail.blob import open_blob
from gateway.mail.capability import MAIL
from gateway.sasl import Credentials
from gateway.store.base import Store
from gateway.store.opening import open_store
from gateway.sync.account import Account
from gateway.sync.accounts import Accounts, Settings
from gateway.sync.sieve_access import SieveSettings
from gateway.sync.turns import Turns
from tests.servers.mail_server import MailServer, User

REGISTRY = Registry(types(), METHODS)


class Refused(Exception):
    """A method call ended in an error; `type` as in RFC 8620 §3.6.2."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__(arguments)
        self.type: str = arguments["type"]


class Client:
    """One user's account. What a method should never have raised is raised again here.

    accounts: by id, with those of others that the user may use as well. using, capabilities: what
    requests name, and what the accounts have.
    """

    def __init__(
        self, account: Account, gateway: Accounts | None = None, registry: Registry = REGISTRY
    ) -> None:
        self.account = account
        self._gateway = gateway
        self._registry = registry
        self.accounts = {account.id: account}
        self.using = [MAIL]
        self.capabilities = frozenset({MAIL, BLOB})
        self._unexpected: list[Exception] = []

    async def shared(self) -> dict[str, Client]:
        """What others share with the user, by the names of its accounts."""
        assert self._gateway is not None
        found = {}
        for id_, share in (await self._gateway.shared(self.account, 0.0)).items():
            account = await self._gateway.open(self.account, id_)
            assert account is not None
            found[share.name] = Client(account)
        return found

    async def request(self, *calls: tuple[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
        """The responses to calls of one request; `accountId` is added, call ids are "0", "1"..."""
        # What is answered can be sent.
        sent: dict[str, Any] = ijson.decode(await self.encoded(*calls), max_depth=256)
        return [(name, arguments) for name, arguments, _ in sent["methodResponses"]]

    async def encoded(self, *calls: tuple[str, dict[str, Any]]) -> bytes:
        """The Response to calls of one request, as it is sent."""
        invocations = [
            [name, {"accountId": self.account.id, **arguments}, str(number)]
            for number, (name, arguments) in enumerate(calls)
        ]
        value = {"using": self.using, "methodCalls": invocations}
        request = parse_request(value, DEFAULTS, self._registry.capabilities)
        accounts = {
            id_: AccountRef(account, self.capabilities, is_read_only=False)
            for id_, account in self.accounts.items()
        }
        give_turn = Turns().give
        context = Context(accounts, DEFAULTS, "state", self._registry, self._on_error, give_turn)
        response = await dispatch(request, context)
        if self._unexpected:
            raise self._unexpected.pop()
        return b"".join(response)

    def _on_error(self, error: Exception, _invocation: Invocation) -> None:
        self._unexpected.append(error)

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The arguments of the response to one call. Raises Refused."""
        ((answered, members),) = await self.request((name, arguments))
        if answered == "error":
            raise Refused(members)
        assert answered == name
        return members

    async def mailboxes(self, *properties: str) -> list[dict[str, Any]]:
        """All Mailboxes."""
        got = await self.call("Mailbox/get", ids=None, properties=list(properties) or None)
        found: list[dict[str, Any]] = got["list"]
        return found

    async def paths(self) -> dict[str, str]:
        """Ids of all Mailboxes by path ("Work/Reports")."""
        mailboxes = {m["id"]: m for m in await self.mailboxes("name", "parentId")}

        def path(id_: str) -> str:
            mailbox = mailboxes[id_]
            parent = mailbox["parentId"]
            return f"{path(parent)}/{mailbox['name']}" if parent else str(mailbox["name"])

        return {path(id_): id_ for id_ in mailboxes}

    async def query(self, filter: Any = None, sort: Any = None, **arguments: Any) -> list[str]:
        """Ids that an Email/query gives."""
        answer = await self.call("Email/query", filter=filter, sort=sort, **arguments)
        ids: list[str] = answer["ids"]
        return ids

    async def emails(
        self, ids: list[str] | None = None, properties: list[str] | None = None, **arguments: Any
    ) -> list[dict[str, Any]]:
        """Emails by id, all of them without ids."""
        wanted = await self.query() if ids is None else ids
        got = await self.call("Email/get", ids=wanted, properties=properties, **arguments)
        assert got["notFound"] == []
        found: list[dict[str, Any]] = got["list"]
        return found

    async def email(self, *properties: str, **arguments: Any) -> dict[str, Any]:
        """The only Email of the account."""
        (found,) = await self.emails(properties=list(properties) or None, **arguments)
        return found

    async def blob(self, blob_id: str) -> bytes | None:
        """The octets of a blob."""
        blob = await open_blob(self.account, blob_id)
        return None if blob is None else b"".join([chunk async for chunk in blob.chunks()])


@asynccontextmanager
async def connected(
    server: MailServer,
    user: User,
    directory: Path,
    store: Store | None = None,
    port: int | None = None,
    sieve: SieveSettings | None = None,
) -> AsyncIterator[Client]:
    """A client of a gateway that was just started, by default with nothing in its store.

    `port` is that of somebody between the gateway and the server; `sieve` where scripts are.
    """
    endpoint = Endpoint("127.0.0.1", port or server.imap_port, "plain")
    store = store or open_store("memory://", b"x" * 32, directory)
    accounts = Accounts(Settings(endpoint, None, sieve=sieve), store)
    try:
        account = await accounts.login(Credentials(user.username, user.password), "10.0.0.1")
        yield Client(account, accounts)
    finally:
        await accounts.close()
