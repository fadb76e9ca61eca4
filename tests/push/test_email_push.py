"""draft-ietf-jmap-emailpush-02: new mail itself, from Dovecot to the device."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.push import line, new_mail
from gateway.push.email_push import email_pushes
from tests.push.emails import SECONDS, arrive, config, known, long_letter, matters, pushed, subjects
from tests.push.subscribing import Subscriber, changed
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.push_service import PushService, held, status
from tests.sync.letters import letter


@pytest.fixture(autouse=True)
def unspaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for what is there to spare push services."""
    monkeypatch.setattr(line, "_SPACING_SECONDS", 0.05)
    monkeypatch.setattr(line, "_FIRST_PAUSE", 0.1)


def flag_and_move(server: Dovecot, user: User) -> None:
    with server.imap(user) as imap:
        assert imap.select("INBOX")[0] == "OK"
        assert imap.store("1", "+FLAGS", r"(\Seen \Flagged)")[0] == "OK"
        assert imap._simple_command("MOVE", "1", "Other")[0] == "OK"


# --- what a push has -----------------------------------------------------------------------------


async def test_a_push_has_what_was_asked_for(
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
) -> None:
    """In the order asked for, with the values and the state of Email/get."""
    names = ["subject", "from", "header:Message-ID:asMessageIds", "keywords", "preview", "id"]
    device = service.subscribe()
    configs = {account_id: config(*names, urgency="low")}
    await phone.subscribe(device, types=[], emailPush=configs)
    await arrive(dovecot, mailuser, letter(1, None, "\\Flagged"))
    push = await device.next()
    assert push.json.keys() == {"@type", "accountId", "emails", "state"}
    assert push.json["accountId"] == account_id
    assert push.headers["Urgency"] == "low"
    (email,) = pushed(push)
    assert list(email) == names
    got = await phone.client.call("Email/get", ids=[email["id"]], properties=names)
    assert got["list"] == [email]
    assert push.json["state"] == got["state"]


@pytest.mark.parametrize(
    "filter_",
    [
        {"subject": "matter 2"},
        {"operator": "AND", "conditions": [{"hasKeyword": "$notify"}, {"body": "letter 2"}]},
        {"operator": "NOT", "conditions": [{"hasAttachment": True}, {"subject": "matter 3"}]},
    ],
)
async def test_only_what_the_filter_matches_is_pushed(
    filter_: dict[str, Any],
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
) -> None:
    await arrive(dovecot, mailuser, letter(0, None, "$notify"))
    device = service.subscribe()
    wanted = config("subject") | {"filter": filter_}
    await phone.subscribe(device, types=[], emailPush={account_id: wanted})
    await arrive(
        dovecot,
        mailuser,
        letter(1, None, "$notify", attachment=True),
        letter(3),
        letter(2, None, "$notify"),
    )
    assert await subjects(device, 1) == ["matter 2"]
    await arrive(dovecot, mailuser, letter(5, None, "$notify", attachment=True))
    await arrive(dovecot, mailuser, letter(2, None, "$notify", "\\Seen"))
    assert device.waiting == 0


async def test_what_comes_to_another_mailbox_is_not_pushed(
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
) -> None:
    dovecot.create(mailuser, "Lists")
    (inbox,) = (await phone.client.call("Mailbox/query", filter={"role": "inbox"}))["ids"]
    some, every = service.subscribe(), service.subscribe()
    wanted = config("subject") | {"filter": {"inMailbox": inbox}}
    await phone.subscribe(some, types=[], emailPush={account_id: wanted})
    await phone.subscribe(every, types=[], emailPush={account_id: config("subject")})
    await arrive(dovecot, mailuser, letter(1), mailbox="Lists")
    assert await subjects(every, 1) == ["matter 1"]
    await arrive(dovecot, mailuser, letter(2))
    assert await subjects(some, 1) == ["matter 2"]


async def test_a_property_that_does_not_fit_is_left_out(
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
) -> None:
    device = service.subscribe()
    wanted = config("subject", "header:X-Long", "id")
    await phone.subscribe(device, types=[], emailPush={account_id: wanted})
    await arrive(dovecot, mailuser, long_letter(1, 4_000))
    (email,) = pushed(await device.next())
    assert list(email) == ["subject", "id"]


async def test_state_changes_are_pushed_besides_unless_no_types_are_wanted(
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
) -> None:
    silent, loud = service.subscribe(), service.subscribe()
    configs = {account_id: config("subject")}
    await phone.subscribe(silent, types=[], emailPush=configs)
    await phone.subscribe(loud, types=["Email"], emailPush=configs)
    for number in range(2):
        await arrive(dovecot, mailuser, letter(number))
        assert await subjects(loud, 1) == [f"matter {number}"]
        assert changed(await loud.next()).keys() == {account_id}
        assert await subjects(silent, 1) == [f"matter {number}"]
    assert silent.requests == 3  # the verification, and two letters


@pytest.mark.threat("R5")
async def test_nothing_is_pushed_before_it_is_verified(
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
) -> None:
    device, other = service.subscribe(), service.subscribe()
    configs = {account_id: config("subject")}
    await phone.create(device.url, keys=device.keys, types=[], emailPush=configs)
    await phone.subscribe(other, types=[], emailPush=configs)
    await arrive(dovecot, mailuser, letter(1))
    await subjects(other, 1)
    assert device.requests == 1
    assert (await device.next()).json["@type"] == "PushVerification"


