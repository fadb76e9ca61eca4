"""The Cyrus that other tests stand on does what its options say."""

from __future__ import annotations

import imaplib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.servers.cyrus import Cyrus
from tests.servers.mail_server import quoted

MAIL = b"Subject: A greeting\r\nMessage-ID: <1@example.test>\r\n\r\nHello.\r\n"


def test_appended_message_is_found_with_its_flags_and_date(cyrus: Cyrus) -> None:
    user = cyrus.add_user()
    received = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    uid = cyrus.append(user, "INBOX", MAIL, ["\\Seen", "$Forwarded"], received)
    with cyrus.imap(user) as client:
        client.select("INBOX", readonly=True)
        _, data = client.uid("FETCH", str(uid), "(FLAGS INTERNALDATE BODY.PEEK[])")
    envelope, octets = data[0]
    assert octets == MAIL
    assert b"\\Seen" in envelope
    assert b"$Forwarded" in envelope
    assert b"29-Feb-2024" in envelope


def test_special_use_folders_exist(cyrus: Cyrus) -> None:
    with cyrus.imap(cyrus.add_user()) as client:
        lines = b"\n".join(line for line in client.list()[1] if isinstance(line, bytes))
    for name in (b"Drafts", b"Sent", b"Trash", b"Junk", b"Archive"):
        assert b"\\%s) " % name in lines


def test_options_change_the_server(start_cyrus: Callable[..., Cyrus]) -> None:
    server = start_cyrus(
        without=("OBJECTID", "QRESYNC"),
        altnamespace=False,
        unixhierarchysep=False,
        virtdomains="userid",
        special_use=False,
    )
    user = server.add_user("ada")
    assert user.username == "ada@example.test"
    with server.imap(user) as client:
        capabilities = client.capability()[1][0].split()
        assert b"CONDSTORE" in capabilities
        assert not {b"QRESYNC", b"OBJECTID"} & {*capabilities}
        assert client.namespace()[1] == [b'(("INBOX." ".")) (("user." ".")) (("" "."))']
        assert client.list()[1] == [b'(\\HasNoChildren) "." INBOX']


def test_acl_opens_a_mailbox_to_another_user(cyrus: Cyrus) -> None:
    """RFC 4314: rights given by one user are seen by the other."""
    owner, reader = cyrus.add_user(), cyrus.add_user()
    cyrus.create(owner, "Shared")
    cyrus.append(owner, "Shared", MAIL)
    with cyrus.imap(owner) as client:
        assert client.setacl("Shared", reader.username, "lr")[0] == "OK"
    with cyrus.imap(reader) as client:
        shared = quoted(f"Other Users/{owner.username}/Shared")
        assert client.select(shared, readonly=True) == ("OK", [b"1"])


def test_restart_keeps_the_mail_and_cuts_connections(start_cyrus: Callable[..., Cyrus]) -> None:
    server = start_cyrus()
    user = server.add_user()
    server.append(user, "INBOX", MAIL)
    with server.imap(user) as before:
        server.stop()
        server.start()
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            before.noop()
    with server.imap(user) as after:
        assert after.select("INBOX") == ("OK", [b"1"])
