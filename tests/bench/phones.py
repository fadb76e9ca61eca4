"""A phone's day, as a JMAP client does it, and as one of IMAP and SMTP does that is as careful.

Both know what they do: nothing is asked for twice, what depends on nothing is asked for at once,
and what is read is what is shown. Neither has TLS, which costs more where there are more
connections.
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
from base64 import b64encode
from dataclasses import dataclass
from email.message import EmailMessage
from itertools import count
from typing import Any

from tests.bench.smtp_dialogue import BareSmtp
from tests.bench.stage import CORE, MAIL, SUBMISSION
from tests.servers.mail_server import User

LISTED = 30
READ = 3
"""Messages that are read, the newest; of the first, the attachment, too."""
RECIPIENT = "rcpt@example.net"
REPLY = "Thank you, that is fine with me.\r\n" * 3


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the phone finds its servers."""

    http: int
    imap: int
    smtp: int


class JmapPhone:
    """RFC 8620, RFC 8621: one connection at a time, answers in gzip."""

    def __init__(self, ports: Ports, user: User, address: str) -> None:
        self._port = ports.http
        self._address = address
        login = b64encode(f"{user.username}:{user.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}", "Accept-Encoding": "gzip"}
        self._http = http.client.HTTPConnection("127.0.0.1", self._port)
        self._account = ""
        self._mailboxes: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._newest: list[dict[str, Any]] = []

    def log_in(self) -> None:
        """Get the session, and the mailboxes."""
        session = json.loads(self._get("/jmap/session"))
        self._account = session["primaryAccounts"][MAIL]
        mailboxes, identities = self._call(
            ["Mailbox/get", {"ids": None}], ["Identity/get", {"ids": None}]
        )
        self._mailboxes = {each["role"]: each["id"] for each in mailboxes["list"]}
        self._identity = identities["list"][0]["id"]
        self._states["Mailbox"] = mailboxes["state"]

    def open_inbox(self) -> None:
        """The newest conversations, as a list shows them."""
        query = {
            "filter": {"inMailbox": self._mailboxes["inbox"]},
            "sort": [{"property": "receivedAt", "isAscending": False}],
            "limit": LISTED,
        }
        reference = {"resultOf": "0", "name": "Email/query", "path": "/ids"}
        _, got = self._call(
            ["Email/query", query], ["Email/get", {"#ids": reference, "properties": _SHOWN}]
        )
        self._newest = got["list"]
        self._states["Email"] = got["state"]

    def read(self) -> None:
        """Three messages, one after the other: each is shown, and seen."""
        for email in self._newest[:READ]:
            wanted = {
                "ids": [email["id"]],
                "properties": ["htmlBody", "textBody", "attachments", "bodyValues"],
                "fetchHTMLBodyValues": True,
            }
            got, _ = self._call(
                ["Email/get", wanted],
                ["Email/set", {"update": {email["id"]: {"keywords/$seen": True}}}],
            )
            email |= got["list"][0]

    def take_attachment(self) -> int:
        """That of the newest message; its octets."""
        (part,) = self._newest[0]["attachments"]
        path = f"/jmap/download/{self._account}/{part['blobId']}/x?accept={part['type']}"
        return len(self._get(path))

    def flag(self) -> None:
        """The second one."""
        self._set({self._newest[1]["id"]: {"keywords/$flagged": True}})

    def move(self) -> None:
        """The third one, into the archive."""
        self._set({self._newest[2]["id"]: {"mailboxIds": {self._mailboxes["archive"]: True}}})

    def reply(self) -> None:
        """Compose, send, file under what was sent, and mark what was answered."""
        email = {
            "mailboxIds": {self._mailboxes["sent"]: True},
            "keywords": {"$seen": True},
            "from": [{"email": self._address}],
            "to": [{"email": RECIPIENT}],
            "subject": "Re: it",
            "bodyStructure": {"partId": "1", "type": "text/plain"},
            "bodyValues": {"1": {"value": REPLY}},
        }
        send = {"identityId": self._identity, "emailId": "#d"}
        _, sent, _ = self._call(
            ["Email/set", {"create": {"d": email}}],
            ["EmailSubmission/set", {"create": {"s": send}}],
            ["Email/set", {"update": {self._newest[0]["id"]: {"keywords/$answered": True}}}],
        )
        assert sent["created"], sent

    def catch_up(self) -> int:
        """Later, over a new connection: what has changed; how many Emails."""
        self._http.close()
        self._http = http.client.HTTPConnection("127.0.0.1", self._port)
        changes = {"resultOf": "0", "name": "Email/changes"}
        mailboxes = {"resultOf": "3", "name": "Mailbox/changes", "path": "/updated"}
        found, created, updated, _, _ = self._call(
            ["Email/changes", {"sinceState": self._states["Email"]}],
            ["Email/get", {"#ids": {**changes, "path": "/created"}, "properties": _SHOWN}],
            ["Email/get", {"#ids": {**changes, "path": "/updated"}, "properties": _MUTABLE}],
            ["Mailbox/changes", {"sinceState": self._states["Mailbox"]}],
            ["Mailbox/get", {"#ids": mailboxes, "properties": _COUNTS}],
        )
        return len(created["list"]) + len(updated["list"]) + len(found["destroyed"])

    def hang_up(self) -> None:
        """Close the connection."""
        self._http.close()

    def _set(self, update: dict[str, Any]) -> None:
        (answer,) = self._call(["Email/set", {"update": update}])
        assert answer["updated"], answer

    def _get(self, path: str) -> bytes:
        self._http.request("GET", path, headers=self._headers)
        return self._answer()

    def _call(self, *calls: list[Any]) -> list[dict[str, Any]]:
        named = [
            [name, {"accountId": self._account, **arguments}, str(number)]
            for number, (name, arguments) in enumerate(calls)
        ]
        body = json.dumps({"using": [CORE, MAIL, SUBMISSION], "methodCalls": named})
        headers = {**self._headers, "Content-Type": "application/json"}
        self._http.request("POST", "/jmap/api", body, headers)
        return [each[1] for each in json.loads(self._answer())["methodResponses"]]

    def _answer(self) -> bytes:
        response = self._http.getresponse()
        octets = response.read()
        assert response.status == 200, octets
        return gzip.decompress(octets) if response.headers["Content-Encoding"] else octets


