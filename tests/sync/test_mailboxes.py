"""RFC 8621 §2: the tree of Mailboxes from what LIST says (RFC 9051 §5.1, §6.3.9)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.commands.list import Listed
from gateway.imap.commands.namespace import Namespace, Namespaces
from gateway.imap.commands.status import Status
from gateway.sync import ids
from gateway.sync.extent import OWN, Extent, Kind
from gateway.sync.mailbox_ids import Known
from gateway.sync.mailboxes import Mailbox, tree
from gateway.sync.paths import Layout

GUID = "{:032x}".format
PLAIN = Namespaces((Namespace("", "/"),))
BELOW_INBOX = Namespaces((Namespace("INBOX.", "."),))
OTHERS = Namespaces((Namespace("INBOX.", "."),), (Namespace("user.", "."),), (Namespace("", "."),))


def listed(
    name: str,
    delimiter: str | None = "/",
    attributes: str = "",
    *,
    guid: str | None = None,
    uidvalidity: int = 1,
) -> Listed:
    selectable = "\\noselect" not in attributes
    return Listed(
        name=name,
        wire=name.encode(),
        delimiter=delimiter,
        attributes=frozenset(attributes.split()),
        status=Status(messages=0, uidvalidity=uidvalidity, mailbox_id=guid) if selectable else None,
    )


def paths(
    entries: Sequence[Listed], namespaces: Namespaces = PLAIN
) -> dict[tuple[str, ...], bytes | None]:
    """{path: wire name}."""
    return {m.path: m.wire for m in tree(entries, namespaces, {}, {}).values()}


def by_path(entries: Sequence[Listed], namespaces: Namespaces = PLAIN) -> dict[str, Mailbox]:
    return {"/".join(m.path): m for m in tree(entries, namespaces, {}, {}).values()}


names = st.one_of(
    st.sampled_from(["INBOX", "inbox", "INBOX.INBOX", "INBOX.Inbox.a", "a", "a.b", "a.b.c", "."]),
    st.lists(
        st.sampled_from(["a", "A", "é", "e\u0301", "", "Inbox", "\x07", "x y"]), max_size=4
    ).map(".".join),
    st.text(max_size=6),
)


@pytest.mark.checklist("L01")
@given(
    st.lists(names, unique=True, max_size=8),
    st.sampled_from([".", "/", None]),
    st.sampled_from([PLAIN, BELOW_INBOX, OTHERS, Namespaces()]),
)
def test_whatever_is_listed_makes_a_tree(
    given_names: list[str], delimiter: str | None, namespaces: Namespaces
) -> None:
    """Every mailbox is in one account, once, under its parent, with a name no sibling has."""
    wanted = [name for name in given_names if name]
    entries = [listed(name, delimiter, guid=GUID(n)) for n, name in enumerate(wanted)]
    layout = Layout(namespaces, entries)
    places = [layout.place(entry) for entry in entries]
    trees = [
        tree(entries, namespaces, {}, {}, extent)
        for extent in {OWN, *(place.extent for place in places if place is not None)}
    ]
    wires = [m.wire for found in trees for m in found.values() if m.wire is not None]
    placed = [e.wire for e, place in zip(entries, places, strict=True) if place and place.path]
    assert sorted(wires) == sorted(placed)
    for found in trees:
        _is_a_tree(found)


def _is_a_tree(found: dict[str, Mailbox]) -> None:
    assert len({m.path for m in found.values()}) == len(found)
    for id_, mailbox in found.items():
        assert mailbox.id == id_
        assert ids.is_id(id_)
        assert mailbox.name == mailbox.path[-1] != ""
        assert unicodedata.is_normalized("NFC", mailbox.name)
        assert not any(unicodedata.category(c) == "Cc" for c in mailbox.name)
        parent = found[mailbox.parent_id] if mailbox.parent_id is not None else None
        assert (parent.path if parent else ()) == mailbox.path[:-1]
    inboxes = [m for m in found.values() if m.role == "inbox"]
    assert len(inboxes) <= 1


@pytest.mark.checklist("L01")
def test_the_separator_is_no_part_of_names() -> None:
    assert paths([listed("a.b/c", "/"), listed("d/e.f", ".")]) == {
        ("a.b", "c"): b"a.b/c",
        ("a.b",): None,
        ("d/e", "f"): b"d/e.f",
        ("d/e",): None,
    }


def test_in_a_flat_namespace_names_are_taken_whole() -> None:
    """RFC 9051 §7.3.1: the delimiter is NIL."""
    assert paths([listed("a/b.c", None)]) == {("a/b.c",): b"a/b.c"}


def test_the_prefix_of_a_namespace_is_no_level() -> None:
    """RFC 2342: Cyrus and Courier have all mailboxes of a user below INBOX."""
    found = by_path(
        [listed("INBOX", "."), listed("INBOX.Sent", "."), listed("INBOX.a.b", ".")], BELOW_INBOX
    )
    assert {path: m.wire for path, m in found.items()} == {
        "Inbox": b"INBOX",
        "Sent": b"INBOX.Sent",
        "a/b": b"INBOX.a.b",
        "a": None,
    }
    assert found["Sent"].role == "sent"
    assert found["Sent"].parent_id is None


def test_without_a_prefix_mailboxes_below_the_inbox_stay_there() -> None:
    found = by_path([listed("INBOX"), listed("INBOX/Sent"), listed("inbox/more")])
    assert {m.parent_id for m in found.values()} == {None, found["Inbox"].id}
    assert found["Inbox/Sent"].role is None
    assert found["Inbox/more"].wire == b"inbox/more"


@pytest.mark.parametrize("name", ["INBOX", "Inbox", "inbox", "iNbOx"])
@pytest.mark.checklist("L04")
def test_the_inbox_is_known_in_any_case(name: str) -> None:
    """RFC 9051 §5.1."""
    (inbox,) = tree([listed(name)], PLAIN, {}, {}).values()
    assert (inbox.name, inbox.role, inbox.wire) == ("Inbox", "inbox", name.encode())


@pytest.mark.checklist("L04")
@pytest.mark.parametrize("order", [1, -1])
def test_a_mailbox_that_would_be_taken_for_the_inbox_is_not(order: int) -> None:
    """RFC 9051 §5.1: INBOX is one; INBOX.INBOX, which Cyrus may have, is another."""
    found = tree([listed("INBOX", "."), listed("INBOX.INBOX", ".")][::order], BELOW_INBOX, {}, {})
    (inbox,) = (m for m in found.values() if m.role == "inbox")
    assert (inbox.name, inbox.wire) == ("Inbox", b"INBOX")
    assert len({m.path for m in found.values()}) == 2


@pytest.mark.checklist("L01")
def test_names_that_only_the_server_tells_apart_are_told_apart() -> None:
    """RFC 8621 §2: Net-Unicode, and no two siblings with one name; no mail is hidden by that."""
    found = paths([listed("caf\u00e9"), listed("cafe\u0301"), listed("caf\u00e9\x07")])
    assert sorted(wire for wire in found.values() if wire) == sorted(
        ["caf\u00e9".encode(), "cafe\u0301".encode(), "caf\u00e9\x07".encode()]
    )
    assert ("caf\u00e9",) in found
    assert len(found) == 3


def test_parents_that_are_not_listed_or_hold_no_mail_are_mailboxes_all_the_same() -> None:
    """RFC 9051 §7.3.1: \\NonExistent, \\Noselect."""
    found = by_path([listed("a/b/c"), listed("d", attributes="\\noselect"), listed("d/e")])
    assert {path: (m.wire, m.status is not None) for path, m in found.items()} == {
        "a": (None, False),
        "a/b": (None, False),
        "a/b/c": (b"a/b/c", True),
        "d": (b"d", False),
        "d/e": (b"d/e", True),
    }
    assert found["a/b"].parent_id == found["a"].id
    assert found["d/e"].parent_id == found["d"].id


def test_shared_mailboxes_stand_below_their_namespace() -> None:
    """RFC 2342: prefixes of others' mailboxes are levels."""
    found = by_path([listed("INBOX"), listed("shared/bob@x/INBOX"), listed("shared/bob@x/Sent")])
    assert sorted(found) == [
        "Inbox",
        "shared",
        "shared/bob@x",
        "shared/bob@x/INBOX",
        "shared/bob@x/Sent",
    ]
    assert found["shared/bob@x/INBOX"].role is found["shared/bob@x/Sent"].role is None


