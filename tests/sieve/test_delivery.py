"""RFC 8621 §8, RFC 5230: what Dovecot's Sieve makes of it when mail is delivered."""

from __future__ import annotations

import email
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from gateway.managesieve import scripts
from gateway.managesieve.connection import Connection
from gateway.sasl import Credentials
from gateway.sieve import installation
from gateway.sieve.installation import Activate, Delete, OwnVacation, Put, State, Stored
from gateway.sieve.vacation import DEFAULT_TEXT, Vacation
from tests.managesieve.peers import url
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options
from tests.servers.mail_server import User

SENDER = "jo@example.org"
FILING = b'require ["fileinto", "mailbox"]; # mine\r\nfileinto :create "Filed";\r\n'


class Person:
    """A user whose response is set, and to whom mail is delivered."""

    def __init__(self, server: Dovecot, user: User, connection: Connection) -> None:
        self.server = server
        self.user = user
        self.connection = connection

    async def stored(self) -> list[Stored]:
        """All scripts."""
        return [
            Stored(name, active, await scripts.get_script(self.connection, name))
            for name, active in await scripts.list_scripts(self.connection)
        ]

    async def has(self, name: str, content: bytes) -> None:
        """Have a script of the user's own, the active one."""
        await scripts.put_script(self.connection, name, content)
        await scripts.set_active(self.connection, name)

    async def sets(self, vacation: Vacation) -> None:
        """Set the response; what is read then is what was set, and nothing is left to do."""
        before = await self.stored()
        script = installation.read(before).script
        extensions = self.connection.capabilities.extensions
        for step in installation.steps(extensions, before, vacation, script):
            match step:
                case Put(name, content):
                    await scripts.put_script(self.connection, name, content)
                case Activate(name):
                    await scripts.set_active(self.connection, name)
                case Delete(name):
                    await scripts.delete_script(self.connection, name)
        after = await self.stored()
        assert installation.read(after) == State(vacation, script)
        assert installation.steps(extensions, after, vacation, script) == []

    def gets(self, sender: str = SENDER, **fields: str) -> list[EmailMessage]:
        """Deliver a message, and give what was answered."""
        letter = EmailMessage(policy=SMTP)
        letter["From"] = sender
        letter["To"] = fields.pop("To", self.user.username)
        letter["Subject"] = "Hello"
        letter["Message-ID"] = "<hello@example.org>"
        for name, value in fields.items():
            letter[name.replace("_", "-")] = value
        letter.set_content("Are you there?")
        self.server.deliver(self.user, letter.as_bytes(), sender)
        answers = [email.message_from_bytes(each, policy=SMTP) for each in self.server.outbox()]
        assert all(isinstance(answer, EmailMessage) for answer in answers)
        return answers

    def count(self, mailbox: str) -> int:
        """How many messages are in a mailbox."""
        with self.server.imap(self.user) as client:
            status, data = client.select(mailbox, readonly=True)
            return int(data[0] or 0) if status == "OK" else 0


@pytest.fixture(scope="session")
def _without_include() -> Iterator[Dovecot]:
    options = Options(sieve=True, extra="plugin {\n sieve_extensions = -include\n}")
    with Dovecot(options) as server:
        yield server


@pytest.fixture(params=["include", "no include"])
async def person(
    request: pytest.FixtureRequest, pigeonhole: Dovecot, _without_include: Dovecot
) -> AsyncIterator[Person]:
    """Give a user of a server with include, and of one without it."""
    server = pigeonhole if request.param == "include" else _without_include
    user = server.add_user()
    connection = await Connection.open(url(server.ports.sieve), None)
    await connection.login(Credentials(user.username, user.password))
    assert ("include" in connection.capabilities.extensions) == (request.param == "include")
    yield Person(server, user, connection)
    await connection.close()


def _text(message: Any) -> str:
    part = message.get_body(("plain",))
    content: str = part.get_content()
    return content.replace("\r\n", "\n").rstrip()


def _days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.checklist("V03")
async def test_mail_is_answered(person: Person) -> None:
    assert person.gets() == []
    await person.sets(
        Vacation(is_enabled=True, subject="Größer weg", text_body='Ich bin "weg".\n\nBis bäld \\')
    )
    [answer] = person.gets()
    assert answer["To"] == SENDER
    assert answer["From"] == person.user.username
    assert answer["Subject"] == "Größer weg"
    assert answer["In-Reply-To"] == "<hello@example.org>"
    assert answer["Auto-Submitted"].startswith("auto-replied")
    assert _text(answer) == 'Ich bin "weg".\n\nBis bäld \\'
    assert person.count("INBOX") == 2


