r"""RFC 8621 §§2, 2.2: what other clients do to mailboxes, as /changes tells it on each step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import MailServer
from tests.sync.conftest import STEPS, Gateways
from tests.sync.hand import Hand, furnish, hand
from tests.sync.ladder import CYRUS_NAMED, NAMED, change, following, look, look_once, tell, tell_all

every_step = pytest.mark.parametrize("server", STEPS, indirect=True)
# Where mailboxes have ids of their own (RFC 8474), or Dovecot's GUIDs.
named_step = pytest.mark.parametrize("server", [*NAMED, *CYRUS_NAMED], indirect=True)


@pytest.fixture(autouse=True)
def _look_once(monkeypatch: pytest.MonkeyPatch) -> None:
    look_once(monkeypatch)


def make_anew(writer: Hand) -> None:
    writer.delete("A/B")
    writer.create("A/B")


def make_anew_with_mail(writer: Hand) -> None:
    make_anew(writer)
    writer.append("A/B", 33)


def make_and_delete(writer: Hand) -> None:
    writer.create("brief")
    writer.append("brief", 34)
    writer.delete("brief")


def exchange_names(writer: Hand) -> None:
    for old, new in (("C", "x"), ("N", "C"), ("x", "N")):
        writer.rename(old, new)


MADE_AND_DELETED = (
    change("made", lambda w: w.create("N")),
    change("made with a parent", lambda w: w.create("P/Q")),
    change("mail in a new one", lambda w: w.append("N", 30), created=[30]),
    change(
        "made with mail",
        lambda w: w.create("O").append("O", 31, 30).copy("O", (31,), "N"),
        created=[31],
    ),
    change("made and deleted", make_and_delete),
    change("deleted empty", lambda w: w.delete("C")),
    change("deleted with a copy", lambda w: w.delete("O"), updated=[31]),
    change("deleted with mail", lambda w: w.delete("N"), destroyed=[30, 31]),
    change("made anew", make_anew_with_mail, created=[33], destroyed=[13]),
)
SUBSCRIPTIONS = (
    change("subscribed", lambda w: w.subscribe("C")),
    change("unsubscribed", lambda w: w.unsubscribe("A")),
    change("subscribed again", lambda w: w.subscribe("A")),
    change("subscribed, and mail", lambda w: w.unsubscribe("A").append("A", 35), created=[35]),
    change("unsubscribed and back", lambda w: w.subscribe("A").unsubscribe("A")),
)
RENAMES = (
    change("renamed", lambda w: w.rename("C", "D")),
    change("renamed with what is below", lambda w: w.rename("A", "Z")),
    change("moved to the root", lambda w: w.rename("Z/B", "B")),
    change("moved below another", lambda w: w.rename("B", "D/B")),
    change("there and back", lambda w: w.rename("D/B", "B").rename("B", "D/B")),
    change(
        "renamed, and mail",
        lambda w: w.rename("D", "C").append("C/B", 36).append("INBOX", 37),
        created=[36, 37],
    ),
)


@pytest.mark.checklist("D08", "L06", "L11", "P01")
@every_step
async def test_mailboxes_that_come_and_go_are_told(server: MailServer, gateways: Gateways) -> None:
    user = furnish(server)
    follower = await following(await gateways.login(server, user))
    await tell_all(follower, server, user, MADE_AND_DELETED)


@pytest.mark.checklist("D08", "L09", "L11")
@every_step
async def test_subscriptions_are_told(server: MailServer, gateways: Gateways) -> None:
    """RFC 8621 §2.2: isSubscribed is no count."""
    user = furnish(server)
    follower = await following(await gateways.login(server, user))
    await tell_all(follower, server, user, SUBSCRIPTIONS)


@pytest.mark.checklist("A09", "D08", "L11", "L15")
@named_step
async def test_a_renamed_mailbox_is_updated_and_no_email_is(
    server: MailServer, gateways: Gateways
) -> None:
    """RFC 8474 §4: with all that is below it, it keeps its id."""
    user = furnish(server)
    follower = await following(await gateways.login(server, user))
    for step in RENAMES:
        ids = {*follower.records["Mailbox"]}
        await tell(follower, server, user, step)
        assert {*follower.records["Mailbox"]} == ids, step.name


@pytest.mark.checklist("A09", "L11", "L15")
@named_step
async def test_mailboxes_that_exchange_their_names_keep_their_ids(
    server: MailServer, gateways: Gateways
) -> None:
    user = furnish(server)
    with hand(server, user) as writer:
        writer.create("N")
        writer.append("N", 38)
    follower = await following(await gateways.login(server, user))
    before = follower.paths()
    await tell(follower, server, user, change("names exchanged", exchange_names))
    after = follower.paths()
    assert (after["C"], after["N"]) == (before["N"], before["C"])


@pytest.mark.checklist("D08", "L11", "P01")
@pytest.mark.parametrize("server", ["no-guids", "cyrus-no-ids"], indirect=True)
async def test_whatever_becomes_of_a_renamed_mailbox_without_an_id_is_told(
    server: MailServer, gateways: Gateways
) -> None:
    """It may count as another one; then its Emails, which keep their ids, are in that one now."""
    user = furnish(server)
    follower = await following(await gateways.login(server, user))
    for step in RENAMES:
        with hand(server, user) as writer:
            step.make(writer)
        told = await look(follower, server, user, step.name)
        assert len(told["Email"].created) == len(step.created), step.name
        assert not told["Email"].destroyed, step.name


@pytest.mark.checklist("A09", "L11")
@named_step
async def test_a_mailbox_made_anew_has_another_id(server: MailServer, gateways: Gateways) -> None:
    """RFC 8620 §1.2: what is gone is destroyed, and what has its name now is created."""
    user = furnish(server)
    follower = await following(await gateways.login(server, user))
    before = follower.paths()["A/B"]
    await tell(follower, server, user, change("made anew", make_anew, destroyed=[13]))
    assert follower.paths()["A/B"] != before


@pytest.mark.checklist("A09", "N02", "P01")
@pytest.mark.parametrize("server", [*NAMED, "no-guids"], indirect=True)
async def test_another_uidvalidity_destroys_no_email(server: Dovecot, gateways: Gateways) -> None:
    """RFC 9051 §2.3.1.1: the messages have other UIDs, or so it must be taken; not other ids."""
    user = furnish(server)
    follower = await following(await gateways.login(server, user))
    ids = follower.ids()
    uidvalidity = 4242
    for mailbox in ("A", "INBOX"):
        uidvalidity += 1
        server.doveadm(
            *("mailbox", "update", "-u", user.username, "--uid-validity", str(uidvalidity), mailbox)
        )
        told = await look(follower, server, user, f"another UIDVALIDITY of {mailbox}")
        assert not told["Email"].created
        assert not told["Email"].destroyed
        assert not told["Thread"].created | told["Thread"].updated | told["Thread"].destroyed
        assert follower.ids() == ids
    await tell(
        follower, server, user, change("and goes on", lambda w: w.append("A", 39), created=[39])
    )


@pytest.mark.checklist("L04", "L11")
@pytest.mark.parametrize("server", CYRUS_NAMED, indirect=True)
async def test_a_role_that_passes_on_is_told(server: Cyrus, gateways: Gateways) -> None:
    """RFC 6154 §5.4: Cyrus has it in the metadata."""
    user = furnish(server)
    follower = await following(await gateways.login(server, user))
    paths = follower.paths()

    def pass_on(writer: Hand) -> None:
        writer.set_use("Archive", None)
        writer.set_use("A/B", "\\Archive")

    await tell(follower, server, user, change("another archive", pass_on))
    roles = {id_: mailbox["role"] for id_, mailbox in follower.records["Mailbox"].items()}
    assert (roles[paths["Archive"]], roles[paths["A/B"]]) == (None, "archive")


@pytest.mark.checklist("L04", "L11")
async def test_a_role_that_goes_with_a_name_is_told(
    start_dovecot: Callable[..., Dovecot], gateways: Gateways
) -> None:
    """RFC 8621 §2: where no mailbox says what it is for, names do."""
    server = start_dovecot(special_use=False)
    user = server.add_user()
    with hand(server, user) as writer:
        writer.create("Trash", "Papers")
        writer.append("Papers", 1)
    follower = await following(await gateways.login(server, user))

    ids = follower.paths()
    for old, new in (("Trash", "Old"), ("Papers", "Trash")):
        with hand(server, user) as writer:
            writer.rename(old, new)
        told = await look(follower, server, user, f"{old} is {new}")
        assert told["Mailbox"].updated == {ids[old]}
    roles = {id_: mailbox["role"] for id_, mailbox in follower.records["Mailbox"].items()}
    assert (roles[ids["Trash"]], roles[ids["Papers"]]) == (None, "trash")
