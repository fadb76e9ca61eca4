"""RFC 8030 §5: what becomes of a push, whatever the push service does."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from email.utils import formatdate

import pytest

from gateway.webpush import sender as module
from gateway.webpush.encryption import MAX_OCTETS, Keys
from gateway.webpush.sender import Delivered, Gone, Later, Push, Refused, Sender
from gateway.webpush.vapid import Vapid
from tests.servers.process import free_port
from tests.servers.push_service import PushService, status
from tests.servers.scripted import Peer, Script, Scripted
from tests.webpush.network import Network
from tests.webpush.sending import (
    LOOPBACK,
    OCTETS,
    Endless,
    Silent,
    push_for,
    push_to,
    saying,
    scripted,
    url_of,
)

SECONDS = 30
# What the kernel holds of a connection, at both ends, goes to nobody.
MOST_OCTETS = 32 << 20


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no push take long."""
    monkeypatch.setattr(module, "_DEADLINE", 0.3)


# --- what a push service answers -----------------------------------------------------------------


@pytest.mark.checklist("K07", "K08")
async def test_what_is_delivered(service: PushService, sender: Sender, vapid: Vapid) -> None:
    device = service.subscribe()
    push = Push(device.url, Keys(device.point, device.secret), OCTETS, 77, "high")
    assert await sender.send(push, vapid) == Delivered()
    arrived = await device.next()
    assert arrived.json == {"@type": "StateChange", "changed": {}}
    assert arrived.server_key == vapid.public_key
    assert arrived.claims["aud"] == service.origin
    assert arrived.headers["TTL"] == "77"
    assert arrived.headers["Urgency"] == "high"
    assert arrived.headers["Content-Encoding"] == "aes128gcm"


async def test_without_keys_it_goes_in_clear(
    service: PushService, sender: Sender, vapid: Vapid
) -> None:
    device = service.subscribe()
    assert await sender.send(push_to(device.url), vapid) == Delivered()
    assert "Content-Encoding" not in (await device.next()).headers


@pytest.mark.parametrize("code", [200, 201, 202, 204])
async def test_any_success_is_one(
    code: int, service: PushService, sender: Sender, vapid: Vapid
) -> None:
    device = service.subscribe()
    device.answers.append(status(code))
    assert await sender.send(push_for(device), vapid) == Delivered()


@pytest.mark.parametrize("code", [404, 410])
async def test_a_subscription_that_is_gone(
    code: int, service: PushService, sender: Sender, vapid: Vapid
) -> None:
    device = service.subscribe()
    device.answers.append(status(code))
    assert await sender.send(push_for(device), vapid) == Gone()


@pytest.mark.parametrize("code", [400, 401, 403, 413])
async def test_what_is_not_wanted_is_refused_with_the_reason(
    code: int, service: PushService, sender: Sender, vapid: Vapid
) -> None:
    device = service.subscribe()
    device.answers.append(status(code))
    assert await sender.send(push_for(device), vapid) == Refused(code, "as told")


@pytest.mark.checklist("K08")
@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *[("120", 120.0), (" 0 ", 0.0), ("999999999", 86400.0)],
        *[("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 86400.0)],
        *[("", None), ("-5", None), ("soon", None), ("1" * 5000, None)],
    ],
)
async def test_trouble_is_for_later(
    code: int,
    value: str,
    seconds: float | None,
    service: PushService,
    sender: Sender,
    vapid: Vapid,
) -> None:
    device = service.subscribe()
    device.answers.append(status(code, Retry_After=value))
    assert await sender.send(push_for(device), vapid) == Later(f"{code} as told", seconds)


async def test_a_date_to_come_back_at(service: PushService, sender: Sender, vapid: Vapid) -> None:
    device = service.subscribe()
    device.answers.append(status(429, Retry_After=formatdate(time.time() + 7200, usegmt=True)))
    outcome = await sender.send(push_for(device), vapid)
    assert isinstance(outcome, Later)
    assert outcome.seconds is not None
    assert 3600 < outcome.seconds <= 7200