_SHOWN = ["threadId", "mailboxIds", "keywords", "from", "subject", "receivedAt", "preview"]
_SHOWN.append("hasAttachment")
_MUTABLE = ["mailboxIds", "keywords"]
_COUNTS = ["totalEmails", "unreadEmails"]


class ImapPhone:
    """RFC 9051 with LIST-STATUS, SPECIAL-USE, PREVIEW, QRESYNC, MOVE, LITERAL+; RFC 5321 with
    PIPELINING."""

    def __init__(self, ports: Ports, user: User, address: str) -> None:
        self._ports = ports
        self._user = user
        self._address = address
        self._uids: list[int] = []
        self._parts: list[tuple[bytes, bytes]] = []
        self._validity = self._modseq = self._exists = 0

    def log_in(self) -> None:
        """Connect, sign in, list the mailboxes."""
        self._connect()
        listed = b'LIST "" "*" RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN))'
        answer = self._run(b"ENABLE QRESYNC", listed, b"SELECT INBOX")
        self._take_state(answer)
        self._exists = int(re.findall(rb"\* (\d+) EXISTS", answer)[-1])

    def open_inbox(self) -> None:
        """The newest messages, as a list shows them."""
        first = self._exists - LISTED + 1
        items = b"(UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE PREVIEW)"
        answer = self._run(b"FETCH %d:* %s" % (first, items))
        self._uids = [int(uid) for uid in re.findall(rb"UID (\d+)", answer)][::-1]
        assert len(self._uids) == LISTED

    def read(self) -> None:
        """Three messages, one after the other: each is shown, and seen."""
        for uid in self._uids[:READ]:
            # As the structure tells: the HTML, which is the first part but for attachments.
            self._run(
                b"UID FETCH %d BODY.PEEK[1]" % uid, b"UID STORE %d +FLAGS.SILENT (\\Seen)" % uid
            )

    def take_attachment(self) -> int:
        """That of the newest message; its octets, in base64."""
        return len(self._run(b"UID FETCH %d BODY.PEEK[2]" % self._uids[0]))

    def flag(self) -> None:
        """The second one."""
        self._run(b"UID STORE %d +FLAGS.SILENT (\\Flagged)" % self._uids[1])

    def move(self) -> None:
        """The third one, into the archive."""
        self._run(b"UID MOVE %d Archive" % self._uids[2])

    def reply(self) -> None:
        """Compose, send, file under what was sent, and mark what was answered."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._address, RECIPIENT, "Re: it"
        message["Message-ID"] = "<reply@example.org>"
        message.set_content(REPLY)
        octets = message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        user = self._user
        BareSmtp(self._ports.smtp).send(user.username, user.password, RECIPIENT, octets)
        self._run(
            b"APPEND Sent (\\Seen) {%d+}\r\n%s" % (len(octets), octets),
            b"UID STORE %d +FLAGS.SILENT (\\Answered)" % self._uids[0],
        )

    def catch_up(self) -> int:
        """Later, over a new connection: what has changed; how many messages."""
        self.hang_up()
        self._connect()
        listed = b'LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN HIGHESTMODSEQ))'
        known = b"SELECT INBOX (QRESYNC (%d %d))" % (self._validity, self._modseq)
        answer = self._run(b"ENABLE QRESYNC", listed, known)
        changed = {int(uid) for uid in re.findall(rb"FETCH \(UID (\d+)", answer)}
        new = sorted(uid for uid in changed if uid > self._uids[0])
        items = b"(UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE PREVIEW)"
        self._run(b"UID FETCH %d:* %s" % (new[0], items))
        return len(changed)

    def hang_up(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._ports.imap), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._tags = count(1)
        self._file.readline()
        self._run(f'LOGIN "{self._user.username}" "{self._user.password}"'.encode())

    def _take_state(self, answer: bytes) -> None:
        self._validity = int(re.findall(rb"UIDVALIDITY (\d+)", answer)[-1])
        self._modseq = int(re.findall(rb"\[HIGHESTMODSEQ (\d+)", answer)[-1])

    def _run(self, *commands: bytes) -> bytes:
        """Send the commands at once, and give all that comes until the last is answered."""
        tags = [b"a%d" % next(self._tags) for _ in commands]
        lines = [b"%s %s\r\n" % each for each in zip(tags, commands, strict=True)]
        self._socket.sendall(b"".join(lines))
        answer = bytearray()
        waiting = set(tags)
        while waiting:
            line = self._file.readline()
            answer += line
            if literal := re.search(rb"\{(\d+)\}\r\n$", line):
                answer += self._file.read(int(literal[1]))
            tag, _, rest = line.partition(b" ")
            if tag in waiting:
                assert rest.startswith(b"OK"), line
                waiting.discard(tag)
        return bytes(answer)
