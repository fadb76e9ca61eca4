"""RFC 9425: Quota, of a Dovecot that counts octets and messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.ext.quota import QUOTA_CAPABILITY
from gateway.ext.registry import account_capabilities, session_capabilities
from gateway.imap.commands.quota import Quota
from gateway.sync import quotas as quotas_module
from gateway.sync.quotas import held_in, state_of
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.mail.messages import mail
from tests.servers.dovecot import Dovecot, User
from tests.servers.dovecot_config import Options

_PLUGIN = (
    "mail_plugins = quota\nprotocol imap {\n  mail_plugins = quota imap_quota\n}\n"
    "plugin {\n  quota = count:User\n  quota_vsizes = yes\n"
    "  quota_rule = *:storage=100M\n  quota_rule2 = *:messages=50\n}"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    """Give a Dovecot with quotas."""
    with Dovecot(Options(extra=_PLUGIN)) as dovecot:
        yield dovecot


@pytest.fixture
def user(server: Dovecot) -> User:
    """Give a user of it."""
    return server.add_user()


@pytest.fixture
async def full(connect: Connect, server: Dovecot, user: User) -> Client:
    """Give a client whose quota is asked for each time."""
    client = await connect(server, user)
    client.capabilities |= {QUOTA_CAPABILITY}
    return client


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ext.quota._SECONDS", 0.0)
    monkeypatch.setattr(quotas_module, "FOLLOW_SECONDS", 0.0)


async def by_type(client: Client) -> dict[str, dict[str, Any]]:
    got = await client.call("Quota/get", ids=None)
    return {quota["resourceType"]: quota for quota in got["list"]}


async def test_what_is_used_is_shown(full: Client, server: Dovecot, user: User) -> None:
    found = await by_type(full)
    assert (
        found["octets"].items()
        >= {
            "used": 0,
            "hardLimit": 100 << 20,
            "scope": "account",
            "name": "User",
            "types": ["Email"],
            "warnLimit": None,
            "softLimit": None,
            "description": None,
        }.items()
    )
    assert (found["count"]["used"], found["count"]["hardLimit"]) == (0, 50)
    server.append(user, "INBOX", mail(subject="x" * 3000))
    found = await by_type(full)
    assert found["count"]["used"] == 1
    assert found["octets"]["used"] % 1024 == 0
    assert 2048 <= found["octets"]["used"] <= 8192
    one = found["count"]["id"]
    got = await full.call("Quota/get", ids=[one, "Qnone"], properties=["used"])
    assert (got["list"], got["notFound"]) == ([{"id": one, "used": 1}], ["Qnone"])


async def test_changes_are_told_from_any_state(full: Client, server: Dovecot, user: User) -> None:
    before = (await full.call("Quota/get", ids=[]))["state"]
    same = await full.call("Quota/changes", sinceState=before)
    assert (same["newState"], same["updated"], same["updatedProperties"]) == (before, [], None)
    server.append(user, "INBOX", mail(subject="x" * 3000))
    told = await full.call("Quota/changes", sinceState=before)
    ids = sorted(quota["id"] for quota in (await by_type(full)).values())
    assert (told["created"], told["updated"], told["destroyed"]) == ([], ids, [])
    assert told["updatedProperties"] == ["used"]
    assert not told["hasMoreChanges"]
    (_, changes), (_, got) = await full.request(
        ("Quota/changes", {"sinceState": before}),
        (
            "Quota/get",
            {
                "#ids": {"resultOf": "0", "name": "Quota/changes", "path": "/updated"},
                "#properties": {
                    "resultOf": "0",
                    "name": "Quota/changes",
                    "path": "/updatedProperties",
                },
            },
        ),
    )
    assert all(quota.keys() == {"id", "used"} for quota in got["list"])
    assert changes["newState"] == got["state"] != before


async def test_a_bound_that_is_another_is_changed_as_a_whole(full: Client) -> None:
    held = held_in((await full.call("Quota/get", ids=[]))["state"])
    other = state_of(
        [Quota(q.root, q.resource, q.used, q.limit - (q.resource == "MESSAGE")) for q in held]
    )
    told = await full.call("Quota/changes", sinceState=other)
    assert (len(told["updated"]), told["updatedProperties"]) == (1, None)
    told = await full.call("Quota/changes", sinceState=state_of(held[:1]))
    assert (len(told["created"]), told["destroyed"]) == (1, [])
    told = await full.call(
        "Quota/changes", sinceState=state_of([*held, Quota("x", "STORAGE", 1, 2)])
    )
    assert (told["created"], len(told["destroyed"])) == ([], 1)


@pytest.mark.parametrize("state", ["", "x", "AAAA", "kQE!", "1.2.3", "k" * 500])
async def test_a_state_that_none_ever_was_is_not_known(full: Client, state: str) -> None:
    with pytest.raises(Refused) as refused:
        await full.call("Quota/changes", sinceState=state)
    assert refused.value.type == "cannotCalculateChanges"


async def test_queries_filter_and_sort(full: Client, server: Dovecot, user: User) -> None:
    server.append(user, "INBOX", mail(subject="one"))
    ids = {kind: quota["id"] for kind, quota in (await by_type(full)).items()}

    async def found(**arguments: Any) -> list[str]:
        result: list[str] = (await full.call("Quota/query", **arguments))["ids"]
        return result

    assert await found(sort=[{"property": "used"}]) == [ids["count"], ids["octets"]]
    descending = [{"property": "used", "isAscending": False}]
    assert await found(sort=descending) == [ids["octets"], ids["count"]]
    assert len(await found(sort=[{"property": "name"}])) == 2
    assert await found(filter={"resourceType": "count"}) == [ids["count"]]
    assert set(await found(filter={"name": "uSe", "type": "Email"})) == set(ids.values())
    assert await found(filter={"scope": "domain"}) == []
    none = {"operator": "NOT", "conditions": [{"type": "Email"}, {"resourceType": "octets"}]}
    assert await found(filter=none) == []


async def test_results_of_queries_are_followed(full: Client, server: Dovecot, user: User) -> None:
    query = {"sort": [{"property": "used", "isAscending": False}]}
    before = await full.call("Quota/query", **query)
    server.append(user, "INBOX", mail(subject="one"))
    told = await full.call("Quota/queryChanges", sinceQueryState=before["queryState"], **query)
    ids = [id_ for id_ in before["ids"] if id_ not in told["removed"]]
    for item in told["added"]:
        ids.insert(item["index"], item["id"])
    after = await full.call("Quota/query", **query)
    assert (ids, told["newQueryState"]) == (after["ids"], after["queryState"])
    with pytest.raises(Refused) as refused:
        await full.call("Quota/queryChanges", sinceQueryState=before["queryState"])
    assert refused.value.type == "cannotCalculateChanges"


async def test_it_is_announced_where_the_server_has_it(full: Client, client: Client) -> None:
    assert session_capabilities()[QUOTA_CAPABILITY] == {}
    assert account_capabilities(full.account)[QUOTA_CAPABILITY] == {}
    assert QUOTA_CAPABILITY not in account_capabilities(client.account)


async def test_types_that_the_client_does_not_know_are_left_out(full: Client) -> None:
    """RFC 9425 §4.1: a quota of no type that is known is not returned at all."""
    full.using = [QUOTA_CAPABILITY]
    assert (await full.call("Quota/get", ids=None))["list"] == []
    assert (await full.call("Quota/query"))["ids"] == []


async def test_who_listens_is_told_when_it_moves(full: Client, server: Dovecot, user: User) -> None:
    account = full.account
    with account.watch() as listener:
        while "Quota" not in account.states():
            assert await listener.wait()
        before = account.states()["Quota"]
        server.append(user, "INBOX", mail(subject="one"))
        while account.states()["Quota"] == before:
            assert await listener.wait()
    assert account.states()["Quota"] == (await full.call("Quota/get", ids=[]))["state"]


def test_a_state_has_all_there_was() -> None:
    held = (Quota("", "STORAGE", 0, 2**64 - 1), Quota("Größe", "MESSAGE", 5, 7))
    assert held_in(state_of(held)) == held
    assert held_in(state_of(())) == ()
