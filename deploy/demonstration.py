"""A throw-away Dovecot with sample mail, and the gateway in front of it."""

from __future__ import annotations

import argparse
import base64
import json
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.sample_mail.letter import Letter, compose
from deploy.sample_mail.letters import LETTERS
from tests.servers.dovecot import Dovecot, Message, User
from tests.servers.dovecot_config import SPECIAL_USE
from tests.servers.process import Child, ServerFailedError

USUAL_ADDRESS = "127.0.0.1:8080"
ANNOUNCEMENT = re.compile(r"^Session: (\S+)/\.well-known/jmap$", re.MULTILINE)
REQUEST_SECONDS = 30.0
MAIL = "urn:ietf:params:jmap:mail"


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What is running: where the session is, and who can log in."""

    url: str
    user: User

    def session_command(self) -> list[str]:
        """Return the curl command that shows the session (RFC 8620 §2)."""
        return [*self._curl(), "--location", f"{self.url}/.well-known/jmap"]

    def inbox_command(self, account: str, inbox: str) -> list[str]:
        """Return the curl command that shows the inbox, newest first, in one request."""
        body = json.dumps(inbox_request(account, inbox), separators=(",", ":"))
        header = "Content-Type: application/json"
        return [*self._curl(), "--header", header, "--data", body, f"{self.url}/jmap/api"]

    def call(self, *method_calls: list[Any]) -> list[Any]:
        """Make one API request (RFC 8620 §3.3) and return its method responses."""
        body = {"using": ["urn:ietf:params:jmap:core", MAIL], "methodCalls": method_calls}
        responses: list[Any] = self._request("/jmap/api", body)["methodResponses"]
        return responses

    def account(self) -> str:
        """Return the id of the user's mail account."""
        account: str = self._request("/jmap/session")["primaryAccounts"][MAIL]
        return account

    def inbox(self, account: str) -> str:
        """Return the id of the account's inbox."""
        query = {"accountId": account, "filter": {"role": "inbox"}}
        identifier: str = self.call(["Mailbox/query", query, "0"])[0][1]["ids"][0]
        return identifier

    def _curl(self) -> list[str]:
        login = f"{self.user.username}:{self.user.password}"
        return ["curl", "--silent", "--show-error", "--fail", "--user", login]

    def _request(self, path: str, body: object = None) -> Any:
        login = f"{self.user.username}:{self.user.password}".encode()
        request = urllib.request.Request(  # noqa: S310 -- our own address
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Basic {base64.b64encode(login).decode()}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:  # noqa: S310
            return json.load(answer)


def inbox_request(account: str, inbox: str) -> dict[str, Any]:
    """Return a request for the inbox in one round trip (RFC 8620 §3.7: result references)."""
    query = {
        "accountId": account,
        "filter": {"inMailbox": inbox},
        "sort": [{"property": "receivedAt", "isAscending": False}],
        "collapseThreads": True,
        "limit": 20,
    }
    get = {
        "accountId": account,
        "#ids": {"resultOf": "0", "name": "Email/query", "path": "/ids"},
        "properties": ["from", "subject", "receivedAt", "keywords", "hasAttachment", "preview"],
    }
    return {
        "using": ["urn:ietf:params:jmap:core", MAIL],
        "methodCalls": [["Email/query", query, "0"], ["Email/get", get, "1"]],
    }


def fill(dovecot: Dovecot, user: User) -> None:
    """Put the sample letters into a user's mailboxes."""
    now = datetime.now(UTC)
    by_key = {letter.key: letter for letter in LETTERS}
    by_mailbox: dict[str, list[Message]] = {}
    for letter in sorted(LETTERS, key=lambda letter: letter.age, reverse=True):
        octets = compose(letter, _ancestors(letter, by_key), now)
        message = Message(octets, letter.flags, now - letter.age)
        by_mailbox.setdefault(letter.mailbox, []).append(message)
    dovecot.create(user, *(by_mailbox.keys() - {"INBOX", *SPECIAL_USE}))
    for mailbox, messages in by_mailbox.items():
        dovecot.append_all(user, mailbox, messages)


def _ancestors(letter: Letter, by_key: dict[str, Letter]) -> list[str]:
    if letter.answers is None:
        return []
    return [*_ancestors(by_key[letter.answers], by_key), letter.answers]


def start(running: ExitStack) -> Demonstration:
    """Start everything, to be ended with `running`.

    Raises:
        ServerFailedError: Dovecot or the gateway did not come up.
    """
    dovecot = running.enter_context(Dovecot())
    user = dovecot.add_user("alice", "wonderland")
    fill(dovecot, user)
    data = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="jmap-gateway-")))
    command = [
        *["env", "JMAP_GATEWAY_SERVER__ADMIN_LISTEN=127.0.0.1:0"],
        f"JMAP_GATEWAY_SERVER__DATA_DIR={data}",
        *[sys.executable, "-m", "gateway", "serve"],
        *["--imap", f"imap://127.0.0.1:{dovecot.ports.imap}"],
        *["--store", f"sqlite:///{data}/store.db"],
    ]
    try:
        url = start_gateway(running, [*command, "--listen", USUAL_ADDRESS], data / "first.log")
    except ServerFailedError as error:
        if "in use" not in error.log:
            raise
        url = start_gateway(running, [*command, "--listen", "127.0.0.1:0"], data / "second.log")
    return Demonstration(url, user)