@pytest.mark.checklist("V03")
async def test_nobody_is_answered_twice_and_no_list_ever(person: Person) -> None:
    await person.sets(Vacation(is_enabled=True))
    [answer] = person.gets()
    assert _text(answer) == DEFAULT_TEXT
    assert answer["Subject"] == "Auto: Hello"
    assert person.gets() == []
    assert person.gets("list@example.org", List_Id="<list.example.org>") == []
    assert person.gets("robot@example.org", Auto_Submitted="auto-generated") == []
    assert len(person.gets("ann@example.org")) == 1
    await person.sets(Vacation(is_enabled=True, text_body="Something new."))
    assert len(person.gets()) == 1
    assert person.count("INBOX") == 6


async def test_mail_to_another_address_is_answered_if_it_is_the_user_s(person: Person) -> None:
    """RFC 5230 §4.5."""
    await person.sets(Vacation(is_enabled=True))
    assert person.gets(To="me@example.com") == []
    await person.sets(Vacation(is_enabled=True, addresses=("me@example.com",)))
    assert person.gets(To="you@example.com") == []
    assert len(person.gets(To="Me <me@example.com>")) == 1


@pytest.mark.parametrize(
    ("from_days", "to_days", "answered"),
    [
        (-1.0, 1.0, True),
        (None, 1.0, True),
        (-1.0, None, True),
        (1.0, 2.0, False),
        (-2.0, -1.0, False),
        (1.0, None, False),
        (None, -1.0, False),
        (-0.001, 0.01, True),
        (0.01, None, False),
    ],
)
async def test_mail_is_answered_between_the_dates(
    person: Person, from_days: float | None, to_days: float | None, answered: bool
) -> None:
    await person.has("main", FILING)
    await person.sets(
        Vacation(
            is_enabled=True,
            from_date=None if from_days is None else _days(from_days),
            to_date=None if to_days is None else _days(to_days),
        )
    )
    assert len(person.gets()) == answered
    assert person.count("Filed") == 1


async def test_the_user_s_own_script_files_all_the_time(person: Person) -> None:
    await person.has("my script", FILING)
    person.gets()
    await person.sets(Vacation(is_enabled=True, text_body="Away."))
    assert [_text(answer) for answer in person.gets()] == ["Away."]
    await person.sets(Vacation(text_body="Away."))
    assert person.gets("ann@example.org") == []
    await person.sets(Vacation(is_enabled=True, text_body="Away."))
    assert [_text(answer) for answer in person.gets("ann@example.org")] == ["Away."]
    await person.sets(Vacation())
    assert person.gets("bob@example.org") == []
    assert (person.count("Filed"), person.count("INBOX")) == (5, 0)
    assert await person.stored() == [Stored("my script", True, FILING)]


async def test_html_is_sent_with_a_text(person: Person) -> None:
    html = "<p>I am <b>away</b>.</p><p>größer</p>"
    await person.sets(Vacation(is_enabled=True, html_body=html))
    [answer] = person.gets()
    assert answer.get_content_type() == "multipart/alternative"
    assert _text(answer).split() == ["I", "am", "away.", "größer"]
    shown = answer.get_body(("html",))
    assert shown is not None
    assert shown.get_content().rstrip() == html
    assert answer["Auto-Submitted"].startswith("auto-replied")


@pytest.mark.parametrize(
    "text",
    [
        "${name} ${hex:41} ${unicode:41}",
        '";\r\nstop;\r\n#',
        "# jmap-gateway vacation: end\nstill here",
        "text:\n.\nkeep;",
        "x" * 1500,
        ".\n.\n..",
    ],
)
async def test_every_text_arrives_as_it_is(person: Person, text: str) -> None:
    requires = b'require ["variables", "encoded-character", "fileinto", "mailbox"];\r\n'
    script = requires + b'set "name" "value";\r\nfileinto :create "Filed";\r\n'
    await person.has("main", script)
    await person.sets(Vacation(is_enabled=True, subject="${name} =?x", text_body=text))
    [answer] = person.gets()
    assert answer["Subject"] == "${name} =?x"
    assert _text(answer) == text.replace("\r\n", "\n").rstrip()
    assert person.count("Filed") == 1


async def test_a_subject_is_no_way_into_the_header(person: Person) -> None:
    await person.sets(Vacation(is_enabled=True, subject="Away\r\nBcc: ann@example.org\r\n\r\nx"))
    [answer] = person.gets()
    assert answer["Subject"] == "Away Bcc: ann@example.org x"
    assert answer["Bcc"] is None


async def test_the_user_s_own_answer_stays(person: Person) -> None:
    await person.has("main", b'require "vacation"; vacation "Mine.";\r\n')
    with pytest.raises(OwnVacation):
        await person.sets(Vacation(is_enabled=True, text_body="Not mine."))
    await person.sets(Vacation(text_body="Not mine."))
    assert [_text(answer) for answer in person.gets()] == ["Mine."]
