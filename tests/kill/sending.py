"""F2: gateways that are killed, and answers that are lost, around the sending of messages.

Each message is asked to be sent until there is an answer, by the same request each time. However
that went, the submission server has taken it once; only where nobody can know whether it has may
that be never, and then the EmailSubmission says so.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp
from aiohttp.helpers import encode_basic_auth

from gateway.ext.submission.types import SUBMISSION
from gateway.mail.capability import MAIL
from tests.oracle.processes import Process
from tests.oracle.stores import StoreKind, open_store
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.smtp import AUTH, Script, SmtpServer, smtp_server

# Where the gateway is killed: when the submission server has come to this step.
_STEPS: Final = ("connect", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "end", "QUIT")
_WEIGHTS: Final = (1, 1, 1, 2, 2, 6, 8, 4)
LOST: Final = 0.35
# So many of the others are to leave a second later.
_HELD: Final = 0.2
_LONGEST_PAUSE: Final = 0.012
_ASK_SECONDS: Final = 60.0
_UNKNOWN: Final = "451 4.4.2 "

Answers = list[dict[str, Any]]
"""The arguments of the responses to the calls of a request."""


@dataclass(slots=True)
class Sent:
    """What came of all messages: by how it went, and whether they were taken."""

    messages: Counter[tuple[str, str]] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


class Sending:
    """Messages of one user, to a server that takes them all.

    lost: the share of those whose answer is lost; of the others, the gateway is killed.
    """

    def __init__(self, directory: Path, store: StoreKind, seed: str, lost: float = LOST) -> None:
        self.sent = Sent()
        self.lost = lost
        self._directory = directory
        self._kind = store
        self._rng = Random(seed)
        self._report: Callable[[str], None] = print

    async def run(self, count: int, report: Callable[[str], None]) -> Sent:
        """Send so many messages, each with a kill or a lost answer."""
        self._report = report
        imap = Dovecot()
        store = open_store(self._kind, self._directory)
        await asyncio.to_thread(imap.start)
        try:
            user = imap.add_user("ann@example.org", "correct horse")
            async with smtp_server(Script(AUTH)) as smtp:
                gateway = Process("one", self._directory, self._environment(imap, store.url, smtp))
                await _Campaign(self, gateway, smtp, user).run(count, self._rng)
        finally:
            imap.close()
            store.close()
        return self.sent

    def _environment(self, imap: Dovecot, store: str, smtp: SmtpServer) -> dict[str, str]:
        return {
            "JMAP_GATEWAY_SERVER__LISTEN": "127.0.0.1:0",
            "JMAP_GATEWAY_SERVER__ADMIN_LISTEN": "127.0.0.1:0",
            "JMAP_GATEWAY_SERVER__DATA_DIR": str(self._directory),
            "JMAP_GATEWAY_IMAP__URL": f"imap://127.0.0.1:{imap.imap_port}",
            "JMAP_GATEWAY_SMTP__URL": f"smtp://127.0.0.1:{smtp.port}",
            "JMAP_GATEWAY_STORE__URL": store,
            "ORACLE_PLAIN_FLAGS_SECONDS": "1.0",
            "ORACLE_VOUCHED_SECONDS": "1.0",
        }

    def note(self, number: int, how: str, outcome: str, violation: str | None) -> None:
        """What came of a message."""
        self.sent.messages[how, outcome] += 1
        if violation is not None:
            self.sent.violations.append(f"message {number}, {how}: {violation}")
            self._report(self.sent.violations[-1])
        if (number + 1) % 25 == 0:
            self._report(f"{number + 1} messages")


class _Campaign:
    def __init__(self, sending: Sending, gateway: Process, smtp: SmtpServer, user: User) -> None:
        self._sending = sending
        self._gateway = gateway
        self._smtp = smtp
        self._headers = {
            "Authorization": encode_basic_auth(user.username, user.password, encoding="utf-8")
        }
        self._address = user.username
        self._account = ""
        self._killed = asyncio.Event()

    async def run(self, count: int, rng: Random) -> None:
        self._gateway.start()
        try:
            async with aiohttp.ClientSession(headers=self._headers) as http:
                session = await self._get(http, "/.well-known/jmap")
                self._account = session["primaryAccounts"][SUBMISSION]
                identities = await self._ask(http, [["Identity/get", {"ids": None}, "0"]])
                identity = identities[0]["list"][0]["id"]
                mailboxes = await self._ask(http, [["Mailbox/get", {"ids": None}, "0"]])
                (inbox,) = [m["id"] for m in mailboxes[0]["list"] if m["role"] == "inbox"]
                for number in range(count):
                    await self._one(http, number, identity, inbox, rng)
        finally:
            self._gateway.stop(signal.SIGKILL)

    async def _one(
        self, http: aiohttp.ClientSession, number: int, identity: str, inbox: str, rng: Random
    ) -> None:
        """Send a message, with something that comes between."""
        subject = f"message {number}"
        email = {
            "mailboxIds": {inbox: True},
            "from": [{"email": self._address}],
            "to": [{"email": "rcpt@example.net"}],
            "subject": subject,
            "bodyStructure": {"partId": "1", "type": "text/plain"},
            "bodyValues": {"1": {"value": "x" * rng.choice((10, 1000, 100_000))}},
        }
        calls: list[Any] = [["Email/set", {"create": {"draft": email}}, "0"]]
        submit: dict[str, Any] = {"s": {"identityId": identity, "emailId": "#draft"}}
        is_held = rng.random() < _HELD * (1 - self._sending.lost)
        if is_held:
            mail_from = {"email": self._address, "parameters": {"HOLDFOR": "1"}}
            rcpt_to = [{"email": "rcpt@example.net"}]
            submit["s"]["envelope"] = {"mailFrom": mail_from, "rcptTo": rcpt_to}
        if rng.random() < 0.7:  # the message is there already
            made = await self._ask(http, calls)
            submit["s"]["emailId"] = made[0]["created"]["draft"]["id"]
            calls = []
        calls.append(["EmailSubmission/set", {"create": submit}, "1"])
        how, answers = await self._disturb(http, calls, rng, is_held=is_held)
        # Whoever has an answer asks no more.
        created = (answers or await self._until_answered(http, calls))[-1]["created"]["s"]
        shown = await self._settled(http, created["id"])
        taken = sum(subject.encode() + b"\r\n" in each.octets for each in self._smtp.messages)
        (status,) = shown["deliveryStatus"].values()
        is_unknown = status["smtpReply"].startswith(_UNKNOWN)
        outcome = "unknown, " * is_unknown + ("taken" if taken else "not taken")
        violation = None
        if taken > 1:
            violation = f"taken {taken} times"
        elif not (taken or is_unknown):
            violation = f"never taken, and told to be: {shown}"
        self._sending.note(number, how, outcome, violation)
        self._smtp.messages.clear()
        self._smtp.commands.clear()

    async def _settled(self, http: aiohttp.ClientSession, id_: str) -> dict[str, Any]:
        """The EmailSubmission once it has left."""
        async with asyncio.timeout(_ASK_SECONDS):
            while True:
                answers = await self._ask(http, [["EmailSubmission/get", {"ids": [id_]}, "0"]])
                shown: dict[str, Any] = answers[0]["list"][0]
                if shown["undoStatus"] == "final":
                    return shown
                await asyncio.sleep(0.1)

    # --- what comes between ----------------------------------------------------------------------

    async def _disturb(
        self, http: aiohttp.ClientSession, calls: list[Any], rng: Random, *, is_held: bool
    ) -> tuple[str, Answers | None]:
        """What was done, and the answers if there were any all the same."""
        if not is_held and rng.random() < self._sending.lost:
            return await self._lose(http, calls, rng.random() * _LONGEST_PAUSE * 4)
        (step,) = rng.choices(_STEPS, _WEIGHTS)
        pause = rng.choice((0.0, 0.0, rng.random() * _LONGEST_PAUSE))
        return await self._kill(http, calls, step, pause, is_held=is_held)

    async def _lose(
        self, http: aiohttp.ClientSession, calls: list[Any], seconds: float
    ) -> tuple[str, Answers | None]:
        """Leave before the answer comes."""
        try:
            async with asyncio.timeout(seconds):
                return "answered", await self._ask(http, calls)
        except TimeoutError:
            return "the client left", None

    async def _kill(
        self,
        http: aiohttp.ClientSession,
        calls: list[Any],
        step: str,
        pause: float,
        *,
        is_held: bool,
    ) -> tuple[str, Answers | None]:
        """Kill the gateway when the server has come to a step, or a moment later."""
        fired = asyncio.Event()

        async def before(name: str) -> None:
            if name != step or fired.is_set():
                return
            fired.set()
            if pause:
                asyncio.get_running_loop().call_later(pause, self._gateway.shoot)
            else:
                self._gateway.shoot()

        self._smtp.before = before
        answers = None
        with suppress(aiohttp.ClientError):
            answers = await self._ask(http, calls)
        if is_held:
            async with asyncio.timeout(_ASK_SECONDS):
                await fired.wait()
        self._smtp.before = None
        await asyncio.sleep(pause)
        if fired.is_set():
            await asyncio.to_thread(self._gateway.stop, signal.SIGKILL)
            self._gateway.start()
        how = f"killed at {step}{' or after' * bool(pause)}{', answered' * bool(answers)}"
        how += ", held" * is_held
        return how, answers

    # --- requests --------------------------------------------------------------------------------

    async def _until_answered(self, http: aiohttp.ClientSession, calls: list[Any]) -> Answers:
        """The same request until the message is created."""
        async with asyncio.timeout(_ASK_SECONDS):
            while True:
                try:
                    answers = await self._ask(http, calls)
                except aiohttp.ClientError:
                    continue
                if answers[-1].get("created") is not None:
                    return answers

    async def _url(self) -> str:
        host, port = await asyncio.to_thread(self._gateway.address)
        return f"http://{host}:{port}"

    async def _get(self, http: aiohttp.ClientSession, path: str) -> dict[str, Any]:
        async with http.get(await self._url() + path) as response:
            found: dict[str, Any] = await response.json()
            return found

    async def _ask(self, http: aiohttp.ClientSession, calls: list[Any]) -> Answers:
        named = [
            [name, {"accountId": self._account, **arguments}, id_] for name, arguments, id_ in calls
        ]
        body = {"using": [MAIL, SUBMISSION], "methodCalls": named}
        async with http.post(await self._url() + "/jmap/api", json=body) as response:
            answers = (await response.json())["methodResponses"]
        return [arguments for _, arguments, _ in answers]