def start_gateway(running: ExitStack, command: list[str], log: Path) -> str:
    """Start a gateway, to be ended with `running`, and return the URL that it says it has."""
    gateway = Child(command, log)
    running.callback(gateway.stop)
    return gateway.wait_until(lambda: ANNOUNCEMENT.search(gateway.log()))[1]


def explain(demonstration: Demonstration) -> None:
    """Print where everything is and what to try."""
    account = demonstration.account()
    inbox = demonstration.inbox(account)
    print(f"Session:   {demonstration.url}/.well-known/jmap")
    print(f"Login:     {demonstration.user.username}  {demonstration.user.password}")
    print("\nThe session:\n")
    print(shlex.join(demonstration.session_command()))
    print("\nThe inbox, in one request:\n")
    print(shlex.join(demonstration.inbox_command(account, inbox)), flush=True)


def check(demonstration: Demonstration) -> None:
    """Run the commands of `explain` and print the inbox.

    Raises:
        subprocess.CalledProcessError: curl failed.
        ValueError: the answer is not the inbox.
    """
    session = _run(demonstration.session_command())
    account = session["primaryAccounts"][MAIL]
    answer = _run(demonstration.inbox_command(account, demonstration.inbox(account)))
    [query, get] = answer["methodResponses"]
    emails = {email["id"]: email for email in get[1]["list"]}
    if query[0] != "Email/query" or not emails or set(query[1]["ids"]) != set(emails):
        raise ValueError(f"this is not an inbox: {json.dumps(answer)[:2000]}")
    print("\nThe inbox:\n")
    for identifier in query[1]["ids"]:
        print(_line(emails[identifier]))


def _run(command: list[str]) -> Any:
    done = subprocess.run(command, check=True, capture_output=True, timeout=REQUEST_SECONDS)
    return json.loads(done.stdout)


def _line(email: dict[str, Any]) -> str:
    unread = " " if "$seen" in email["keywords"] else "*"
    clip = "+" if email["hasAttachment"] else " "
    [sender] = email["from"]
    date = email["receivedAt"].replace("T", " ")[:16]
    return f"{unread}{clip} {date}  {sender['name'] or sender['email']}: {email['subject']}"


def main() -> int:
    """Run the demonstration; return 0 when all went well."""
    parser = argparse.ArgumentParser(prog="deploy/demo", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="run the curl commands, print the inbox and end"
    )
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as running:
        try:
            demonstration = start(running)
            explain(demonstration)
            if arguments.check:
                check(demonstration)
                return 0
        except (ServerFailedError, subprocess.CalledProcessError, OSError, ValueError) as error:
            print(f"The demonstration failed: {error}", file=sys.stderr)
            return 1
        print("\nRunning until Ctrl-C.", flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
