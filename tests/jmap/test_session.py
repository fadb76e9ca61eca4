"""RFC 8620 §2: the Session object."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from gateway.jmap.call import CORE, WEBSOCKET
from gateway.jmap.limits import Limits
from gateway.jmap.session import SessionAccount, build

MAIL = "urn:ietf:params:jmap:mail"
QUOTA = "urn:ietf:params:jmap:quota"

OWN = SessionAccount("jane@example.com", True, False, {MAIL: {"maxMailboxDepth": 10}})
SHARED = SessionAccount("team@example.com", False, True, {MAIL: {}, QUOTA: {}})


def built(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "username": "jane@example.com",
        "accounts": {"s1": SHARED, "a1": OWN},
        "capabilities": {MAIL: {}, QUOTA: {}},
        "base_url": "https://jmap.example.com",
        "limits": Limits(),
    }
    return build(**(arguments | changes))


@pytest.mark.checklist("B02", "B03")
def test_core_capability_has_all_limits_and_at_least_the_suggested_ones() -> None:
    core = built()["capabilities"][CORE]
    floors = {
        "maxSizeUpload": 50_000_000,
        "maxConcurrentUpload": 4,
        "maxSizeRequest": 10_000_000,
        "maxConcurrentRequests": 4,
        "maxCallsInRequest": 16,
        "maxObjectsInGet": 500,
        "maxObjectsInSet": 500,
    }
    assert core.keys() == {*floors, "collationAlgorithms"}
    assert {name: core[name] for name in floors if core[name] < floors[name]} == {}
    assert core["collationAlgorithms"] == ["i;unicode-casemap", "i;ascii-casemap"]


def test_advertised_limits_are_the_configured_ones() -> None:
    limits = Limits(1, 2, 3, 4, 5, 6, 7)
    core = built(limits=limits)["capabilities"][CORE]
    assert [value for name, value in core.items() if name.startswith("max")] == list(range(1, 8))


@pytest.mark.checklist("B04")
def test_accounts_are_described() -> None:
    session = built()
    assert session["capabilities"].keys() == {CORE, WEBSOCKET, MAIL, QUOTA}
    assert session["accounts"] == {
        "s1": {
            "name": "team@example.com",
            "isPersonal": False,
            "isReadOnly": True,
            "accountCapabilities": {MAIL: {}, QUOTA: {}},
        },
        "a1": {
            "name": "jane@example.com",
            "isPersonal": True,
            "isReadOnly": False,
            "accountCapabilities": {MAIL: {"maxMailboxDepth": 10}},
        },
    }


@pytest.mark.checklist("B06")
def test_primary_accounts_are_the_users_own_and_not_for_core() -> None:
    second = replace(OWN, capabilities={CORE: {}, MAIL: {}, QUOTA: {}})
    session = built(accounts={"s1": SHARED, "a1": OWN, "a2": second})
    assert session["primaryAccounts"] == {MAIL: "a1", QUOTA: "a2"}
    assert built(accounts={"s1": SHARED})["primaryAccounts"] == {}


@pytest.mark.checklist("B07")
def test_username_is_that_of_the_login() -> None:
    assert built()["username"] == "jane@example.com"


@pytest.mark.checklist("B08", "B09", "B10")
@pytest.mark.parametrize(
    ("member", "variables"),
    [
        ("apiUrl", set[str]()),
        ("downloadUrl", {"accountId", "blobId", "type", "name"}),
        ("uploadUrl", {"accountId"}),
        ("eventSourceUrl", {"types", "closeafter", "ping"}),
    ],
)
@pytest.mark.parametrize("base", ["https://jmap.example.com", "https://example.com/mail/"])
def test_urls_are_absolute_templates_of_level_1(
    member: str, variables: set[str], base: str
) -> None:
    url = built(base_url=base)[member]
    assert url.startswith(base.rstrip("/") + "/jmap/")
    found = re.findall(r"\{([^}]*)\}", url)
    assert set(found) == variables
    assert len(found) == len(variables)


def test_type_of_a_download_is_in_the_query() -> None:
    path, _, query = built()["downloadUrl"].partition("?")
    assert "{type}" in query
    assert "{type}" not in path


@pytest.mark.checklist("B11")
@pytest.mark.parametrize(
    "changes",
    [
        {"username": "john@example.com"},
        {"base_url": "https://jmap.example.org"},
        {"limits": Limits(max_objects_in_set=600)},
        {"capabilities": {MAIL: {}}},
        {"capabilities": {MAIL: {}, QUOTA: {"x": 1}}},
        {"accounts": {"a1": OWN}},
        {"accounts": {"s1": replace(SHARED, is_read_only=False), "a1": OWN}},
        {"accounts": {"s1": SHARED, "a1": replace(OWN, capabilities={MAIL: {}})}},
    ],
)
def test_state_changes_with_anything_else(changes: dict[str, Any]) -> None:
    session = built()
    assert built(**changes)["state"] != session["state"]
    assert built()["state"] == session["state"]


@pytest.mark.checklist("B11")
def test_state_is_the_same_wherever_the_same_is_built() -> None:
    reordered = built(accounts={"a1": OWN, "s1": SHARED}, capabilities={QUOTA: {}, MAIL: {}})
    assert reordered["state"] == built()["state"]
