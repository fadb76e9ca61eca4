"""RFC 9661, RFC 8621 §8: ManageSieve servers that are down, refuse, hang, lie, or go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from gateway.ext.registry import account_capabilities
from gateway.ext.sieve import SIEVE, VACATION
from gateway.sieve.installation import NAME
from gateway.store.opening import open_store
from gateway.sync import sieve, sieve_access
from tests.ext.scripting import FILING, Person, settings
from tests.mail.client import Refused
from tests.mail.conftest import Connect
from tests.servers.dovecot import Dovecot
from tests.servers.process import free_port
from tests.servers.scripted import Peer, Script, Scripted
from tests.servers.small_sieve import SmallSieve

Front = Callable[..., Awaitable[tuple[Person, Scripted]]]

AWAY = {"isEnabled": True, "textBody": "Away."}


@pytest.fixture(autouse=True)
def _again_at_once(monkeypatch: pytest.MonkeyPatch, _scripts_at_once: None) -> None:
    monkeypatch.setattr(sieve_access, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(sieve_access, "INTRODUCE_AGAIN_SECONDS", 0.0)


@pytest.fixture
async def front(connect: Connect, dovecot: Dovecot) -> AsyncIterator[Front]:
    """Give a function that starts a ManageSieve server and a gateway, and gives a user of both."""
    async with AsyncExitStack() as stack:

        async def start(script: Script, **seconds: float) -> tuple[Person, Scripted]:
            server = await stack.enter_async_context(Scripted(script))
            where = settings(server.port, **seconds)
            return await Person.of(connect, dovecot, sieve=where), server

        yield start


async def refused(person: Person, method: str = "SieveScript/get") -> str:
    """The type of the error of a call; that of others, about mail, are answered all the same."""
    with pytest.raises(Refused) as caught:
        await person.client.call(method, **({} if method.endswith("set") else {"ids": None}))
    assert await person.client.paths()
    return caught.value.type


def announced(person: Person) -> bool:
    """Whether the Session object tells of scripts."""
    return SIEVE in account_capabilities(person.client.account)


# --- servers that can not be asked ----------------------------------------------------------------


async def test_a_server_that_is_down_is_announced_when_it_is_there(
    connect: Connect, dovecot: Dovecot
) -> None:
    port = free_port()
    person = await Person.of(connect, dovecot, sieve=settings(port))
    assert not announced(person)
    assert await refused(person) == "serverUnavailable"
    server = await asyncio.start_server(_serve(SmallSieve()), "127.0.0.1", port)
    async with server:
        await person.client.call("SieveScript/get", ids=None)
        assert announced(person)


def _serve(small: SmallSieve) -> Callable[..., Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await small(Peer(reader, writer, []))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return serve


@pytest.mark.parametrize(
    "method",
    [
        "SieveScript/get",
        "VacationResponse/get",
        "SieveScript/query",
        "SieveScript/set",
        "VacationResponse/set",
    ],
)
async def test_a_server_that_went_down_is_announced_still(front: Front, method: str) -> None:
    is_down = False
    small = SmallSieve({"main": FILING})

    async def script(peer: Peer) -> None:
        if not is_down:
            await small(peer)

    person, server = await front(script)
    is_down = True
    await person.client.account.sieve.access.close()  # type: ignore[union-attr]
    if method == "SieveScript/query":
        with pytest.raises(Refused) as caught:
            await person.client.call(method)
        assert caught.value.type == "serverUnavailable"
    else:
        assert await refused(person, method) == "serverUnavailable"
    assert announced(person)
    is_down = False
    assert (await person.scripts()).keys() == {"main"}
    assert server.connections == 3


async def test_who_is_refused_is_so_once(front: Front) -> None:
    class Closed(SmallSieve):
        async def authenticate(self, peer: Peer) -> None:
            await peer.send(b'NO "not you"')

    person, server = await front(Closed())
    assert not announced(person)
    for _ in range(3):
        assert await refused(person) == "forbidden"
    assert server.connections == 1
    # With other credentials it is tried once more.
    door = person.client._gateway._logins[person.user.username].door  # type: ignore[union-attr]
    door.credentials = replace(door.credentials, password="another")
    assert await refused(person) == "forbidden"
    assert await refused(person) == "forbidden"
    assert server.connections == 2


async def test_a_server_that_says_nothing_holds_up_no_login(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(peer: Peer) -> None:
        await peer.gone()

    monkeypatch.setattr(sieve_access, "INTRODUCE_SECONDS", 0.01)
    person, _ = await front(silent, connect_seconds=0.1)
    assert not announced(person)
    assert await refused(person) == "serverUnavailable"


@pytest.mark.parametrize("verb", ["listscripts", "getscript", "putscript", "setactive"])
async def test_a_server_that_stops_answering(
    front: Front, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = SmallSieve({"main": FILING}, "main")
    person, _ = await front(small, command_seconds=0.2)

    async def hang(peer: Peer, *_: bytes) -> None:
        await peer.gone()

    with monkeypatch.context() as patched:
        patched.setattr(small, verb, hang)
        if verb in ("listscripts", "getscript"):
            with pytest.raises(Refused) as caught:
                await person.answers(**AWAY)
            assert caught.value.type == "serverUnavailable"
        else:
            error = await person.answers(**AWAY)
            assert error is not None
            assert error["type"] == "serverUnavailable"
    assert small.active == "main"
    assert await person.answers(**AWAY) is None
    assert (small.active, small.scripts["main"]) == (NAME, FILING)


# --- servers that lie -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b'"a" ACTIVE\r\n"b" ACTIVE\r\nOK\r\n',
        b'"\xff"\r\nOK\r\n',
        b"* OK what\r\n",
        b'"gone"\r\nOK\r\n',
        b'""\r\nOK\r\n',
        b'NO (NONEXISTENT) "what"\r\n',
        b'NO "no"\r\n',
        b"BYE\r\n",
        b"{99999999999}\r\n",
    ],
)
async def test_a_server_that_lies(front: Front, answer: bytes) -> None:
    class Liar(SmallSieve):
        async def listscripts(self, peer: Peer) -> None:
            await peer.send_raw(answer)

    person, _ = await front(Liar())
    assert await refused(person) == "serverUnavailable"
    assert await refused(person, "VacationResponse/set") == "serverUnavailable"


async def test_scripts_that_are_too_much_to_read(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sieve, "MAX_OCTETS", 1000)
    small = SmallSieve(dict.fromkeys("abc", b"#" * 400))
    person, _ = await front(small)
    assert await refused(person) == "serverFail"
    small.scripts.pop("a")
    assert (await person.scripts()).keys() == {"b", "c"}
    monkeypatch.setattr(sieve, "_MAX_SCRIPTS", 1)
    assert await refused(person) == "serverFail"


async def test_a_server_that_never_does_what_it_says(front: Front) -> None:
    class Lazy(SmallSieve):
        async def setactive(self, peer: Peer, name: bytes) -> None:
            await peer.send(b"OK")

    person, _ = await front(Lazy({"main": FILING}, "main"))
    error = await person.answers(**AWAY)
    assert error is not None
    assert error["type"] == "serverUnavailable"
    assert await person.active() == ["main"]


# --- connections that break -----------------------------------------------------------------------


async def test_a_connection_that_was_idle_may_be_dead(front: Front) -> None:
    small = SmallSieve({"main": FILING})
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await small(peer)

    person, server = await front(script)
    assert (await person.scripts()).keys() == {"main"}
    assert server.connections == 2  # the first was to learn what there is
    peers[-1].abort()
    assert (await person.scripts()).keys() == {"main"}
    assert server.connections == 3


async def test_who_uses_scripts_no_more_has_no_connection(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sieve_access, "IDLE_SECONDS", 0.0)
    gone = asyncio.Event()
    small = SmallSieve({"main": FILING})

    async def script(peer: Peer) -> None:
        await small(peer)
        gone.set()

    person, server = await front(script)
    await gone.wait()
    gone.clear()
    assert (await person.scripts()).keys() == {"main"}
    await gone.wait()
    assert server.connections == 2


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("verb", ["putscript", "renamescript", "setactive", "deletescript"])
async def test_what_was_cut_off_is_done_once(front: Front, verb: str, is_done: bool) -> None:
    cut: list[str] = []

    class Cutting(SmallSieve):
        async def __call__(self, peer: Peer) -> None:
            try:
                await super().__call__(peer)
            except EOFError:
                peer.abort()

    small = Cutting({"main": FILING, "old": FILING})
    person, _ = await front(small)
    work = getattr(small, verb)

    async def once(peer: Peer, *arguments: bytes) -> None:
        if not cut:
            cut.append(verb)
            if is_done:
                await work(_Mute(peer), *arguments)
            raise EOFError
        await work(peer, *arguments)

    setattr(small, verb, once)
    found = await person.scripts()
    main, old = found["main"]["id"], found["old"]["id"]
    response = await person.set(
        create={"k": {"name": "new", "blobId": await person.upload(b"keep;")}},
        update={main: {"name": "first"}},
        destroy=[old],
        onSuccessActivateScript=main,
    )
    assert cut
    assert response["updated"] == {main: {"isActive": True}}
    assert response["destroyed"] == [old]
    assert small.scripts == {"first": FILING, "new": b"keep;"}
    assert small.active == "first"
    assert [each for each, _ in small.commands].count(verb) == (1 if is_done else 2)
    assert (await person.scripts())["first"]["id"] == main
    state = (await person.client.call("SieveScript/get", ids=[]))["state"]
    assert state == response["newState"]


class _Mute(Peer):
    """A connection on which nothing is answered."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer._reader, peer._writer, [])

    async def send_raw(self, octets: bytes) -> None:
        """Send nothing."""


