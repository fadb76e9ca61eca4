"""RFC 8620 §8.6: whom the sender connects to: nobody inside the network (threat R4)."""

from __future__ import annotations

import ssl

import pytest

from gateway.config import Network as Allowed
from gateway.webpush.sender import Delivered, Later, Refused, Sender
from gateway.webpush.vapid import Vapid
from tests.servers.push_service import PushService, status
from tests.servers.scripted import Scripted
from tests.webpush.network import INSIDE, OUTSIDE, OUTSIDE_6, Network, host_of
from tests.webpush.sending import LOOPBACK, Silent, push_for, push_to, url_of

NAME = "push.example.org"
URL = f"https://{NAME}/x"


async def sent(url: str, vapid: Vapid) -> Later | Refused:
    """What becomes of a push of a gateway that goes nowhere inside; of none anything arrives."""
    async with Sender((), ssl.create_default_context()) as sender:
        outcome = await sender.send(push_to(url), vapid)
    assert isinstance(outcome, Later | Refused)
    return outcome


@pytest.mark.parametrize("address", [OUTSIDE, OUTSIDE_6])
async def test_an_address_outside_is_connected_to(
    address: str, network: Network, vapid: Vapid
) -> None:
    network.name(NAME, [address])
    assert await sent(URL, vapid) == Later("ClientConnectorError")
    await sent(f"https://{host_of(address)}/x", vapid)
    assert network.connected == [address, address]


@pytest.mark.threat("R4")
@pytest.mark.checklist("K15")
@pytest.mark.parametrize("address", INSIDE)
async def test_an_address_inside_is_refused_in_the_url(
    address: str, network: Network, vapid: Vapid
) -> None:
    assert isinstance(await sent(f"https://{host_of(address)}/x", vapid), Refused)
    assert network.connected == []


@pytest.mark.threat("R4")
@pytest.mark.checklist("K15")
@pytest.mark.parametrize("address", INSIDE)
async def test_an_address_inside_is_refused_behind_a_name(
    address: str, network: Network, vapid: Vapid
) -> None:
    network.name(NAME, [address])
    assert isinstance(await sent(URL, vapid), Later)
    assert network.asked == [NAME]
    assert network.connected == []


@pytest.mark.checklist("K15")
@pytest.mark.parametrize(
    "answer",
    [
        *[[OUTSIDE, "127.0.0.1"], ["127.0.0.1", OUTSIDE], ["::1", OUTSIDE], [OUTSIDE, "::1"]],
        ["10.0.0.1", "::ffff:10.0.0.1", OUTSIDE, "169.254.169.254", "fd00:ec2::254"],
    ],
)
async def test_of_several_addresses_those_inside_are_left_out(
    answer: list[str], network: Network, vapid: Vapid
) -> None:
    network.name(NAME, answer)
    assert isinstance(await sent(URL, vapid), Later)
    assert set(network.connected) == {OUTSIDE}


@pytest.mark.threat("R4")
@pytest.mark.checklist("K15")
async def test_a_name_that_comes_to_mean_an_address_inside(network: Network, vapid: Vapid) -> None:
    """DNS rebinding: it is the address that is connected to which is looked at."""
    network.name(NAME, [OUTSIDE], ["127.0.0.1"])
    for _ in range(2):
        assert isinstance(await sent(URL, vapid), Later)
    assert network.asked == [NAME, NAME]
    assert network.connected == [OUTSIDE]


@pytest.mark.threat("R4")
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(
    code: int, service: PushService, sender: Sender, vapid: Vapid, network: Network
) -> None:
    device = service.subscribe()
    async with Scripted(Silent()) as inside:
        for target in (
            *["http://169.254.169.254/latest/meta-data/", "https://[::1]/", url_of(inside)],
            *[f"http://127.0.0.1:{inside.port}/", service.subscribe().url],
        ):
            device.answers.append(status(code, Location=target))
            assert await sender.send(push_for(device), vapid) == Refused(code, "as told")
        assert inside.connections == 0
    assert set(network.connected) == {"127.0.0.1"}
    assert [each.requests for each in service.subscriptions.values()] == [5, 0]


async def test_proxies_of_the_environment_are_not_used(
    network: Network, vapid: Vapid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would look names up itself."""
    network.name(NAME, [OUTSIDE])
    async with Scripted(Silent()) as proxy:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await sent(URL, vapid)
        assert proxy.connections == 0
    assert network.connected == [OUTSIDE]


async def test_an_allowed_network_lets_its_own_addresses_through_only(
    service: PushService, sender: Sender, vapid: Vapid, network: Network
) -> None:
    """`sender` may push to 127.0.0.1."""
    device = service.subscribe("localhost")
    for address in ("127.0.0.2", "::1", "10.0.0.1", "::ffff:127.0.0.2", "64:ff9b::7f00:1"):
        assert isinstance(
            await sender.send(push_to(f"https://{host_of(address)}/"), vapid), Refused
        )
    network.name("localhost", ["127.0.0.2", "::1", "10.0.0.1", "127.0.0.1"])
    assert await sender.send(push_for(device), vapid) == Delivered()
    assert network.connected == ["127.0.0.1"]


async def test_beside_an_allowed_network_only_443_is_reached(
    sender: Sender, vapid: Vapid, network: Network
) -> None:
    network.name(NAME, [OUTSIDE])
    assert isinstance(await sender.send(push_to(f"https://{NAME}:8443/"), vapid), Later)
    assert network.connected == []
    assert isinstance(await sender.send(push_to(URL), vapid), Later)
    assert network.connected == [OUTSIDE]


async def test_what_the_operator_allows_no_more_is_refused(
    service: PushService, trust: ssl.SSLContext, vapid: Vapid
) -> None:
    """A subscription may be older than the configuration."""
    device = service.subscribe()
    async with Sender((Allowed.parse("10.0.0.0/8"),), trust) as sender:
        assert isinstance(await sender.send(push_for(device), vapid), Refused)
    async with Sender(LOOPBACK, trust) as sender:
        assert await sender.send(push_for(device), vapid) == Delivered()
    assert device.requests == 1
