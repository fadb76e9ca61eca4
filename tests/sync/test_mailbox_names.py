"""RFC 9051 §5.1, RFC 2342: wire names for mailboxes that are made and moved."""

from __future__ import annotations

import pytest

from gateway.imap.commands.list import Listed
from gateway.imap.commands.namespace import Namespace, Namespaces
from gateway.imap.commands.status import Status
from gateway.imap.wire import modutf7
from gateway.sync.extent import OWN, Extent, Kind
from gateway.sync.mailbox_names import NoName, WireNames, root_of
from gateway.sync.mailbox_plan import Reason
from gateway.sync.mailboxes import tree

BELOW_INBOX = Namespaces((Namespace("INBOX.", "."),))


def names_of(
    *wires: bytes, delimiter: str | None = "/", namespaces: Namespaces, extent: Extent = OWN
) -> tuple[WireNames, dict[str, str]]:
    """The names of mailboxes that are listed, and their ids by path."""
    listed = [
        Listed(modutf7.decode(wire), wire, delimiter, frozenset(), Status(uidvalidity=n + 1))
        for n, wire in enumerate(wires)
    ]
    mailboxes = tree(listed, namespaces, {}, {}, extent)
    root = root_of(mailboxes, namespaces, extent)
    return WireNames(mailboxes, root), {"/".join(m.path): m.id for m in mailboxes.values()}


@pytest.mark.checklist("L01")
@pytest.mark.parametrize(
    ("namespaces", "delimiter", "wires", "expected"),
    [
        (Namespaces((Namespace("", "/"),)), "/", (b"INBOX",), b"x"),
        (BELOW_INBOX, ".", (b"INBOX",), b"INBOX.x"),
        # Some servers leave the delimiter out of the prefix, or do not tell of namespaces at all.
        (Namespaces((Namespace("INBOX", "."),)), ".", (b"INBOX",), b"INBOX.x"),
        (Namespaces(), "/", (b"INBOX", b"a/b"), b"x"),
        (Namespaces(), ".", (b"INBOX", b"INBOX.a"), b"INBOX.x"),
        (Namespaces(), None, (b"INBOX",), b"x"),
    ],
)
def test_new_mailboxes_at_the_top_are_where_the_users_own_are(
    namespaces: Namespaces, delimiter: str | None, wires: tuple[bytes, ...], expected: bytes
) -> None:
    names, _ = names_of(*wires, delimiter=delimiter, namespaces=namespaces)
    assert names.below(None, "x") == expected


def test_what_is_below_the_inbox_is_no_sibling_of_it() -> None:
    """RFC 2342: below the prefix "INBOX." are the mailboxes at the top."""
    names, ids = names_of(b"INBOX", b"INBOX.a", delimiter=".", namespaces=BELOW_INBOX)
    assert names.below(ids["Inbox"], "x") == b"INBOX.INBOX.x"
    assert names.below(ids["a"], "x") == b"INBOX.a.x"


def test_mailboxes_of_others_are_below_their_name() -> None:
    extent = Extent(Kind.USER, "user/joe", "/", "joe")
    others = Namespaces((Namespace("", "/"),), (Namespace("user/", "/"),))
    names, ids = names_of(b"user/joe", b"user/joe/a", namespaces=others, extent=extent)
    assert names.below(None, "x") == b"user/joe/x"
    assert names.below(ids["a"], "x") == b"user/joe/a/x"


@pytest.mark.checklist("L03")
def test_in_a_flat_namespace_are_no_children() -> None:
    """RFC 9051 §7.3.1: the delimiter is NIL."""
    names, ids = names_of(b"INBOX", b"a", delimiter=None, namespaces=Namespaces())
    with pytest.raises(NoName) as refused:
        names.below(ids["a"], "x")
    assert refused.value.objection.reason is Reason.NO_CHILDREN
    assert names.below(None, "a/b.c") == b"a/b.c"


@pytest.mark.checklist("L15")
def test_levels_that_are_not_listed_have_names() -> None:
    """RFC 9051 §6.3.6: of which all that is below is renamed."""
    spaces = Namespaces((Namespace("", "/"),))
    names, ids = names_of(b"INBOX", b"a/b/c", b"a/b2", b"ab", namespaces=spaces)
    assert names.by_id[ids["a"]] == b"a"
    assert names.by_id[ids["a/b"]] == b"a/b"
    names.rename(ids["a"], names.below(ids["ab"], "\u00e4", ids["a"]))
    assert {path: names.by_id[id_] for path, id_ in ids.items()} == {
        "Inbox": b"INBOX",
        "a": b"ab/&AOQ-",
        "a/b": b"ab/&AOQ-/b",
        "a/b/c": b"ab/&AOQ-/b/c",
        "a/b2": b"ab/&AOQ-/b2",
        "ab": b"ab",
    }


def test_who_only_moves_keeps_the_spelling() -> None:
    """RFC 8621 §2: names are shown in NFC, whatever they are on the server."""
    spaces = Namespaces((Namespace("", "/"),))
    decomposed = modutf7.encode("Cafe\u0301")
    names, ids = names_of(b"INBOX", decomposed, b"a", namespaces=spaces)
    id_ = ids["Caf\u00e9"]
    assert names.below(ids["a"], "Caf\u00e9", id_) == b"a/" + decomposed
    assert names.below(ids["a"], "Caf\u00e9") == b"a/Caf&AOk-"
