"""RFC 8620 §7.2: PushSubscription/get and /set, and the verification."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.push.subscribing import VAPID, Refused, Subscriber
from tests.servers.push_service import PushService

SHOWN = {"id", "deviceClientId", "verificationCode", "expires", "types", "emailPush"}


def utc(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_ahead(date: str) -> float:
    return (datetime.fromisoformat(date) - datetime.now(UTC)).total_seconds()


@pytest.mark.checklist("K04", "K05", "K07", "K12")
async def test_a_subscription_is_verified_by_the_code_that_was_pushed(
    phone: Subscriber, service: PushService
) -> None:
    device = service.subscribe()
    created = await phone.create(device.url, keys=device.keys, types=["Email"])
    assert created.keys() >= {"id", "expires"}
    (held,) = await phone.all()
    assert held.keys() == SHOWN
    assert held["verificationCode"] is None
    assert held["types"] == ["Email"]
    push = await device.next()
    assert push.json.keys() == {"@type", "pushSubscriptionId", "verificationCode"}
    assert push.json["pushSubscriptionId"] == created["id"]
    code = push.json["verificationCode"]
    with pytest.raises(Refused) as refused:
        await phone.update(created["id"], verificationCode="0" * len(code))
    assert (refused.value.type, refused.value.properties) == (
        "invalidProperties",
        ["verificationCode"],
    )
    await phone.update(created["id"], verificationCode=code)
    (held,) = await phone.all()
    assert held["verificationCode"] == code


async def test_pushes_are_signed_with_the_key_in_the_session(
    phone: Subscriber, service: PushService
) -> None:
    """RFC 9749 §3, §4."""
    session = await phone.client.session()
    device = service.subscribe()
    await phone.create(device.url)
    push = await device.next()
    assert push.server_key == session["capabilities"][VAPID]["applicationServerKey"]
    assert int(push.headers["TTL"]) > 0


@pytest.mark.checklist("K13")
@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("PushSubscription/get", {"accountId": "a"}),
        ("PushSubscription/get", {"state": "a"}),
        ("PushSubscription/set", {"accountId": "a"}),
        ("PushSubscription/set", {"ifInState": "a"}),
    ],
)
async def test_there_is_no_account_and_no_state(
    method: str, arguments: dict[str, Any], phone: Subscriber
) -> None:
    with pytest.raises(Refused) as refused:
        await phone.call(method, **arguments)
    assert refused.value.type == "invalidArguments"
    answer = await phone.call(method)
    assert answer.keys().isdisjoint({"accountId", "state", "oldState", "newState"})


@pytest.mark.checklist("K12")
@pytest.mark.parametrize("name", ["url", "keys"])
async def test_where_pushes_go_is_not_told(
    name: str, phone: Subscriber, service: PushService
) -> None:
    await phone.create(service.subscribe().url)
    with pytest.raises(Refused) as refused:
        await phone.call("PushSubscription/get", properties=["types", name])
    assert refused.value.type == "forbidden"


@pytest.mark.checklist("K06", "K09", "K15")
@pytest.mark.parametrize(
    ("properties", "wrong"),
    [
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://user:secret@push.example/"}, "url"),
        ({"keys": {"p256dh": "AAAA", "auth": "AAAA"}}, "keys"),
        ({"keys": {"p256dh": "AAAA"}}, "keys"),
        ({"verificationCode": "123"}, "verificationCode"),
        ({"expires": "2020-01-01T00:00:00Z"}, "expires"),
        ({"expires": "tomorrow"}, "expires"),
        ({"types": ["No such, type"]}, "types"),
        ({"deviceClientId": ""}, "deviceClientId"),
    ],
)
async def test_what_can_not_be_is_refused(
    properties: dict[str, Any], wrong: str, phone: Subscriber, service: PushService
) -> None:
    device = service.subscribe()
    with pytest.raises(Refused) as refused:
        await phone.create(properties.pop("url", device.url), **properties)
    assert (refused.value.type, refused.value.properties) == ("invalidProperties", [wrong])
    assert await phone.all() == []
    assert device.requests == 0


@pytest.mark.checklist("K10")
async def test_the_server_bounds_the_lifetime(phone: Subscriber, service: PushService) -> None:
    """RFC 8620 §7.2: no less than a week."""
    week = timedelta(days=7).total_seconds()
    created = await phone.create(service.subscribe().url)
    assert seconds_ahead(created["expires"]) >= week
    created = await phone.create(service.subscribe().url, expires=utc(days=3650))
    assert week <= seconds_ahead(created["expires"]) < 2 * 30 * 24 * 3600
    soon = utc(hours=1)
    created = await phone.create(service.subscribe().url, expires=soon)
    assert created["expires"] == soon
    told = await phone.update(created["id"], expires=utc(days=3650))
    assert told is not None
    assert seconds_ahead(told["expires"]) >= week
    later = utc(hours=2)
    assert await phone.update(created["id"], expires=later) is None
    held = {each["id"]: each for each in await phone.all()}
    assert held[created["id"]]["expires"] == later


@pytest.mark.checklist("K09")
@pytest.mark.parametrize("name", ["url", "keys", "deviceClientId", "id"])
async def test_what_is_immutable(name: str, phone: Subscriber, service: PushService) -> None:
    device = service.subscribe()
    created = await phone.create(device.url, keys=device.keys)
    other = service.subscribe()
    values: dict[str, Any] = {
        "url": other.url,
        "keys": other.keys,
        "deviceClientId": "x",
        "id": "y",
    }
    with pytest.raises(Refused) as refused:
        await phone.update(created["id"], **{name: values[name]})
    assert (refused.value.type, refused.value.properties) == ("invalidProperties", [name])


@pytest.mark.threat("R5")
@pytest.mark.checklist("K15")
async def test_too_many(phone: Subscriber, service: PushService) -> None:
    """Threat R5: nor is more than one request made for any that is not verified."""
    devices = [service.subscribe() for _ in range(17)]
    for device in devices[:16]:
        await phone.create(device.url)
    with pytest.raises(Refused) as refused:
        await phone.create(devices[16].url)
    assert refused.value.type == "overQuota"
    for device in devices[:16]:
        await device.next()
    (first, *_) = await phone.all()
    await phone.call("PushSubscription/set", destroy=[first["id"]])
    with pytest.raises(Refused) as refused:
        await phone.create(devices[16].url)
    assert refused.value.type == "rateLimit"
    assert [device.requests for device in devices] == [1] * 16 + [0]


async def test_what_is_destroyed_is_gone(phone: Subscriber, service: PushService) -> None:
    id_ = await phone.subscribe(service.subscribe())
    answer = await phone.call("PushSubscription/set", destroy=[id_, "unknown"])
    assert answer["destroyed"] == [id_]
    assert answer["notDestroyed"]["unknown"]["type"] == "notFound"
    assert await phone.all() == []
    with pytest.raises(Refused) as refused:
        await phone.update(id_, types=None)
    assert refused.value.type == "notFound"
