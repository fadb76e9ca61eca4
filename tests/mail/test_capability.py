"""RFC 8621 §1.3.1: what the capability urn:ietf:params:jmap:mail promises is so."""

from __future__ import annotations

import pytest

from gateway.mail.capability import MAIL
from gateway.mail.registry import TYPES, account_capabilities, session_capabilities
from tests.mail.client import Client

MEMBERS = {
    *("maxMailboxesPerEmail", "maxMailboxDepth", "maxSizeMailboxName"),
    *("maxSizeAttachmentsPerEmail", "emailQuerySortOptions", "mayCreateTopLevelMailbox"),
}


@pytest.mark.checklist("B13", "B14", "B15")
async def test_capability_has_its_members(client: Client) -> None:
    assert session_capabilities() == {MAIL: {}}
    capability = account_capabilities(client.account)[MAIL]
    assert capability.keys() == MEMBERS
    assert capability["maxMailboxesPerEmail"] is None or capability["maxMailboxesPerEmail"] >= 1
    assert capability["maxMailboxDepth"] is None or capability["maxMailboxDepth"] >= 1
    assert capability["maxSizeMailboxName"] >= 100
    assert capability["maxSizeAttachmentsPerEmail"] >= 0
    assert isinstance(capability["mayCreateTopLevelMailbox"], bool)


@pytest.mark.checklist("B16", "P11")
async def test_sort_options_are_those_that_work(client: Client) -> None:
    options = account_capabilities(client.account)[MAIL]["emailQuerySortOptions"]
    assert set(options) == {
        *("receivedAt", "size", "from", "to", "subject", "sentAt"),
        *("hasKeyword", "allInThreadHaveKeyword", "someInThreadHaveKeyword"),
    }
    for name in options:
        comparator = {"property": name}
        if name.endswith("Keyword"):
            comparator["keyword"] = "$seen"
        assert await client.query(sort=[comparator]) == []


def test_types_say_which_capability_and_which_section_they_are_of() -> None:
    assert {(t.name, t.capability) for t in TYPES} >= {
        *(("Mailbox", MAIL), ("Thread", MAIL), ("Email", MAIL)),
    }
    assert all(t.rfc.startswith("RFC ") for t in TYPES)
