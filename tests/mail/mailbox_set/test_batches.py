"""RFC 8620 §5.3: whatever is asked for at once, the answer tells what has become of it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mail.mailbox_set.trees import Tree, on_server
from tests.servers.mail_server import MailServer, User

DEFAULT = {"Inbox", "Drafts", "Sent", "Trash", "Junk", "Archive"}
NAMES = st.sampled_from("wxyz")


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 5)), NAMES)))
@pytest.mark.checklist("L15", "L02", "L03")
async def test_what_is_told_of_any_batch_is_so(
    tree: Tree,
    server: MailServer,
    user: User,
    wanted: list[tuple[int, int | None, str]],
) -> None:
    """RFC 8620 §5.3: what was updated is as was asked, and all else as it was."""
    for number in range(6):
        if f"m{number}" not in await tree.ids():
            await tree.set(create={"k": {"name": f"m{number}"}})
    ids = await tree.ids()
    mailboxes = [ids[path] for path in sorted(ids.keys() - DEFAULT)][:6]
    before = {m["id"]: m for m in (await tree.records()).values()}
    changes = {
        mailboxes[n]: {"parentId": None if p is None else mailboxes[p], "name": name}
        for n, p, name in wanted
    }
    answer = await tree.set(update=changes)
    after = {m["id"]: m for m in (await tree.records()).values()}
    for id_, mailbox in after.items():
        done = changes[id_] if id_ in (answer["updated"] or {}) else before[id_]
        assert (mailbox["parentId"], mailbox["name"]) == (done["parentId"], done["name"])
    assert on_server(server, user) - DEFAULT == (await tree.ids()).keys() - DEFAULT
