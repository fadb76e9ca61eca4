"""RFC 8621 §7.5: a stored message is sent, against the bare dialogue with the submission server."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.bench.proxy import RecordingProxy
from tests.bench.report import Figure, Mark, milliseconds
from tests.bench.smtp_dialogue import BareSmtp
from tests.bench.stage import SUBMISSION, JmapClient, Stage, gateway, settled_client
from tests.servers.process import Child, free_port

_RUNS = 60
_RECIPIENT = "rcpt@example.net"


@contextmanager
def submission_server() -> Iterator[int]:
    """Give the port of a submission server in a process of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        child = Child(
            [sys.executable, "-m", "tests.bench.smtp_dialogue", str(port)], Path(directory) / "log"
        )
        try:
            child.wait_until(lambda: _greets(port))
            yield port
        finally:
            child.stop()


def submission_settings(smtp_port: int) -> dict[str, str]:
    """Those of a gateway whose users send from LOGIN@example.org."""
    return {
        "JMAP_GATEWAY_SMTP__URL": f"smtp://127.0.0.1:{smtp_port}",
        "JMAP_GATEWAY_IDENTITIES__ADDRESSES": "{local}@example.org",
    }


def _greets(port: int) -> bool:
    try:
        BareSmtp(port)
    except OSError:
        return False
    return True


async def run(stage: Stage) -> list[Figure]:
    """Send the same message many times, each a creation of its own."""
    user = stage.user("inbox20k")
    address = user.username.partition("@")[0] + "@example.org"
    message = b"From: %s\r\n\r\n%s\r\n" % (address.encode(), b"word " * 440)
    mine: list[float] = []
    bare: list[float] = []
    trips: list[float] = []
    with (
        RecordingProxy(stage.imap_port("inbox20k")) as proxy,
        submission_server() as smtp_port,
        gateway(proxy.port, submission_settings(smtp_port)) as child,
    ):
        async with settled_client(child, user) as client:
            client.using.append(SUBMISSION)
            wanted = await _stored(client, address)
            for number in range(_RUNS):
                body = client.request(["EmailSubmission/set", {"create": {f"s{number}": wanted}}])
                before = len(proxy.commands)
                mine.append(await _sent(client, body))
                trips.append(len(proxy.commands) - before)
                started = time.perf_counter()
                BareSmtp(smtp_port).send(user.username, user.password, _RECIPIENT, message)
                bare.append(time.perf_counter() - started)
    more = [median(mine) - median(bare)]
    return [
        milliseconds("a stored message sent", mine),
        milliseconds("- bare dialogue with the submission server", bare),
        milliseconds("- gateway - bare dialogue, of the medians", more, 10),
        Figure("- IMAP commands meanwhile", "", trips, Mark("<=", 1)),
    ]


async def _stored(client: JmapClient, address: str) -> dict[str, str]:
    """An EmailSubmission of a message that is there."""
    email = {
        "mailboxIds": {await client.inbox(): True},
        "from": [{"email": address}],
        "to": [{"email": _RECIPIENT}],
        "subject": "bench",
        "bodyStructure": {"partId": "1", "type": "text/plain"},
        "bodyValues": {"1": {"value": "word " * 400}},
    }
    made, found = await client.call(
        ["Email/set", {"create": {"d": email}}], ["Identity/get", {"ids": None}]
    )
    return {"identityId": found[1]["list"][0]["id"], "emailId": made[1]["created"]["d"]["id"]}


async def _sent(client: JmapClient, body: bytes) -> float:
    """The seconds it took to send a message."""
    started = time.perf_counter()
    answer = client.responses(await client.post(body))
    seconds = time.perf_counter() - started
    assert answer[0][1]["created"], answer
    return seconds