@pytest.mark.checklist("L04")
def test_each_account_has_the_roles_of_its_own_mailboxes() -> None:
    """RFC 8621 §2: a role is of one mailbox, and mail goes where it says (Cyrus, RFC 2342)."""
    entries = [
        listed("user.bob.Sent", ".", "\\sent"),
        listed("user.bob", "."),
        listed("Trash", "."),
        listed("INBOX.Sent", "."),
        listed("Sent", ".", "\\sent"),
        listed("INBOX", "."),
    ]
    bob, shared = Extent(Kind.USER, "user.bob", ".", "bob"), Extent(Kind.SHARED, "", ".", "Shared")

    def roles_in(extent: Extent) -> dict[bytes | None, str | None]:
        return {m.wire: m.role for m in tree(entries, OTHERS, {}, {}, extent).values()}

    assert roles_in(OWN) == {b"INBOX": "inbox", b"INBOX.Sent": "sent"}
    assert roles_in(bob) == {b"user.bob": "inbox", b"user.bob.Sent": "sent"}
    assert roles_in(shared) == {b"Trash": None, b"Sent": "sent"}


# --- what servers do otherwise ------------------------------------------------------------------


@pytest.mark.quirk(45)
def test_a_delimiter_at_either_end_is_no_level() -> None:
    assert paths([listed("/Work"), listed("Old/"), listed("/a//b/")]) == {
        ("Work",): b"/Work",
        ("Old",): b"Old/",
        ("a", "b"): b"/a//b/",
        ("a",): None,
    }


