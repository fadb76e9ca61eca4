"""RFC 8620 §5.3, design §9: what becomes of a Mailbox/set that is refused, cut off or killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.store.base import Store, StoreUnavailable
from gateway.store.opening import open_store
from tests.mail.client import Client, Refused, connected
from tests.mail.mailbox_set.trees import Tree, on_server
from tests.mail.messages import mail
from tests.servers.between import between
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.scripted import Peer, Received

DEFAULT = {"Inbox", "Drafts", "Sent", "Trash", "Junk", "Archive"}
WRITES = (b"CREATE", b"RENAME", b"DELETE", b"SUBSCRIBE", b"UNSUBSCRIBE")
When = Callable[[Peer, Received, int], Awaitable[bool]]


class Between:
    """Somebody between the gateway and the server, who counts the commands that write."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.when: When | None = None

    async def answer(self, peer: Peer, command: Received) -> bool:
        """Whether the server is not to get the command."""
        verb = command.line.split()[0].upper() if command.line else b""
        if verb in WRITES:
            self.written.append(verb)
        if self.when is None:
            return False
        return await self.when(peer, command, self.written.count(verb))


def on(verb: bytes, number: int, act: Callable[[Peer, Received], Awaitable[bool]]) -> When:
    """Do something at the so-many-th command of a kind."""

    async def when(peer: Peer, command: Received, count: int) -> bool:
        if command.line.upper().startswith(verb + b" ") and count == number:
            return await act(peer, command)
        return False

    return when


async def refuse(peer: Peer, command: Received) -> bool:
    await peer.send(command.tag + b" NO Not now")
    return True


async def cut(peer: Peer, _command: Received) -> bool:
    peer.close()
    return True


