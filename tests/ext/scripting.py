"""RFC 9661, RFC 8621 §8: what the tests of scripts and vacation responses do all the time."""

from __future__ import annotations

import email
from collections.abc import Callable, Coroutine
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from gateway.ext.sieve import SIEVE, VACATION
from gateway.managesieve import scripts
from gateway.managesieve.connection import Connection
from gateway.sasl import Credentials
from gateway.sync.sieve_access import SieveSettings
from tests.mail.client import Client
from tests.mail.conftest import Connect
from tests.mail.uploading import upload
from tests.managesieve.peers import url
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User

SENDER = "jo@example.org"
FILING = b'require ["fileinto", "mailbox"]; # mine\r\nfileinto :create "Filed";\r\n'


def settings(port: int, **seconds: float) -> SieveSettings:
    """Of a server that listens on a port, without TLS."""
    return SieveSettings(url(port), None, **seconds)


class Person:
    """A user with a JMAP client, with whom other programs share the scripts, and who gets mail."""

    def __init__(self, server: Dovecot | Cyrus, user: User, client: Client) -> None:
        self.server = server
        self.user = user
        self.client = client
        self._letters = 0

    @classmethod
    async def of(
        cls, connect: Connect, server: Dovecot | Cyrus, user: User | None = None, **options: Any
    ) -> Person:
        """A user of a server, by default a new one, with a gateway that was just started."""
        user = user or server.add_user()
        options.setdefault("sieve", settings(server.ports.sieve))
        client = await connect(server, user, **options)
        client.using = [*client.using, SIEVE]
        client.capabilities |= {SIEVE, VACATION}
        return cls(server, user, client)

    # --- over JMAP -------------------------------------------------------------------------------

    async def scripts(self) -> dict[str, dict[str, Any]]:
        """All SieveScripts by name."""
        got = await self.client.call("SieveScript/get", ids=None)
        return {script["name"]: script for script in got["list"]}

    async def active(self) -> list[str]:
        """The names of those that are shown as active."""
        return [name for name, script in (await self.scripts()).items() if script["isActive"]]

    async def upload(self, content: bytes) -> str:
        """The id of a blob."""
        return await upload(self.client, content)

    async def set(self, **arguments: Any) -> dict[str, Any]:
        """The response to a SieveScript/set, without the members that say nothing."""
        response = await self.client.call("SieveScript/set", **arguments)
        return {name: value for name, value in response.items() if value is not None}

    async def create(self, name: str, content: bytes, *, activate: bool = False) -> str:
        """Create a script that nothing speaks against; its id."""
        new = {"name": name, "blobId": await self.upload(content)}
        then = {"onSuccessActivateScript": "#k"} if activate else {}
        made = await self.set(create={"k": new}, **then)
        assert made["created"]["k"]["isActive"] == activate
        id_: str = made["created"]["k"]["id"]
        return id_

    async def content(self, name: str) -> bytes | None:
        """What is to be downloaded of a script."""
        return await self.client.blob((await self.scripts())[name]["blobId"])

    async def vacation(self) -> dict[str, Any]:
        """The VacationResponse."""
        [found] = (await self.client.call("VacationResponse/get", ids=["singleton"]))["list"]
        assert isinstance(found, dict)
        return found

    async def answers(self, **properties: Any) -> dict[str, Any] | None:
        """Update the VacationResponse; why that was not done, if it was not."""
        arguments = {"update": {"singleton": properties}}
        response = await self.client.call("VacationResponse/set", **arguments)
        if response["notUpdated"] is not None:
            error: dict[str, Any] = response["notUpdated"]["singleton"]
            return error
        assert response["updated"] == {"singleton": None}
        return None

    # --- by another program ----------------------------------------------------------------------

    async def other(self, work: Callable[[Connection], Coroutine[Any, Any, Any]]) -> Any:
        """What another program does with the scripts."""
        connection = await Connection.open(url(self.server.ports.sieve), None)
        await connection.login(Credentials(self.user.username, self.user.password))
        try:
            return await work(connection)
        finally:
            await connection.close()

    async def other_has(self, name: str, content: bytes, *, active: bool = False) -> None:
        """Another program stores a script."""

        async def store(connection: Connection) -> None:
            await scripts.put_script(connection, name, content)
            if active:
                await scripts.set_active(connection, name)

        await self.other(store)

    async def stored(self) -> dict[str, tuple[bool, bytes]]:
        """What another program finds: whether scripts are active, and what is in them."""

        async def find(connection: Connection) -> dict[str, tuple[bool, bytes]]:
            return {
                name: (active, await scripts.get_script(connection, name))
                for name, active in await scripts.list_scripts(connection)
            }

        found: dict[str, tuple[bool, bytes]] = await self.other(find)
        return found

    # --- mail ------------------------------------------------------------------------------------

    def gets(self, sender: str = SENDER, **fields: str) -> list[EmailMessage]:
        """Deliver a message, and give what was answered."""
        letter = EmailMessage(policy=SMTP)
        letter["From"] = sender
        letter["To"] = fields.pop("To", self.user.username)
        letter["Subject"] = "Hello"
        self._letters += 1  # Cyrus delivers nothing twice
        letter["Message-ID"] = f"<{self._letters}@example.org>"
        for name, value in fields.items():
            letter[name.replace("_", "-")] = value
        letter.set_content("Are you there?")
        self.server.deliver(self.user, letter.as_bytes(), sender)
        return [email.message_from_bytes(each, policy=SMTP) for each in self.server.outbox()]

    def count(self, mailbox: str) -> int:
        """How many messages are in a mailbox."""
        with self.server.imap(self.user) as client:
            status, data = client.select(mailbox, readonly=True)
            return int(data[0] or 0) if status == "OK" else 0
