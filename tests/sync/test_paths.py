"""RFC 2342, RFC 8620 §1.6.2: which account a mailbox belongs to, and where it stands there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.commands.list import EVERY, Listed
from gateway.imap.commands.namespace import Namespace, Namespaces
from gateway.sync import ids
from gateway.sync.extent import OWN, Kind
from gateway.sync.paths import Layout

OWN_ALL = (Namespace("", "/"),)
SERVERS = {
    "dovecot": Namespaces(OWN_ALL, (Namespace("shared/", "/"),), (Namespace("Public/", "/"),)),
    "cyrus": Namespaces(
        OWN_ALL, (Namespace("Other Users/", "/"),), (Namespace("Shared Folders/", "/"),)
    ),
    "cyrus-internal": Namespaces(
        (Namespace("INBOX.", "."),), (Namespace("user.", "."),), (Namespace("", "."),)
    ),
    "courier": Namespaces((Namespace("INBOX.", "."),), (), (Namespace("#shared.", "."),)),
    "stalwart": Namespaces(OWN_ALL, (Namespace("Shared Folders", "/"),)),
    "zimbra": Namespaces(OWN_ALL, (Namespace("/home/", "/"),)),
    "uw": Namespaces(OWN_ALL, (Namespace("~", "/"),)),
    "domino": Namespaces((Namespace("", "\\"),), (Namespace("Other\\", "\\"),)),
    "nothing-told": Namespaces(),
}


def entry(name: str, delimiter: str | None, *attributes: str) -> Listed:
    return Listed(name, name.encode(), delimiter, frozenset(attributes))


def placed(server: str, name: str, *attributes: str) -> tuple[str, str, str] | None:
    """(kind, account's name, path) of a mailbox."""
    namespaces = SERVERS[server]
    delimiter = namespaces.personal[0].delimiter or "/"
    place = Layout(namespaces, ()).place(entry(name, delimiter, *attributes))
    if place is None:
        return None
    return place.extent.kind.value, place.extent.name, "|".join(place.path)


@pytest.mark.parametrize(
    ("server", "name", "expected"),
    [
        ("dovecot", "INBOX", ("own", "", "Inbox")),
        ("dovecot", "Work/a", ("own", "", "Work|a")),
        ("dovecot", "shared/bob@x", ("user", "bob@x", "Inbox")),
        ("dovecot", "shared/bob@x/INBOX", ("user", "bob@x", "Inbox")),
        ("dovecot", "shared/bob@x/INBOX/a", ("user", "bob@x", "Inbox|a")),
        ("dovecot", "shared/bob@x/Work/a", ("user", "bob@x", "Work|a")),
        ("dovecot", "Public/News/Old", ("shared", "Public", "News|Old")),
        ("dovecot", "Public/INBOX", ("shared", "Public", "INBOX")),
        ("dovecot", "sharedness/a", ("own", "", "sharedness|a")),
        ("dovecot", "shared", ("own", "", "shared")),
        ("dovecot", "Public", ("shared", "Public", "Public")),
        ("cyrus", "Other Users/bob", ("user", "bob", "Inbox")),
        ("cyrus", "Other Users/bob/Sent", ("user", "bob", "Sent")),
        ("cyrus", "Shared Folders/news", ("shared", "Shared Folders", "news")),
        ("cyrus-internal", "INBOX.Sent", ("own", "", "Sent")),
        ("cyrus-internal", "user.bob", ("user", "bob", "Inbox")),
        ("cyrus-internal", "user.bob.Sent.a", ("user", "bob", "Sent|a")),
        ("cyrus-internal", "news.a", ("shared", "Shared", "news|a")),
        ("courier", "#shared.team.a", ("shared", "shared", "team|a")),
        ("stalwart", "Shared Folders/sales@x/Inbox", ("user", "sales@x", "Inbox")),
        ("zimbra", "/home/bob/Inbox", ("user", "bob", "Inbox")),
        ("uw", "~bob/a", ("user", "bob", "a")),
        ("domino", "Other\\bob\\a", ("user", "bob", "a")),
        ("nothing-told", "shared/bob/a", ("own", "", "shared|bob|a")),
    ],
)
def test_each_mailbox_is_in_one_account(
    server: str, name: str, expected: tuple[str, str, str]
) -> None:
    """As real servers name them, by what they say of their namespaces."""
    assert placed(server, name) == expected


@pytest.mark.parametrize(
    ("server", "name"), [("dovecot", "shared"), ("dovecot", "Public"), ("cyrus", "Other Users")]
)
def test_a_level_above_accounts_is_no_mailbox(server: str, name: str) -> None:
    """RFC 9051 §7.3.1: \\Noselect, \\NonExistent."""
    assert placed(server, name, "\\noselect", "\\haschildren") is None


def test_a_user_whose_inbox_is_not_shared_is_an_account_and_no_mailbox() -> None:
    assert placed("dovecot", "shared/bob", "\\noselect") == ("user", "bob", "")


def test_names_in_two_namespaces_are_two_accounts() -> None:
    """RFC 8620 §1.6.2: ids are derived from where the mailboxes are, and for whom."""
    two = Namespaces(OWN_ALL, (Namespace("a/", "/"), Namespace("b/", "/")))
    layout = Layout(two, ())
    places = [layout.place(entry(f"{prefix}/bob/x", "/")) for prefix in "ab"]
    keys = [place.extent.key for place in places if place is not None]
    made = {ids.shared_account_id("host:143", who, key) for who in ("ann", "carol") for key in keys}
    assert len(made) == 4
    assert ids.account_id("host:143", "ann") not in made


_LEVELS = st.sampled_from(["INBOX", "a", "b", "shared", "Public", "bob@x", "50%", "*"])


def _matches(pattern: str, name: str) -> bool:
    """RFC 9051 §6.3.9, for the patterns that are used: % alone, or a * at the end."""
    if pattern == "%":
        return "/" not in name
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


@given(st.lists(st.lists(_LEVELS, min_size=1, max_size=3).map("/".join), unique=True, max_size=8))
def test_patterns_find_all_of_an_account_and_few_others(names: list[str]) -> None:
    """RFC 5258 §3: a LIST of the user's own mailboxes passes over what is below a namespace."""
    roots = {"shared": ("\\noselect",), "Public": ("\\noselect",)}
    entries = [entry(name, "/", *roots.get(name, ())) for name in names]
    layout = Layout(SERVERS["dovecot"], entries)
    patterns = layout.own_patterns(entries)
    for each in entries:
        place = layout.place(each)
        if place is None:
            continue
        wanted = patterns if place.extent == OWN else place.extent.patterns
        assert any(_matches(pattern, each.name) for pattern in wanted)
        if place.extent.kind is Kind.USER:
            assert not any(_matches(p, each.name) for p in patterns if p != "*/*")


def test_more_patterns_than_fit_are_none() -> None:
    entries = [entry(f"{'x' * 40}{number}/a", "/") for number in range(200)]
    assert Layout(SERVERS["dovecot"], entries).own_patterns(entries) == EVERY