@pytest.fixture
async def gateways(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """Give a function that starts a gateway, by default straight on the server."""
    async with AsyncExitStack() as stack:

        async def start(store: Store, port: int | None = None) -> Client:
            return await stack.enter_async_context(
                connected(dovecot, mailuser, tmp_path, store, port)
            )

        yield start


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give a store of the test's own."""
    return open_store("memory://", b"x" * 32, tmp_path)


@pytest.fixture
async def middle(dovecot: Dovecot) -> AsyncIterator[tuple[Between, int]]:
    """Give somebody in between, and where to find the server behind."""
    made = Between()
    async with between(dovecot.imap_port, made.answer) as server:
        yield made, server.port


@pytest.fixture
async def tree(
    middle: tuple[Between, int], gateways: Callable[..., Awaitable[Client]], store: Store
) -> Tree:
    """Give the Mailboxes of a user, of whom the first have two names to swap."""
    tree = Tree(await gateways(store, middle[1]))
    await tree.create(a={"name": "a"}, b={"name": "b"}, kid={"name": "kid", "parentId": "#a"})
    return tree


def then(dovecot: Dovecot, user: User, arguments: str) -> Callable[[Peer, Received], Any]:
    """Let the command be carried out, and cut the connection before that is told."""

    async def act(peer: Peer, command: Received) -> bool:
        def carry_out() -> None:
            with dovecot.imap(user) as client:
                verb, *rest = command.line.decode().split(" ")
                assert client._simple_command(verb, *rest)[0] == "OK", arguments

        await asyncio.to_thread(carry_out)
        return await cut(peer, command)

    return act


STEPS: tuple[tuple[bytes, dict[str, Any], set[str]], ...] = (
    (b"CREATE", {"create": {"k": {"name": "k"}}}, {"a", "a/kid", "b", "k"}),
    (b"SUBSCRIBE", {"create": {"k": {"name": "k"}}}, {"a", "a/kid", "b", "k"}),
    (b"RENAME", {"update": {"a": {"name": "z"}}}, {"z", "z/kid", "b"}),
    (b"DELETE", {"destroy": ["b"]}, {"a", "a/kid"}),
)


async def _set(tree: Tree, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A Mailbox/set with paths for ids."""
    ids = await tree.ids()
    given: dict[str, Any] = {}
    for name, value in arguments.items():
        if name == "update":
            given[name] = {ids[path]: change for path, change in value.items()}
        else:
            given[name] = [ids[path] for path in value] if name == "destroy" else value
    return await tree.set(**given)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("verb", "arguments", "paths"), STEPS, ids=[s[0].decode() for s in STEPS])
async def test_command_is_carried_out_once_when_its_connection_is_lost(
    tree: Tree,
    middle: tuple[Between, int],
    dovecot: Dovecot,
    mailuser: User,
    verb: bytes,
    arguments: dict[str, Any],
    paths: set[str],
    is_done: bool,
) -> None:
    """Design §9: whether it was carried out is read before it is sent again."""
    ids = await tree.ids()
    server, _ = middle
    server.written.clear()
    server.when = on(verb, 1, then(dovecot, mailuser, verb.decode()) if is_done else cut)
    answer = await _set(tree, arguments)
    assert not answer["notCreated"]
    assert not answer["notUpdated"]
    assert not answer["notDestroyed"]
    assert on_server(dovecot, mailuser) - DEFAULT == paths
    assert on_server(dovecot, mailuser, subscribed=True) - DEFAULT == paths
    after = await tree.ids()
    assert after.keys() - DEFAULT == paths
    moved = {"a": "z", "a/kid": "z/kid"} if verb == b"RENAME" else {}
    assert all(after.get(moved.get(p, p), id_) == id_ for p, id_ in ids.items())
    if not (is_done and verb != b"SUBSCRIBE"):
        assert server.written.count(verb) > 1


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_nothing_is_half_swapped(
    tree: Tree, middle: tuple[Between, int], dovecot: Dovecot, mailuser: User, number: int
) -> None:
    """RFC 8620 §5.3: whichever of the renames is refused, both mailboxes are what they were."""
    before = await tree.records()
    server, _ = middle
    server.written.clear()
    server.when = on(b"RENAME", number, refuse)
    answer = await _set(tree, {"update": {"a": {"name": "b", "sortOrder": 4}, "b": {"name": "a"}}})
    assert {error["type"] for error in answer["notUpdated"].values()} <= {
        "forbidden",
        "alreadyExists",
    }
    assert len(answer["notUpdated"]) == 2
    assert await tree.records() == before
    assert on_server(dovecot, mailuser) - DEFAULT == {"a", "a/kid", "b"}


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_swap_goes_on_after_a_lost_connection(
    tree: Tree, middle: tuple[Between, int], dovecot: Dovecot, mailuser: User, number: int
) -> None:
    ids = await tree.ids()
    server, _ = middle
    server.written.clear()
    server.when = on(b"RENAME", number, then(dovecot, mailuser, "swap"))
    answer = await _set(tree, {"update": {"a": {"name": "b"}, "b": {"name": "a"}}})
    assert not answer["notUpdated"]
    after = await tree.ids()
    assert (after["a"], after["b"], after["b/kid"]) == (ids["b"], ids["a"], ids["a/kid"])


@pytest.mark.parametrize("number", [2, 3])
async def test_no_mailbox_stays_aside_when_the_server_goes_away(
    tree: Tree, middle: tuple[Between, int], dovecot: Dovecot, mailuser: User, number: int
) -> None:
    """It is put back with the first look at the account after that."""
    ids = await tree.ids()
    server, _ = middle
    server.written.clear()
    gone = False

    async def go(peer: Peer, command: Received, count: int) -> bool:
        nonlocal gone
        gone = gone or (command.line.upper().startswith(b"RENAME ") and count == number)
        if gone:
            peer.close()
        return gone

    server.when = go
    changes = {ids["a"]: {"name": "b"}, ids["b"]: {"name": "a"}}
    answer = await _attempt(tree, changes)
    assert answer is None or not answer["updated"]
    assert {p for p in on_server(dovecot, mailuser) if p.startswith("moving-")}
    server.when = None
    after = await _when_back(tree)
    assert after.keys() - DEFAULT in ({"a", "a/kid", "b"}, {"b", "b/kid", "a"})
    assert {*after.values()} == {*ids.values()}
    assert on_server(dovecot, mailuser) - DEFAULT == after.keys() - DEFAULT


async def _attempt(tree: Tree, changes: dict[str, Any]) -> dict[str, Any] | None:
    """The answer; None when the server can not be asked."""
    with suppress(Refused):
        return await tree.client.call("Mailbox/set", update=changes)
    return None


async def _when_back(tree: Tree) -> dict[str, str]:
    """The ids, once the pool tries again."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Refused):
                return await tree.ids()
            await asyncio.sleep(0.05)


async def test_no_mailbox_stays_aside_when_the_gateway_is_killed(
    tree: Tree,
    middle: tuple[Between, int],
    gateways: Callable[..., Awaitable[Client]],
    store: Store,
    dovecot: Dovecot,
    mailuser: User,
) -> None:
    """Design §12: the next one on the store puts it back."""
    ids = await tree.ids()
    await tree.client.account.indexed()
    await tree.client.account.save()
    server, _ = middle
    server.written.clear()
    reached = asyncio.Event()

    async def hang(_peer: Peer, _command: Received) -> bool:
        reached.set()
        return True

    server.when = on(b"RENAME", 2, hang)
    changes = {ids["a"]: {"name": "b"}, ids["b"]: {"name": "a"}}
    task = asyncio.create_task(tree.client.call("Mailbox/set", update=changes))
    await reached.wait()
    aside = {p for p in on_server(dovecot, mailuser) if p.startswith("moving-")}
    assert aside
    after = await Tree(await gateways(store, middle[1])).ids()
    assert after == ids
    assert on_server(dovecot, mailuser) - DEFAULT == {"a", "a/kid", "b"}
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_refused_subscription_leaves_nothing_half(
    tree: Tree, middle: tuple[Between, int], dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8620 §5.3: neither a mailbox nor a new name."""
    before = await tree.records()
    server, _ = middle
    server.written.clear()
    server.when = on(b"SUBSCRIBE", 1, refuse)
    answer = await _set(tree, {"create": {"k": {"name": "k"}}})
    assert answer["notCreated"]["k"]["type"] == "forbidden"
    server.written.clear()
    server.when = on(b"UNSUBSCRIBE", 1, refuse)
    answer = await _set(
        tree, {"update": {"a": {"name": "z", "isSubscribed": False, "sortOrder": 1}}}
    )
    assert [e["type"] for e in answer["notUpdated"].values()] == ["forbidden"]
    assert await tree.records() == before
    assert on_server(dovecot, mailuser) - DEFAULT == {"a", "a/kid", "b"}


async def test_refused_rename_takes_all_else_back(
    tree: Tree, middle: tuple[Between, int], dovecot: Dovecot, mailuser: User
) -> None:
    before = await tree.records()
    server, _ = middle
    server.written.clear()
    server.when = on(b"RENAME", 1, refuse)
    change = {"name": "z", "isSubscribed": False, "sortOrder": 1, "role": "flagged"}
    answer = await _set(tree, {"update": {"a": change}})
    assert [e["type"] for e in answer["notUpdated"].values()] == ["forbidden"]
    assert await tree.records() == before
    assert "a" in on_server(dovecot, mailuser, subscribed=True)


@pytest.mark.parametrize(
    ("said", "type_"),
    [
        (b"NO [NOPERM] no", "forbidden"),
        (b"NO Permission denied", "forbidden"),
        (b"NO [OVERQUOTA] full", "overQuota"),
        (b"NO [LIMIT] enough", "overQuota"),
        (b"NO [CANNOT] such a name", "invalidProperties"),
        (b"NO Invalid mailbox name", "invalidProperties"),
        (b"NO [ALREADYEXISTS] there", "alreadyExists"),
        (b"NO Mailbox already exists", "alreadyExists"),
        (b"NO [INUSE] later", "serverUnavailable"),
        (b"NO whatever", "forbidden"),
    ],
)
async def test_refusals_of_the_server_have_names(
    tree: Tree, middle: tuple[Between, int], said: bytes, type_: str
) -> None:
    """RFC 5530, and servers that came before it."""

    async def act(peer: Peer, command: Received) -> bool:
        await peer.send(command.tag + b" " + said)
        return True

    for verb, arguments in (
        (b"CREATE", {"create": {"k": {"name": "k"}}}),
        (b"RENAME", {"update": {"a": {"name": "z"}}}),
    ):
        middle[0].written.clear()
        middle[0].when = on(verb, 1, act)
        answer = await _set(tree, arguments)
        (error,) = (answer["notCreated"] or answer["notUpdated"]).values()
        assert error["type"] == type_


async def test_mail_that_comes_meanwhile_is_not_deleted(
    tree: Tree, middle: tuple[Between, int], dovecot: Dovecot, mailuser: User
) -> None:
    """RFC 8621 §2.5: mailboxHasEmail, as of the moment in which it would be destroyed."""
    await tree.ids()

    async def deliver(peer: Peer, command: Received, _count: int) -> bool:
        if command.line.upper().startswith(b"STATUS B "):
            middle[0].when = None
            await asyncio.to_thread(dovecot.append, mailuser, "b", mail(1))
        return False

    middle[0].when = deliver
    answer = await _set(tree, {"destroy": ["b"]})
    assert [e["type"] for e in answer["notDestroyed"].values()] == ["mailboxHasEmail"]
    assert (await tree.records())["b"]["totalEmails"] == 1


async def test_what_the_store_does_not_take_is_not_done(
    tree: Tree, dovecot: Dovecot, mailuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Design §7: what is durable is written before the client is told."""
    before = await tree.records()

    async def fails(*_: object) -> None:
        raise StoreUnavailable("memory", "full")

    monkeypatch.setattr(tree.client.account.mailbox_settings._durable, "keep", fails)
    answer = await _set(
        tree,
        {
            "create": {"k": {"name": "k", "sortOrder": 3}, "l": {"name": "l"}},
            "update": {"a": {"name": "z", "role": "flagged"}, "b": {"name": "y"}},
        },
    )
    assert answer["notCreated"]["k"]["type"] == "serverUnavailable"
    assert [*answer["created"]] == ["l"]
    assert [e["type"] for e in answer["notUpdated"].values()] == ["serverUnavailable"]
    after = await tree.records()
    assert after.keys() - before.keys() == {"l", "y"}
    assert after["a"] == before["a"]
    assert on_server(dovecot, mailuser) - DEFAULT == {"a", "a/kid", "l", "y"}
    # No mailbox can be put aside, either, and nothing is tried that could leave one there.
    answer = await _set(tree, {"update": {"a": {"name": "y"}, "y": {"name": "a"}}})
    assert len(answer["notUpdated"]) == 2
