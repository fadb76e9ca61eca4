"""A client of a gateway that sends, and what its submission server gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from limits import RateLimitItem

from gateway.config import SmtpUrl
from gateway.ext.registry import methods, types
from gateway.ext.submission.addresses import AddressBook
from gateway.ext.submission.service import SignIn, Submission
from gateway.ext.submission.types import SUBMISSION
from gateway.imap.connection import Endpoint
from gateway.jmap.registry import Registry
from gateway.mail.capability import MAIL
from gateway.sasl import Credentials
from gateway.smtp.connection import Server
from gateway.store.base import Store
from gateway.store.opening import open_store
from gateway.store.windows import Windows
from gateway.sync.accounts import Accounts, Settings
from gateway.sync.budgets import Budgets, Kind
from tests.mail.client import Client
from tests.servers.mail_server import MailServer, User

SECRET = b"x" * 32


class SendingClient(Client):
    """A user who sends from LOGIN@example.org; `identity` is the id of that Identity.

    service: what the gateway sends with.
    """

    identity: str
    address: str
    service: Submission

    async def draft(self, **properties: Any) -> str:
        """A new Email in the inbox, of the user, to rcpt@example.net; its id."""
        email = {
            "mailboxIds": {(await self.paths())["Inbox"]: True},
            "keywords": {"$draft": True, "$seen": True},
            "from": [{"email": self.address}],
            "to": [{"email": "rcpt@example.net"}],
            "subject": "hello",
            "bodyStructure": {"partId": "1", "type": "text/plain"},
            "bodyValues": {"1": {"value": "good day\n.\n..dots\n"}},
            **properties,
        }
        answer = await self.call("Email/set", create={"d": email})
        id_: str = answer["created"]["d"]["id"]
        return id_

    async def submit(self, email_id: str, **properties: Any) -> dict[str, Any]:
        """What is created, or the SetError."""
        wanted = {"identityId": self.identity, "emailId": email_id, **properties}
        answer = await self.call("EmailSubmission/set", create={"s": wanted})
        outcome: dict[str, Any] = (answer["created"] or answer["notCreated"])["s"]
        return outcome

    async def submission(self, id_: str) -> dict[str, Any] | None:
        """An EmailSubmission as it is now."""
        answer = await self.call("EmailSubmission/get", ids=[id_])
        found: list[dict[str, Any]] = answer["list"]
        return found[0] if found else None


@asynccontextmanager
async def sending(
    imap: MailServer,
    user: User,
    directory: Path,
    smtp_port: int,
    *,
    store: Store | None = None,
    sign_in: SignIn | None = None,
    seconds: float = 20.0,
    budgets: Mapping[Kind, RateLimitItem] | None = None,
    **options: Any,
) -> AsyncIterator[SendingClient]:
    """A client of a gateway whose users sign in with the submission server, unless told else."""
    store = store or open_store("memory://", SECRET, directory)
    accounts = Accounts(Settings(Endpoint("127.0.0.1", imap.imap_port, "plain"), None), store)
    server = Server(SmtpUrl.parse(f"smtp://127.0.0.1:{smtp_port}"), None, seconds, seconds, seconds)
    book = AddressBook(["{local}@example.org"], None)
    submission = Submission(
        *(store.durable, accounts, server, sign_in or SignIn(as_user=True), book),
        Budgets(Windows(None, SECRET), budgets or {}),
        **options,
    )
    working = asyncio.create_task(submission.run())
    try:
        account = await accounts.login(Credentials(user.username, user.password), "10.0.0.1")
        client = SendingClient(account, accounts, Registry(types(submission), methods(submission)))
        client.service = submission
        client.using = [MAIL, SUBMISSION]
        client.capabilities |= {SUBMISSION}
        (shown,) = (await client.call("Identity/get", ids=None))["list"]
        client.identity, client.address = shown["id"], shown["email"]
        yield client
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        await accounts.close()
