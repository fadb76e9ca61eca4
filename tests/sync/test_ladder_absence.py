"""RFC 8620 §5.2, Design §6: states outlive the gateway, and what happened meanwhile is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.store.base import Store
from gateway.store.opening import open_store
from tests.mail.client import Client
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import MailServer, User
from tests.sync.conftest import STEPS, Gateways
from tests.sync.hand import Hand, furnish, hand
from tests.sync.ladder import change, following, look, look_once, tell

every_step = pytest.mark.parametrize("server", STEPS, indirect=True)
# The last two files of an index have all that Dovecot knows of expunges.
FORGETFUL_DOVECOT = "\n".join(
    [
        "mail_index_log_rotate_min_size = 1k",
        "mail_index_log_rotate_max_size = 1k",
        "mail_index_log_rotate_min_age = 0",
        "mail_index_log2_max_age = 0",
        "mail_index_rewrite_min_log_bytes = 1k",
        "mail_index_rewrite_max_log_bytes = 1k",
    ]
)
FORGETFUL_CYRUS = "expunge_mode: immediate"
SESSIONS, KEYWORDS = 8, 12


@pytest.fixture(autouse=True)
def _look_once(monkeypatch: pytest.MonkeyPatch) -> None:
    look_once(monkeypatch)


def meanwhile(writer: Hand) -> None:
    """All that can happen, in one go."""
    writer.append("INBOX", 40, 1)
    writer.append("C", 41)
    writer.store("INBOX", (1, 4), "+FLAGS", "\\Seen $Late")
    writer.store("INBOX", (2,), "+FLAGS", "\\Deleted")
    writer.expunge("INBOX", (5,))
    writer.expunge("Trash", (14,))
    writer.move("INBOX", (3,), "C")
    writer.copy("A", (12,), "INBOX")
    writer.create("N")
    writer.move("INBOX", (6,), "N")
    writer.append("N", 42)
    writer.delete("A/B")
    writer.unsubscribe("A")
    writer.append("INBOX", 43)
    writer.expunge("INBOX", (43,))


MEANWHILE = change(
    "all that can happen",
    meanwhile,
    created=[40, 41, 42],
    updated=[1, 3, 4, 6, 12],
    destroyed=[2, 5, 13, 14],
)


@pytest.mark.checklist("D08", "E05", "E06", "E09", "L11", "M04", "P01")
@every_step
async def test_what_happened_while_the_gateway_was_down_is_told(
    server: MailServer, gateways: Gateways
) -> None:
    user, store = furnish(server), gateways.store()
    follower = await following(await gateways.login(server, user, store))
    await gateways.close()
    for step in (MEANWHILE, change("nothing", lambda _: None)):
        follower.client = Client(await gateways.login(server, user, store))
        await tell(follower, server, user, step)
        await gateways.close()


class Files:
    """A store in a file, opened anew for each gateway."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: list[Store] = []

    def store(self) -> Store:
        """The store as it was left."""
        url = f"sqlite://{self._directory}/store.db"
        self._open.append(open_store(url, b"x" * 32, self._directory))
        return self._open[-1]

    async def close(self) -> None:
        """Close what is open."""
        while self._open:
            await self._open.pop().close()


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Files]:
    """Give a store in a file."""
    made = Files(tmp_path)
    yield made
    await made.close()


@pytest.mark.checklist("E06", "E09", "P01")
@pytest.mark.parametrize("server", ["everything", "no-guids", "cyrus"], indirect=True)
async def test_states_come_back_from_a_file(
    server: MailServer, files: Files, gateways: Gateways
) -> None:
    user = furnish(server)
    follower = await following(await gateways.login(server, user, files.store()))
    steps = (
        change("mail arrives", lambda w: w.append("INBOX", 20), created=[20]),
        MEANWHILE,
        change("read", lambda w: w.store("INBOX", (20,), "+FLAGS", "\\Seen"), updated=[20]),
    )
    for step in steps:
        await gateways.close()
        await files.close()
        follower.client = Client(await gateways.login(server, user, files.store()))
        await tell(follower, server, user, step)


