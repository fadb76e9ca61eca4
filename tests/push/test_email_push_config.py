"""draft-ietf-jmap-emailpush-02 §2, §4: what new mail a client can ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.test_dovecot_events import SECRET
from tests.push.emails import arrive, config, subjects
from tests.push.subscribing import Refused, Subscriber, subscriber
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.push_service import PushService
from tests.sync.letters import letter

EMAIL_PUSH = "urn:ietf:params:jmap:emailpush"


async def test_it_is_announced_for_each_account(phone: Subscriber) -> None:
    found = await phone.client.session()
    assert found["capabilities"][EMAIL_PUSH] == {}
    assert [each["accountCapabilities"][EMAIL_PUSH] for each in found["accounts"].values()] == [{}]


async def test_where_it_is_not_seen_what_comes_there_is_none(
    dovecot: Dovecot, mailuser: User, service: PushService, tmp_path: Path
) -> None:
    environment = {"JMAP_GATEWAY_EVENTS__SECRET": SECRET}
    async with subscriber(dovecot, mailuser, service, tmp_path, environment=environment) as phone:
        found = await phone.client.session()
        assert EMAIL_PUSH not in found["capabilities"]
        (account,) = found["accounts"].values()
        assert EMAIL_PUSH not in account["accountCapabilities"]
        device = service.subscribe()
        configs = {phone.client.account_id: config("subject")}
        with pytest.raises(Refused) as refused:
            await phone.create(device.url, keys=device.keys, emailPush=configs)
        assert refused.value.properties == ["emailPush"]


async def test_what_was_asked_for_is_told(
    phone: Subscriber, service: PushService, account_id: str
) -> None:
    device = service.subscribe()
    id_ = await phone.subscribe(device, emailPush={account_id: config("subject", "id")})
    (shown,) = await phone.all()
    assert shown["emailPush"] == {account_id: config("subject", "id", urgency="normal")}
    wanted = config("from", urgency="high") | {"filter": {"from": "ada"}}
    await phone.update(id_, emailPush={account_id: wanted})
    (shown,) = await phone.all()
    assert shown["emailPush"] == {account_id: wanted}
    await phone.update(id_, emailPush=None)
    (shown,) = await phone.all()
    assert shown["emailPush"] is None


async def test_nobody_finds_in_the_store_which_mail_a_client_waits_for(
    phone: Subscriber, service: PushService, account_id: str, tmp_path: Path
) -> None:
    device = service.subscribe()
    wanted = config("subject") | {"filter": {"text": "clandestine"}}
    await phone.subscribe(device, emailPush={account_id: wanted})
    (database,) = tmp_path.glob("*.db")
    kept = b"".join(path.read_bytes() for path in tmp_path.glob(f"{database.name}*"))
    assert b"clandestine" not in kept


async def test_what_is_not_wanted_any_more_is_not_pushed(
    phone: Subscriber,
    service: PushService,
    dovecot: Dovecot,
    mailuser: User,
    account_id: str,
) -> None:
    """Nor, when it is wanted again, what came in between."""
    device, other = service.subscribe(), service.subscribe()
    configs = {account_id: config("subject")}
    id_ = await phone.subscribe(device, types=[], emailPush=configs)
    await phone.subscribe(other, types=[], emailPush=configs)
    await phone.update(id_, emailPush=None)
    await arrive(dovecot, mailuser, letter(1))
    assert await subjects(other, 1) == ["matter 1"]
    await phone.update(id_, emailPush=configs)
    await arrive(dovecot, mailuser, letter(2))
    assert await subjects(device, 1) == ["matter 2"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"filter": {"unknown": 1}},
        {"filter": {"minSize": "large"}},
        {"filter": "all"},
        {"filter": {"text": " ".join(f"word{number}" for number in range(300))}},
        {"properties": ["subject", "unknown"]},
        {"properties": ["header:Subject:asNothing"]},
        {"properties": None},
        {"properties": ["x" * 20_000]},
        {"urgency": "very-high"},
        {"urgency": None},
        {"further": True},
    ],
)
async def test_what_can_not_be_is_refused(
    wrong: dict[str, Any], phone: Subscriber, service: PushService, account_id: str
) -> None:
    device = service.subscribe()
    configs = {account_id: config("subject") | wrong}
    with pytest.raises(Refused) as refused:
        await phone.create(device.url, keys=device.keys, emailPush=configs)
    assert (refused.value.type, refused.value.properties) == ("invalidProperties", ["emailPush"])
    assert await phone.all() == []


async def test_other_accounts_than_those_of_the_user_are_refused(
    phone: Subscriber, service: PushService
) -> None:
    device = service.subscribe()
    with pytest.raises(Refused) as refused:
        await phone.create(device.url, keys=device.keys, emailPush={"A1": config("subject")})
    assert (refused.value.type, refused.value.properties) == ("invalidProperties", ["emailPush"])


async def test_without_keys_nothing_of_mail_is_pushed(
    phone: Subscriber, service: PushService, account_id: str
) -> None:
    """§6."""
    device = service.subscribe()
    configs = {account_id: config("subject")}
    with pytest.raises(Refused) as refused:
        await phone.create(device.url, emailPush=configs)
    assert (refused.value.type, refused.value.properties) == ("invalidProperties", ["emailPush"])
    created = await phone.create(device.url)
    with pytest.raises(Refused) as refused:
        await phone.update(created["id"], emailPush=configs)
    assert (refused.value.type, refused.value.properties) == ("invalidProperties", ["emailPush"])
