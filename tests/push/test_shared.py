"""RFC 8620 §7.1: from a change in what another user shares to the event that tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.http import session
from gateway.sync import login
from tests.app.harness import client_of, settings
from tests.app.sharing import accounts, letter, mailboxes, share
from tests.push.reader import Reader
from tests.push.test_dovecot import NEW_MAIL, Watching
from tests.servers.dovecot import Dovecot, User
from tests.servers.dovecot_config import Options

SECONDS = 30.0
PUBLISHER = "publisher@example.test"


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    """Give a Dovecot with the namespaces `shared/` and `Public/`."""
    with Dovecot(Options(acl=True, publisher=PUBLISHER)) as server:
        yield server


@pytest.fixture
def bob(server: Dovecot) -> User:
    return server.add_user()


@pytest.fixture
async def ann(
    server: Dovecot, bob: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watching]:
    """Give a client of a user with whom bob shares the mailbox Team."""
    monkeypatch.setattr(session, "SHARED_SECONDS", 0.0)
    monkeypatch.setattr(login, "ANEW_SECONDS", 0.0)
    user = server.add_user()
    server.create(bob, "Team")
    share(server, bob, "Team", user.username, "lrswit")
    async with client_of(settings(server, tmp_path), user) as client:
        yield Watching.of(client, user)


async def told(reader: Reader, account_id: str, types: frozenset[str]) -> None:
    """Wait until all these types of an account were told of."""
    heard: set[str] = set()
    async with asyncio.timeout(SECONDS):
        while not types <= heard:
            heard |= set((await reader.state()).get(account_id, {}))


@pytest.mark.checklist("K03")
async def test_a_change_in_what_another_user_shares_is_told(
    ann: Watching, server: Dovecot, bob: User
) -> None:
    """RFC 8620 §7.1: of each account that the user has; nobody has asked for this one before."""
    account_id, _ = (await accounts(ann))[bob.username]
    reader = await ann.open()
    server.append(bob, "Team", letter("one"))
    await told(reader, account_id, NEW_MAIL)
    with server.imap(bob) as imap:
        imap.select("Team")
        imap.store("1", "+FLAGS", "\\Seen")
    await told(reader, account_id, frozenset({"Email", "Mailbox"}))


async def test_an_event_id_remembers_all_accounts(
    ann: Watching, server: Dovecot, bob: User
) -> None:
    """RFC 8620 §7.3: what came while the client was away is told of as it comes back."""
    account_id, _ = (await accounts(ann))[bob.username]
    reader = await ann.open()
    server.append(bob, "Team", letter("one"))
    await told(reader, account_id, NEW_MAIL)
    last = reader.parser.last_event_id
    reader.response.close()
    server.append(bob, "Team", letter("two"))
    again = await ann.open(last=last)
    changed = await again.state()
    assert set(changed[account_id]) >= {"Email", "Mailbox"}


async def test_what_comes_to_be_shared_is_followed(ann: Watching, server: Dovecot) -> None:
    """RFC 8620 §7.1: once the list of accounts was looked at again."""
    reader = await ann.open()
    carol = server.add_user()
    username = (await ann.session())["username"]
    share(server, carol, "INBOX", username, "lr")
    account_id, _ = (await accounts(ann))[carol.username]
    assert account_id in await reader.state()
    await mailboxes(ann, account_id)
    server.append(carol, "INBOX", letter("one"))
    await told(reader, account_id, NEW_MAIL)


async def test_a_shared_namespace_is_followed_once_it_is_used(
    ann: Watching, server: Dovecot
) -> None:
    """A namespace that is open to many is not indexed for each of them unasked."""
    publisher = server.add_user(PUBLISHER)
    username = (await ann.session())["username"]
    server.create(publisher, "Public/News")
    share(server, publisher, "Public/News", username, "lr")
    account_id, _ = (await accounts(ann))["Public"]
    reader = await ann.open()
    await mailboxes(ann, account_id)
    assert account_id in await reader.state()
    server.append(publisher, "Public/News", letter("one"))
    await told(reader, account_id, NEW_MAIL)