@pytest.mark.checklist("E05", "E06", "E09")
async def test_two_nodes_tell_one_story(server: MailServer, gateways: Gateways) -> None:
    """Design §12: a state that the one gave out is good with the other."""
    user, store = furnish(server), gateways.store()
    nodes = [Client(await gateways.login(server, user, store))]
    follower = await following(nodes[0].account)
    nodes.append(Client(await gateways.login(server, user, store)))
    steps = (
        change("mail arrives", lambda w: w.append("INBOX", 20), created=[20]),
        change("read", lambda w: w.store("INBOX", (20,), "+FLAGS", "\\Seen"), updated=[20]),
        MEANWHILE,
        change("moved", lambda w: w.move("INBOX", (20,), "C"), updated=[20]),
        change("gone", lambda w: w.expunge("C", (20,)), destroyed=[20]),
    )
    for number, step in enumerate(steps):
        follower.client = nodes[number % 2]
        await tell(follower, server, user, step)
    states = dict(follower.states)
    for node in nodes:
        follower.client = node
        await follower.follow()
        assert follower.states == states


# --- RFC 7162 §3.2.5: servers may forget what was expunged ---------------------------------------


async def check_forgotten(server: MailServer, gateways: Gateways) -> None:
    """A server that can not say what was expunged since says what is not there."""
    user, store = server.add_user(), gateways.store()
    with hand(server, user) as writer:
        for number in range(1, 30):
            writer.append("INBOX", number)
        writer.expunge("INBOX", (3, 4))
    follower = await following(await gateways.login(server, user, store))
    await gateways.close()
    known = highestmodseq(server, user)
    with hand(server, user) as writer:
        writer.expunge("INBOX", (5, 9))
        writer.store("INBOX", (10, 11), "+FLAGS", "\\Seen")
    for number in range(SESSIONS):
        if vanished(server, user, known) != {5, 9}:
            break
        with hand(server, user) as writer:
            for keyword in range(KEYWORDS):
                what = "+-"[keyword % 2] + "FLAGS.SILENT"
                writer.store("INBOX", (10, 11, 12, 13), what, f"$busy{keyword} $busy{number}")
    assert vanished(server, user, known) == {3, 4, 5, 9}, "it does remember"
    follower.client = Client(await gateways.login(server, user, store))
    told = await look(follower, server, user, "forgotten")
    assert len(told["Email"].destroyed) == 2
    assert not told["Email"].created


def highestmodseq(server: MailServer, user: User) -> int:
    """The mod-sequence of the inbox."""
    with server.imap(user) as client:
        _, answer = client.status("INBOX", "(HIGHESTMODSEQ)")
    return int(answer[0].decode().rstrip(")").split()[-1])


def vanished(server: MailServer, user: User, since: int) -> set[int]:
    """UIDs that the server names when it is asked what was expunged from the inbox."""
    with server.imap(user) as client:
        client.enable("QRESYNC")
        client.select("INBOX", readonly=True)
        client.uid("FETCH", "1:*", "(FLAGS)", f"(CHANGEDSINCE {since} VANISHED)")
        _, answer = client.response("VANISHED")
    return {uid for part in answer or () for uid in _uids(part)}


def _uids(answer: bytes) -> set[int]:
    found: set[int] = set()
    for part in answer.decode().removeprefix("(EARLIER) ").split(","):
        first, _, last = part.partition(":")
        found |= {*range(int(first), int(last or first) + 1)}
    return found


@pytest.mark.checklist("E07", "E09", "P01")
async def test_what_dovecot_has_forgotten_is_told(
    start_dovecot: Callable[..., Dovecot], gateways: Gateways
) -> None:
    await check_forgotten(start_dovecot(extra=FORGETFUL_DOVECOT), gateways)


@pytest.mark.checklist("E07", "E09", "P01")
async def test_what_cyrus_has_forgotten_is_told(
    start_cyrus: Callable[..., Cyrus], gateways: Gateways
) -> None:
    await check_forgotten(start_cyrus(extra=FORGETFUL_CYRUS), gateways)
