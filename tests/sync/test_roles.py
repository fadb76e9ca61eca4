"""RFC 8621 §2, RFC 6154: roles of mailboxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sync.mailbox_choice import NO_ROLE
from gateway.sync.roles import ROLES, assign, chosen

# RFC 8621 §10.5.1: the IANA registry "IMAP Mailbox Name Attributes", as of these RFCs.
REGISTERED = {"all", "archive", "drafts", "flagged", "important", "inbox", "junk", "sent", "trash"}
ATTRIBUTES = ["\\inbox", *(f"\\{role}" for role in sorted(REGISTERED)), "\\noselect", "\\marked"]

mailboxes = st.lists(
    st.tuples(
        st.sampled_from(["Sent", "SENT", "Gesendet", "Trash", "Papierkorb", "Spam", "Work", "Foo"]),
        st.frozensets(st.sampled_from(ATTRIBUTES), max_size=3),
        st.booleans(),
    ),
    max_size=8,
)


def roles_of(*given_mailboxes: tuple[str, str, bool]) -> list[str | None]:
    """Roles of (name, attributes, is at the root), in order."""
    listed = [
        (str(number), name, frozenset(attributes.split()), at_root)
        for number, (name, attributes, at_root) in enumerate(given_mailboxes)
    ]
    found = assign(listed)
    return [found.get(str(number)) for number in range(len(listed))]


@pytest.mark.checklist("L04")
@given(mailboxes)
def test_each_role_goes_to_one_mailbox_and_each_mailbox_has_one(
    listed: list[tuple[str, frozenset[str], bool]],
) -> None:
    given_roles = assign((str(n), *mailbox) for n, mailbox in enumerate(listed))
    assert len(set(given_roles.values())) == len(given_roles)
    assert set(given_roles.values()) <= REGISTERED
    carried = {role for role in REGISTERED for _, a, _ in listed if f"\\{role}" in a}
    single = [a for _, a, _ in listed if len(a & {f"\\{role}" for role in REGISTERED}) == 1]
    for attributes in single:
        (role,) = (role for role in REGISTERED if f"\\{role}" in attributes)
        assert role in given_roles.values()
    assert not set(given_roles.values()) - carried - {"sent", "trash", "junk"}


@pytest.mark.checklist("L04")
def test_special_use_decides_before_names_do() -> None:
    """RFC 6154 §2."""
    assert roles_of(("Sent", "", True), ("Outgoing", "\\sent", True)) == [None, "sent"]
    assert roles_of(("Trash", "\\junk", True), ("Bin", "", True)) == ["junk", "trash"]


@pytest.mark.checklist("L04")
def test_of_several_mailboxes_with_one_use_the_first_has_the_role() -> None:
    assert roles_of(("a", "\\sent", True), ("b", "\\sent", True)) == ["sent", None]


@pytest.mark.checklist("L04")
@pytest.mark.quirk(46)
def test_of_several_mailboxes_that_may_be_meant_none_has_the_role() -> None:
    """RFC 8621 §2: mail in the wrong place is worse than a client that asks."""
    assert roles_of(("Sent", "", True), ("Sent Items", "", True)) == [None, None]
    assert roles_of(("Papierkorb", "", True), ("Trash", "", True), ("Spam", "", True)) == [
        *(None, None, "junk"),
    ]
    assert roles_of(("Trash", "", True), ("Bin", "", False)) == ["trash", None]
    assert roles_of(("Trash", "", True), ("Bin", "\\junk", True)) == ["trash", "junk"]


def test_a_mailbox_with_several_uses_takes_one_that_is_free() -> None:
    """RFC 6154 §2: Gmail's \\Important and others may carry two attributes."""
    assert roles_of(("a", "\\drafts \\sent", True), ("b", "\\drafts", True)) == ["drafts", None]
    assert roles_of(("b", "\\drafts", True), ("a", "\\drafts \\sent", True)) == ["drafts", "sent"]


def test_the_inbox_is_the_inbox_whatever_else_it_is_used_for() -> None:
    assert roles_of(("Inbox", "\\inbox \\archive", True), ("a", "\\archive", False)) == [
        "inbox",
        "archive",
    ]


@pytest.mark.quirk(46)
@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Gesendete Objekte", "sent"),
        ("ENVOYÉS", "sent"),
        ("Éléments supprimés", "trash"),
        ("Корзина", "trash"),
        ("Papelera", "trash"),
        ("ＤＲＡＦＴＳ", "drafts"),
        ("下書き", "drafts"),
        ("Spam", "junk"),
        ("Archiv", "archive"),
        ("Junk-E-Mail", "junk"),
        ("📤 Sent", "sent"),
        ("🗑️ TRASH", "trash"),
        ("[Drafts]", "drafts"),
        ("Sent_Items", "sent"),
        ("~ Spam ~", "junk"),
        ("Sentimental", None),
        ("Not Spam", None),
        ("🗑️", None),
        ("", None),
    ],
)
def test_names_in_the_users_language_are_known(name: str, role: str | None) -> None:
    assert roles_of((name, "", True)) == [role]


def test_names_mean_nothing_below_the_root_or_where_no_mail_can_be() -> None:
    assert roles_of(("Sent", "", False), ("Trash", "\\noselect", True)) == [None, None]
    assert roles_of(("x", "\\sent", False)) == ["sent"]


# --- what was chosen ----------------------------------------------------------------------------

choices = st.dictionaries(
    st.sampled_from("abcdef"), st.sampled_from([None, NO_ROLE, "sent", "trash", "junk", "inbox"])
)
given_roles = st.dictionaries(
    st.sampled_from("abcdef"), st.sampled_from(["inbox", "sent", "trash", "junk"])
).map(lambda found: {id_: role for role, id_ in {r: i for i, r in found.items()}.items()})


@pytest.mark.checklist("L04")
@given(given_roles, choices)
def test_what_was_chosen_has_its_way_and_no_role_is_there_twice(
    by_server: dict[str, str], picked: dict[str, str | None]
) -> None:
    roles = chosen(by_server, picked)
    assert len(set(roles.values())) == len(roles)
    inboxes = [id_ for id_, role in by_server.items() if role == "inbox"]
    assert [id_ for id_, role in roles.items() if role == "inbox"] == inboxes
    for id_, role in picked.items():
        if id_ in inboxes or role in (None, "inbox"):
            continue
        assert roles.get(id_) == (role or None) or role in roles.values()
    for id_, role in by_server.items():
        if picked.get(id_) is None and role not in picked.values():
            assert roles[id_] == role


@pytest.mark.checklist("L04")
def test_role_that_was_given_up_goes_to_no_other() -> None:
    """The server's second candidate is not what anybody chose."""
    listed = [
        ("a", "Sent", frozenset({"\\sent"}), True),
        ("b", "Old sent", frozenset({"\\sent"}), True),
    ]
    assert chosen(assign(listed), {"a": NO_ROLE}) == {}


@pytest.mark.checklist("L04")
def test_roles_are_those_that_are_registered() -> None:
    """RFC 9979 has three more."""
    assert REGISTERED | {"memos", "scheduled", "snoozed"} == ROLES