async def test_nothing_of_an_answer_can_forge_a_line_of_the_log(
    service: PushService, sender: Sender, vapid: Vapid
) -> None:
    answer = b"\x1b[31m\r\nall\x00 is\xff well\n".ljust(900, b"!")
    head = b"HTTP/1.1 403 \x1bNo\r\nContent-Length: %d\r\n\r\n" % len(answer)
    async with scripted(service, saying(head + answer)) as server:
        outcome = await sender.send(push_to(url_of(server)), vapid)
    assert isinstance(outcome, Refused | Later)
    assert outcome.reason.isprintable()
    assert len(outcome.reason) <= 200


@pytest.mark.parametrize("octets", [0, MAX_OCTETS + 1])
async def test_a_push_that_no_push_service_takes_is_not_sent(
    octets: int, service: PushService, sender: Sender, vapid: Vapid
) -> None:
    device = service.subscribe()
    with pytest.raises(ValueError, match=str(MAX_OCTETS)):
        await sender.send(Push(device.url, None, b"x" * octets, 60), vapid)
    assert device.requests == 0


# --- no answer -----------------------------------------------------------------------------------


async def test_nobody_listens(sender: Sender, vapid: Vapid) -> None:
    outcome = await sender.send(push_to(f"https://127.0.0.1:{free_port()}/"), vapid)
    assert isinstance(outcome, Later)


@pytest.mark.threat("R25")
async def test_an_unknown_authority_is_not_trusted(service: PushService, vapid: Vapid) -> None:
    """Threat R25."""
    device = service.subscribe()
    async with Sender(LOOPBACK, ssl.create_default_context()) as sender:
        outcome = await sender.send(push_for(device), vapid)
    assert outcome == Later("ClientConnectorCertificateError")
    assert device.requests == 0


@pytest.mark.threat("R25")
async def test_a_certificate_of_another_name_is_not_trusted(
    service: PushService, sender: Sender, vapid: Vapid, network: Network
) -> None:
    network.name("push.example.org", ["127.0.0.1"])
    device = service.subscribe("push.example.org")
    assert await sender.send(push_for(device), vapid) == Later("ClientConnectorCertificateError")
    assert network.connected == ["127.0.0.1"]
    assert device.requests == 0


async def drip(peer: Peer) -> None:
    """Begin an answer, and go on with it octet by octet."""
    await peer.send_raw(b"HTTP/1.1 201 Created\r\nX: ")
    while True:
        await peer.send_raw(b"x")
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("script", [Silent(), drip, Endless(b"", b"HTTP/1.1 103 Hm\r\n\r\n")])
async def test_no_answer_in_time(
    script: Script, service: PushService, trust: ssl.SSLContext, vapid: Vapid
) -> None:
    async with scripted(service, script) as server, Sender(LOOPBACK, trust) as sender:
        async with asyncio.timeout(SECONDS):
            outcome = await sender.send(push_to(url_of(server)), vapid)
        assert server.connections == 1
    assert outcome == Later("no answer in time")


@pytest.mark.usefixtures("impatient")
async def test_a_handshake_that_never_ends(trust: ssl.SSLContext, vapid: Vapid) -> None:
    async with Scripted(Silent()) as server, Sender(LOOPBACK, trust) as sender:
        async with asyncio.timeout(SECONDS):
            outcome = await sender.send(push_to(url_of(server)), vapid)
    assert outcome == Later("no answer in time")


@pytest.mark.usefixtures("impatient")
async def test_a_status_counts_without_the_text_that_it_promises(
    service: PushService, trust: ssl.SSLContext, vapid: Vapid
) -> None:
    head = b"HTTP/1.1 429 No\r\nRetry-After: 3600\r\nContent-Length: 9\r\n\r\n"
    async with scripted(service, saying(head)) as server, Sender(LOOPBACK, trust) as sender:
        outcome = await sender.send(push_to(url_of(server)), vapid)
    assert outcome == Later("429 ", 3600.0)


# --- hostile answers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"), [(201, Delivered), (410, Gone), (302, Refused), (413, Refused), (500, Later)]
)
@pytest.mark.parametrize(
    "head",
    [b"", b"Content-Length: 99999999999\r\n", b"Content-Encoding: gzip\r\n"],
    ids=["open", "long", "gzip"],
)
async def test_an_endless_answer_is_not_read(
    code: int, kind: type, head: bytes, service: PushService, sender: Sender, vapid: Vapid
) -> None:
    endless = Endless(b"HTTP/1.1 %d Yes\r\n%s\r\n" % (code, head), b"x" * 65536)
    async with scripted(service, endless) as server:
        outcome = await sender.send(push_to(url_of(server)), vapid)
        assert type(outcome) is kind
        assert len(getattr(outcome, "reason", "")) <= 204
        async with asyncio.timeout(SECONDS):
            await endless.ended.wait()
    assert endless.sent < MOST_OCTETS