# --- servers that refuse --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "type_"),
    [
        (b'NO (QUOTA/MAXSCRIPTS) "enough"', "overQuota"),
        (b'NO (QUOTA) "enough"', "overQuota"),
        (b'NO (QUOTA/MAXSIZE) "large"', "tooLarge"),
        (b'NO "the name"', "invalidProperties"),
        (b'NO (TRYLATER) "busy"', "serverUnavailable"),
        (b'NO (X-OTHER) "what"', "invalidProperties"),
    ],
)
async def test_why_a_script_is_not_stored(front: Front, answer: bytes, type_: str) -> None:
    class Refusing(SmallSieve):
        async def putscript(self, peer: Peer, name: bytes, content: bytes) -> None:
            await peer.send(answer)

    person, _ = await front(Refusing())
    blob_id = await person.upload(FILING)
    response = await person.set(create={"k": {"name": "main", "blobId": blob_id}})
    assert response["notCreated"]["k"]["type"] == type_
    error = await person.answers(**AWAY)
    assert error is not None
    assert error["type"] == type_


async def test_what_another_program_made_meanwhile(front: Front) -> None:
    class Busy(SmallSieve):
        async def renamescript(self, peer: Peer, old: bytes, new: bytes) -> None:
            self.scripts["new"] = b"stop;"
            await peer.send(b'NO (ALREADYEXISTS) "there"')

        async def deletescript(self, peer: Peer, name: bytes) -> None:
            self.active = name.decode()
            await peer.send(b'NO (ACTIVE) "active"')

    person, _ = await front(Busy({"main": FILING}))
    main = (await person.scripts())["main"]["id"]
    error = (await person.set(update={main: {"name": "new"}}))["notUpdated"][main]
    new = (await person.scripts())["new"]["id"]
    assert (error["type"], error["existingId"]) == ("alreadyExists", new)
    error = (await person.set(destroy=[main]))["notDestroyed"][main]
    assert error["type"] == "sieveIsActive"