@pytest.mark.quirk(45)
def test_the_root_of_a_namespace_is_not_listed_twice() -> None:
    r"""Some list "INBOX." as \Noselect, or a mailbox both without mail and with it."""
    found = paths(
        [
            listed("INBOX.", ".", "\\noselect"),
            listed("INBOX", "."),
            listed("INBOX.a", ".", "\\noselect"),
            listed("INBOX.a.", "."),
        ],
        BELOW_INBOX,
    )
    assert found == {("Inbox",): b"INBOX", ("a",): b"INBOX.a."}


@pytest.mark.quirk(45)
@pytest.mark.parametrize("prefix", ["INBOX.", "INBOX", "Inbox."])
def test_a_prefix_is_known_however_it_is_spelled(prefix: str) -> None:
    """RFC 2342: without its delimiter, or INBOX in another case than the names have."""
    found = by_path(
        [listed("INBOX", "."), listed("INBOX.Sent", "."), listed("INBOXES", ".")],
        Namespaces((Namespace(prefix, "."),)),
    )
    assert sorted(found) == ["INBOXES", "Inbox", "Sent"]
    assert found["Sent"].role == "sent"


@pytest.mark.quirk(45)
def test_without_namespace_the_prefix_is_seen_in_the_names() -> None:
    """RFC 2342: only where all mailboxes have it, and the server did not say otherwise."""
    below = [listed("INBOX", "."), listed("INBOX.Sent", "."), listed("Inbox.a.b", ".")]
    assert {m.role for m in tree(below, Namespaces(), {}, {}).values()} == {"inbox", "sent", None}
    assert sorted(by_path(below, Namespaces())) == ["Inbox", "Sent", "a", "a/b"]
    beside = [*below, listed("Old", ".")]
    assert sorted(by_path(beside, Namespaces())) == [
        *("Inbox", "Inbox/Sent", "Inbox/a", "Inbox/a/b", "Old"),
    ]
    assert "Inbox/Sent" in by_path([listed("INBOX"), listed("INBOX/Sent")], PLAIN)


@pytest.mark.quirk(45)
def test_one_mailbox_without_a_delimiter_changes_nothing_for_others() -> None:
    assert paths([listed("inbox", None), listed("a/b"), listed("NIL", None)]) == {
        ("Inbox",): b"inbox",
        ("a", "b"): b"a/b",
        ("a",): None,
        ("NIL",): b"NIL",
    }


# --- ids ----------------------------------------------------------------------------------------


@pytest.mark.checklist("A09")
def test_a_mailbox_keeps_its_id_when_it_is_renamed() -> None:
    """RFC 8474 §4: where the server names mailboxes."""
    guid = GUID(7)
    before, after = (tree([listed(name, guid=guid)], PLAIN, {}, {}) for name in ("a", "b/c"))
    assert [m.id for m in before.values()] == [m.id for m in after.values() if m.status]


@pytest.mark.checklist("A09")
def test_derived_ids_are_told_apart_by_levels() -> None:
    """A slash may be part of a name; equal UIDVALIDITYs are common."""
    found = tree([listed("a/b", "."), listed("a.b", "."), listed("a.b/c", ".")], PLAIN, {}, {})
    assert len(found) == 4
    again = tree([listed("a.b", "."), listed("a/b", "."), listed("a.b/c", ".")], PLAIN, {}, {})
    assert {i: m.path for i, m in found.items()} == {i: m.path for i, m in again.items()}