@pytest.mark.threat("R22")
async def test_a_compressed_answer_is_not_unpacked(
    service: PushService, sender: Sender, vapid: Vapid
) -> None:
    """Threat R22."""
    packed = gzip.compress(b"as told")
    head = b"HTTP/1.1 403 No\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with scripted(service, saying(head + packed)) as server:
        outcome = await sender.send(push_to(url_of(server)), vapid)
    assert isinstance(outcome, Refused)
    assert outcome.reason
    assert outcome.reason != "as told"


@pytest.mark.parametrize(
    "endless",
    [
        Endless(b"", b"x" * 65536),
        Endless(b"HTTP/1.1 201 ", b"x" * 65536),
        Endless(b"HTTP/1.1 201 Created\r\nX: ", b"x" * 65536),
        Endless(b"HTTP/1.1 201 Created\r\n", b"X: y\r\n" * 10_000),
        Endless(b"HTTP/1.1 201 Created\r\n", b"X: " + b"y" * 4000 + b"\r\n"),
    ],
    ids=["noise", "reason", "field", "fields", "long fields"],
)
async def test_an_endless_head_is_not_read(
    endless: Endless, service: PushService, sender: Sender, vapid: Vapid
) -> None:
    async with scripted(service, endless) as server:
        outcome = await sender.send(push_to(url_of(server)), vapid)
        assert isinstance(outcome, Later)
        assert outcome.reason != "no answer in time"
        async with asyncio.timeout(SECONDS):
            await endless.ended.wait()
    assert endless.sent < MOST_OCTETS


# --- one beside the other ------------------------------------------------------------------------


async def test_a_push_service_that_hangs_delays_no_other(
    service: PushService, sender: Sender, vapid: Vapid
) -> None:
    device = service.subscribe()
    silent = Silent()
    async with scripted(service, silent) as server, asyncio.timeout(SECONDS):
        push = push_to(url_of(server))
        hanging = [asyncio.create_task(sender.send(push, vapid)) for _ in range(80)]
        await silent.asked.wait()
        assert await sender.send(push_for(device), vapid) == Delivered()
        assert not any(task.done() for task in hanging)
        assert server.connections < 80
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_names_that_nobody_tells_delay_no_other(
    service: PushService, sender: Sender, vapid: Vapid, network: Network
) -> None:
    """Nor what else works in the threads of the event loop."""
    device = service.subscribe("localhost")
    urls = [f"https://{number}.{network.hanging}/" for number in range(48)]
    async with asyncio.timeout(SECONDS):
        hanging = [asyncio.create_task(sender.send(push_to(url), vapid)) for url in urls]
        assert await sender.send(push_for(device), vapid) == Delivered()
        assert await asyncio.to_thread(len, urls) == 48
        assert not any(task.done() for task in hanging)
        network.answered.set()
        assert set(await asyncio.gather(*hanging)) == {Later("ClientConnectorDNSError")}


@pytest.mark.usefixtures("impatient")
async def test_a_name_that_nobody_tells_in_time(
    trust: ssl.SSLContext, vapid: Vapid, network: Network
) -> None:
    async with asyncio.timeout(SECONDS), Sender(LOOPBACK, trust) as sender:
        outcome = await sender.send(push_to(f"https://{network.hanging}/"), vapid)
        assert outcome == Later("no answer in time")
    assert network.connected == []


async def test_a_push_waits_for_its_turn_only_so_long(
    service: PushService, sender: Sender, vapid: Vapid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AT_ONCE_PER_HOST", 1)
    monkeypatch.setattr(module, "_QUEUE_SECONDS", 0.1)
    silent = Silent()
    async with scripted(service, silent) as server, asyncio.timeout(SECONDS):
        push = push_to(url_of(server))
        hanging = asyncio.create_task(sender.send(push, vapid))
        await silent.asked.wait()
        assert await sender.send(push, vapid) == Later("no answer in time")
        assert not hanging.done()
        assert server.connections == 1
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