# --- what is new mail ----------------------------------------------------------------------------


async def test_what_is_imported_moved_or_flagged_is_not_pushed(
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
) -> None:
    """Nor a draft; what comes afterwards is."""
    client = phone.client
    dovecot.create(mailuser, "Other")
    await known(phone, 0)
    await arrive(dovecot, mailuser, letter(1))
    device, other = service.subscribe(), service.subscribe()
    await phone.subscribe(device, types=[], emailPush={account_id: config("subject")})
    await phone.subscribe(other, types=["Email"])
    await asyncio.to_thread(flag_and_move, dovecot, mailuser)
    await other.next()
    (inbox,) = (await client.call("Mailbox/query", filter={"role": "inbox"}))["ids"]
    upload = await client.http.post(
        f"{client.url}/jmap/upload/{account_id}", data=letter(2).octets, headers=client.headers
    )
    new = {"blobId": (await upload.json())["blobId"], "mailboxIds": {inbox: True}}
    assert (await client.call("Email/import", emails={"i": new}))["created"]
    draft = {"mailboxIds": {inbox: True}, "subject": "draft", "keywords": {"$draft": True}}
    assert (await client.call("Email/set", create={"d": draft}))["created"]
    await arrive(dovecot, mailuser, letter(3))
    assert await subjects(device, 1) == ["matter 3"]
    await arrive(dovecot, mailuser, letter(4))
    assert await subjects(device, 1) == ["matter 4"]
    assert device.requests == 3


async def test_what_comes_during_a_push_is_in_the_next(
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
) -> None:
    device, other = service.subscribe(), service.subscribe()
    configs = {account_id: config("subject")}
    await phone.subscribe(device, types=[], emailPush=configs)
    await phone.subscribe(other, types=[], emailPush=configs)
    release = asyncio.Event()
    device.answers.append(held(release, status(503)))
    await arrive(dovecot, mailuser, letter(0))
    await subjects(other, 1)
    for number in range(1, 4):
        await arrive(dovecot, mailuser, letter(number))
        await subjects(other, 1)
    release.set()
    assert pushed(await device.next()) == [{"subject": "matter 0"}]
    assert [each["subject"] for each in pushed(await device.next())] == matters(range(1, 4))


async def test_of_many_the_newest_are_pushed_in_order_as_they_fit(
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when the push service does not take them at once."""
    monkeypatch.setattr(new_mail, "MOST_EMAILS", 5)
    device = service.subscribe()
    wanted = config("subject", "header:X-Long")
    await phone.subscribe(device, types=[], emailPush={account_id: wanted})
    release = asyncio.Event()
    device.answers += [held(release, status(201)), status(503), status(429)]
    await arrive(dovecot, mailuser, letter(0))
    async with asyncio.timeout(SECONDS):
        while device.requests < 2:
            await asyncio.sleep(0.02)
    await arrive(dovecot, mailuser, *(long_letter(number, 1_500) for number in range(1, 9)))
    await arrive(dovecot, mailuser, letter(9))
    await known(phone, 10)
    release.set()
    for numbers in ([5, 6], [7, 8, 9]):
        assert [each["subject"] for each in pushed(await device.next())] == matters(numbers)
    assert device.requests == 6


@pytest.mark.parametrize("is_changed", [False, True])
async def test_a_push_that_is_too_large_for_the_service_holds_up_nothing(
    is_changed: bool,
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
) -> None:
    """Nor does one of which the client has said meanwhile that it wants it otherwise."""
    device = service.subscribe()
    id_ = await phone.subscribe(device, types=[], emailPush={account_id: config("subject")})
    if is_changed:
        release = asyncio.Event()
        device.answers.append(held(release, status(503)))
        await arrive(dovecot, mailuser, letter(1))
        async with asyncio.timeout(SECONDS):
            while device.requests < 2:
                await asyncio.sleep(0.02)
        await phone.update(id_, **{f"emailPush/{account_id}/properties": ["size"]})
        release.set()
        assert [email.keys() for email in pushed(await device.next())] == [{"size"}]
    else:
        device.answers.append(status(413))
        await arrive(dovecot, mailuser, letter(1))
        async with asyncio.timeout(SECONDS):
            while device.requests < 2:
                await asyncio.sleep(0.02)
        await arrive(dovecot, mailuser, letter(2))
        assert await subjects(device, 1) == ["matter 2"]


@pytest.mark.parametrize("failures", [2, 5])
async def test_what_can_not_be_read_is_tried_again_and_holds_up_nothing(
    failures: int,
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does it end the pushes of what comes later."""
    tried = asyncio.Semaphore(0)

    def broken(*made_of: Any) -> list[bytes]:
        nonlocal failures
        tried.release()
        if failures == 0:
            return email_pushes(*made_of)
        failures -= 1
        raise ZeroDivisionError

    is_given_up = failures == 5
    monkeypatch.setattr(line, "_FIRST_LOOK", 0.02)
    monkeypatch.setattr(new_mail, "email_pushes", broken)
    device = service.subscribe()
    await phone.subscribe(device, types=[], emailPush={account_id: config("subject")})
    await arrive(dovecot, mailuser, letter(1))
    async with asyncio.timeout(SECONDS):
        for _ in range(failures):
            await tried.acquire()
    if not is_given_up:
        assert await subjects(device, 1) == ["matter 1"]
    await arrive(dovecot, mailuser, letter(2))
    assert await subjects(device, 1) == ["matter 2"]