@pytest.mark.checklist("L05")
def test_subscription_rights_and_order_are_told() -> None:
    found = tree(
        [listed("INBOX"), listed("a"), listed("b/c", attributes="\\subscribed")],
        PLAIN,
        {b"INBOX": "lrswi", b"a": ""},
        {},
    )
    inbox, a, c, b = found.values()
    assert [m.is_subscribed for m in (inbox, a, c, b)] == [True, False, True, False]
    assert [m.rights for m in (inbox, a, c, b)] == ["lrswi", "", None, None]
    assert inbox.sort_order < a.sort_order == c.sort_order < 2**31


def known_of(found: dict[str, Mailbox]) -> dict[bytes, Known]:
    """What is known after a look."""
    return {
        m.wire: Known(m.id, m.status.uidvalidity or 0, m.status.uidnext or 0)
        for m in found.values()
        if m.wire is not None and m.status is not None
    }


def look(known: dict[bytes, Known], *entries: Listed) -> dict[str, str]:
    """Ids by path."""
    return {"/".join(m.path): m.id for m in tree(entries, PLAIN, {}, known).values()}


def figures(name: str, uidvalidity: int, uidnext: int) -> Listed:
    status = Status(messages=0, uidvalidity=uidvalidity, uidnext=uidnext)
    return replace(listed(name), status=status)


@pytest.mark.checklist("A09")
@pytest.mark.parametrize("guid", [GUID(1), None])
def test_a_mailbox_whose_figures_can_not_be_had_once_keeps_its_id(guid: str | None) -> None:
    """RFC 9051 §6.3.11: STATUS may be refused for a moment."""
    before = tree([listed("a", guid=guid), listed("b")], PLAIN, {}, {})
    silent = replace(listed("a"), status=None)
    after = tree([silent, listed("b")], PLAIN, {}, known_of(before))
    assert after.keys() == before.keys()
    assert next(iter(after.values())).status is None


@pytest.mark.checklist("A09")
def test_a_mailbox_without_figures_has_no_id_that_another_took() -> None:
    """RFC 8474 §4: it was renamed, and there is a new one under its name."""
    before = known_of(tree([listed("a", guid=GUID(1))], PLAIN, {}, {}))
    after = look(before, replace(listed("a"), status=None), listed("b", guid=GUID(1)))
    assert after["b"] == before[b"a"].id
    assert after["a"] != after["b"]


@pytest.mark.checklist("A09")
def test_a_mailbox_that_is_listed_under_two_names_is_shown_under_both() -> None:
    """RFC 2342: as one's own, and among those that are shared."""
    found = look({}, listed("a", guid=GUID(1)), listed("shared/me/a", guid=GUID(1)))
    assert found["a"] == "B" + GUID(1)
    assert found["shared/me/a"] != found["a"]


@pytest.mark.checklist("A09")
def test_a_derived_id_follows_its_mailbox() -> None:
    """RFC 8621 §2: the same UIDVALIDITY under another name, and no UID less."""
    known = known_of(tree([figures("a", 5, 9), figures("b", 6, 2)], PLAIN, {}, {}))
    renamed = look(known, figures("x", 5, 9), figures("b", 6, 2))
    assert (renamed["x"], renamed["b"]) == (known[b"a"].id, known[b"b"].id)
    for other in (figures("x", 7, 9), figures("x", 5, 8)):
        made = look(known, other, figures("b", 6, 2))
        assert made["x"] not in {each.id for each in known.values()}


@pytest.mark.checklist("A09")
@pytest.mark.quirk(35)
def test_where_all_mailboxes_have_one_uidvalidity_nothing_is_guessed() -> None:
    """RFC 9051 §2.3.1.1: two went and two came, and who is who is not to be told."""
    known = known_of(tree([figures("a", 1, 2), figures("b", 1, 2)], PLAIN, {}, {}))
    after = look(known, figures("x", 1, 2), figures("y", 1, 3))
    assert not {*after.values()} & {each.id for each in known.values()}
    after = look(known, figures("a", 1, 2), figures("y", 1, 3))
    assert after["a"] == known[b"a"].id
    assert after["y"] != known[b"b"].id


@pytest.mark.checklist("A09")
def test_a_new_mailbox_under_the_old_name_of_another_has_an_id_of_its_own() -> None:
    known = known_of(tree([figures("a", 1, 9)], PLAIN, {}, {}))
    renamed = tree([figures("x", 1, 9)], PLAIN, {}, known)
    after = look(known_of(renamed), figures("x", 1, 9), figures("a", 1, 1))
    assert after["x"] == known[b"a"].id != after["a"]