async def test_a_response_that_finds_no_room_changes_nothing(front: Front) -> None:
    """It would be added to the user's script, where the server can not include that."""

    class Full(SmallSieve):
        extensions = b"vacation date relational"

        async def putscript(self, peer: Peer, name: bytes, content: bytes) -> None:
            if name == b"main":
                await peer.send(b'NO (QUOTA/MAXSIZE) "large"')
            else:
                await super().putscript(peer, name, content)

    small = Full({"main": FILING}, "main")
    person, _ = await front(small)
    error = await person.answers(**AWAY)
    assert error is not None
    assert error["type"] == "tooLarge"
    assert (small.scripts, small.active) == ({"main": FILING}, "main")


async def test_a_server_that_has_lost_its_vacation_action(front: Front) -> None:
    small = SmallSieve({"main": FILING}, "main")
    person, _ = await front(small)
    assert await person.answers(textBody="Away.") is None
    small.extensions = b"fileinto"
    await person.client.account.sieve.access.close()  # type: ignore[union-attr]
    await person.scripts()
    assert VACATION not in account_capabilities(person.client.account)
    other = await person.create("other", FILING, activate=True)
    assert await person.active() == ["other"]
    assert (await person.set(update={other: {"name": "third"}}))["updated"] == {other: None}
    error = await person.answers(isEnabled=True)
    assert error is not None
    assert error["type"] == "forbidden"
    assert small.active == "third"


async def test_a_server_of_before_the_standard(front: Front) -> None:
    class Old(SmallSieve):
        version = b""

    person, _ = await front(Old())
    main = await person.create("main", FILING, activate=True)
    with pytest.raises(Refused) as caught:
        await person.client.call("SieveScript/validate", blobId=await person.upload(FILING))
    assert caught.value.type == "accountNotSupportedByMethod"
    assert (await person.set(update={main: {"name": "other"}}))["updated"] == {main: None}
    assert await person.active() == ["other"]
    assert (await person.scripts())["other"]["id"] == main


# --- ids ------------------------------------------------------------------------------------------


async def test_ids_are_the_same_on_other_nodes_and_without_a_store(
    front: Front, connect: Connect, tmp_path: Any
) -> None:
    small = SmallSieve()
    person, server = await front(small)
    main = await person.create("main", FILING)
    plain = await person.create("plain", FILING)
    assert (await person.set(update={main: {"name": "other"}}))["updated"] == {main: None}

    async def ids(store: Any) -> dict[str, str]:
        again = await Person.of(
            connect, person.server, person.user, store=store, sieve=settings(server.port)
        )
        return {name: script["id"] for name, script in (await again.scripts()).items()}

    assert person.client._gateway is not None
    assert await ids(person.client._gateway._store) == {"other": main, "plain": plain}
    lost = await ids(open_store("memory://", b"y" * 32, tmp_path))
    assert lost["plain"] == plain
    assert lost["other"] != main
