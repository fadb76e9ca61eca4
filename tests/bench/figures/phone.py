"""RFC 8620 §1: a phone's day over JMAP, beside a careful client of IMAP and SMTP, at a distance.

Log in, open the inbox, read three messages, take an attachment, flag, move, reply and send; then
catch up after 50 changes elsewhere.
"""

from __future__ import annotations

import asyncio
import imaplib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from random import Random
from statistics import median
from urllib.parse import urlsplit

from tests.bench.delay import FarAway
from tests.bench.figures.submitting import submission_server, submission_settings
from tests.bench.phones import LISTED, ImapPhone, JmapPhone, Ports
from tests.bench.report import Figure, Mark
from tests.bench.stage import Stage, gateway, settled_client
from tests.bench.vocabulary import WORDS, Dice
from tests.servers.dovecot import Dovecot, User
from tests.servers.mail_server import Message

_DELAYS = (0.0, 0.05, 0.2)
_RUNS = 3
_HTML = "<html><head><style>p {{ margin: 0 }}</style></head><body>{}</body></html>"
_ATTACHMENT_OCTETS = 30_000
_NEW, _FLAGGED = 20, 30
_STEPS = (
    *("log_in", "open_inbox", "read", "take_attachment", "flag", "move", "reply", "catch_up"),
)


@dataclass(frozen=True, slots=True)
class _Day:
    """What a day has taken."""

    seconds: float
    octets: int
    trips: int


async def run(stage: Stage) -> list[Figure]:
    """Both days, at each distance, on accounts that are alike."""
    figures = []
    server = stage.server("inbox20k")
    with submission_server() as smtp_port:
        settings = submission_settings(smtp_port)
        with gateway(server.ports.imap, settings) as child:
            http_port = urlsplit(child.url).port or 0
            ports = Ports(http_port, server.ports.imap, smtp_port)
            for delay in _DELAYS:
                days: dict[str, list[_Day]] = {"JMAP": [], "IMAP": []}
                for number in range(_RUNS):
                    for kind, phone in (("JMAP", JmapPhone), ("IMAP", ImapPhone)):
                        name = f"phone{int(delay * 1000)}{kind.lower()}{number}"
                        user = await asyncio.to_thread(_account, server, name)
                        # The gateway has met the user before, as the mail server has.
                        async with settled_client(child, user):
                            pass
                        day = await asyncio.to_thread(
                            _day, phone, ports, user, delay, server.ports.imap
                        )
                        days[kind].append(day)
                figures += _figures(delay, days)
    return figures


def _figures(delay: float, days: dict[str, list[_Day]]) -> list[Figure]:
    at = f"{int(delay * 1000)} ms"
    is_far = delay == max(_DELAYS)
    rows = []
    for kind, each in days.items():
        rows += [
            Figure(f"a day at {at}, {kind}", "s", [day.seconds for day in each]),
            Figure("- round trips", "", [day.trips for day in each]),
            Figure("- octets", "kB", [day.octets / 1000 for day in each]),
        ]
    jmap, imap = days["JMAP"], days["IMAP"]
    time_ = median(day.seconds for day in jmap) / median(day.seconds for day in imap)
    size = median(day.octets for day in jmap) / median(day.octets for day in imap)
    return [
        *rows,
        Figure(f"JMAP : IMAP at {at}, time", "", [time_], Mark("<=", 0.25) if is_far else None),
        Figure("- octets", "", [size], Mark("<=", 0.33) if is_far else None),
    ]


def _day(
    phone_class: type[JmapPhone | ImapPhone], ports: Ports, user: User, delay: float, imap_port: int
) -> _Day:
    """A day, with what changes elsewhere in between, which is not counted."""
    with ExitStack() as stack:
        far = [
            stack.enter_context(FarAway(port, delay))
            for port in (ports.http, ports.imap, ports.smtp)
        ]
        address = user.username.partition("@")[0] + "@example.org"
        phone = phone_class(Ports(*(each.port for each in far)), user, address)
        seconds = 0.0
        for step in _STEPS:
            if step == "catch_up":
                _change(imap_port, user)
                time.sleep(1.0)  # as much as anything may be out of date
            method: Callable[[], object] = getattr(phone, step)
            started = time.perf_counter()
            changed = method()
            seconds += time.perf_counter() - started
            if step == "catch_up":
                assert isinstance(changed, int), changed
                assert changed >= _NEW + _FLAGGED, changed
        phone.hang_up()
        return _Day(seconds, sum(each.octets for each in far), sum(each.trips for each in far))


# --- the mailbox ----------------------------------------------------------------------------------


def _account(server: Dovecot, name: str) -> User:
    """A user with as much mail as a phone shows, and a little more."""
    user = server.add_user(name)
    dice = Dice(7)
    messages = [_message(dice, number) for number in range(4 * LISTED)]
    server.append_all(user, "INBOX", messages)
    with server.imap(user) as imap:
        for mailbox in ("Archive", "Sent"):
            imap.create(mailbox)
    return user


def _message(dice: Dice, number: int) -> Message:
    """HTML of a newsletter's size, and a file that can not be made smaller."""
    message = EmailMessage()
    message["From"], message["To"] = (
        f"Person {number % 9} <p{number}@example.net>",
        "me@example.org",
    )
    message["Subject"] = f"About {number}"
    message["Message-ID"] = f"<{number}@example.net>"
    message["Date"] = datetime(2026, 1, 1, number % 24, tzinfo=UTC)
    lines = (" ".join(dice.pick(WORDS) for _ in range(60)) for _ in range(20))
    paragraphs = "".join(f"<p style='color: #222'>{line}</p>\n" for line in lines)
    message.set_content(_HTML.format(paragraphs), subtype="html", cte="quoted-printable")
    message.add_attachment(
        Random(number).randbytes(_ATTACHMENT_OCTETS),
        maintype="application",
        subtype="pdf",
        filename="a.pdf",
    )
    octets = message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return Message(octets)


def _change(port: int, user: User) -> None:
    """50 changes by another program."""
    imap = imaplib.IMAP4("127.0.0.1", port)
    imap.login(user.username, user.password)
    dice = Dice(8)
    for number in range(_NEW):
        imap.append("INBOX", "", "", _message(dice, 1000 + number).octets)
    imap.select("INBOX")
    imap.store(f"5:{4 + _FLAGGED}", "+FLAGS.SILENT", r"(\Flagged)")
    imap.logout()
