"""The Dovecot that other tests stand on does what its options say."""

from __future__ import annotations

import imaplib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.servers.dovecot import Dovecot, Message, User, quoted

MAIL = b"Subject: A greeting\r\nMessage-ID: <1@example.test>\r\n\r\nHello.\r\n"


def test_appended_message_is_found_with_its_flags_and_date(
    dovecot: Dovecot, mailuser: User
) -> None:
    received = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    uid = dovecot.append(mailuser, "INBOX", MAIL, ["\\Seen", "$Forwarded"], received)
    with dovecot.imap(mailuser) as client:
        client.select("INBOX", readonly=True)
        _, data = client.uid("FETCH", str(uid), "(FLAGS INTERNALDATE BODY.PEEK[])")
    envelope, octets = data[0]
    assert octets == MAIL
    assert b"\\Seen" in envelope
    assert b"$Forwarded" in envelope
    assert imaplib.Internaldate2tuple(envelope) is not None
    assert b"29-Feb-2024" in envelope


def test_append_all_returns_a_uid_for_each_message(dovecot: Dovecot, mailuser: User) -> None:
    dovecot.create(mailuser, "Work/A & B".replace("&", "&-"))
    assert dovecot.append_all(mailuser, "Work/A &- B", [Message(MAIL)] * 3) == [1, 2, 3]


def test_delivered_message_arrives_in_the_inbox(dovecot: Dovecot, mailuser: User) -> None:
    dovecot.deliver(mailuser, MAIL)
    with dovecot.imap(mailuser) as client:
        assert client.select("INBOX") == ("OK", [b"1"])


@pytest.mark.parametrize("username", [None, "nobody.knows@example.test"])
def test_wrong_password_and_unknown_user_are_refused_alike(
    dovecot: Dovecot, mailuser: User, username: str | None
) -> None:
    stranger = User(username or mailuser.username, "wrong")
    with (
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
        dovecot.imap(stranger),
    ):
        pass


def test_tls_listener_shows_a_certificate_of_its_authority(
    dovecot: Dovecot, mailuser: User
) -> None:
    with imaplib.IMAP4_SSL(
        "localhost", dovecot.ports.imaps, ssl_context=dovecot.ssl_context()
    ) as client:
        assert client.login(mailuser.username, mailuser.password)[0] == "OK"


def test_special_use_folders_exist(dovecot: Dovecot, mailuser: User) -> None:
    with dovecot.imap(mailuser) as client:
        lines = b"\n".join(line for line in client.list()[1] if isinstance(line, bytes))
    for name in (b"Drafts", b"Sent", b"Trash", b"Junk", b"Archive"):
        assert b"\\" + name in lines


def test_options_change_the_server(start_dovecot: Callable[..., Dovecot]) -> None:
    server = start_dovecot(
        mail_format="maildir",
        without=("QRESYNC", "CONDSTORE"),
        prefix="INBOX.",
        separator=".",
        special_use=False,
        max_userip_connections=1,
    )
    user = server.add_user("ada", "lovelace")
    with server.imap(user) as client:
        capabilities = client.capability()[1][0].split()
        assert b"MOVE" in capabilities
        assert b"QRESYNC" not in capabilities
        assert client.namespace()[1] == [b'(("INBOX." ".")) NIL NIL']
        assert client.list()[1] == [b'(\\HasNoChildren) "." INBOX']
        with pytest.raises(imaplib.IMAP4.error, match="Maximum number"), server.imap(user):
            pass


def test_acl_opens_a_mailbox_to_another_user(start_dovecot: Callable[..., Dovecot]) -> None:
    """RFC 4314: rights given by one user are seen by the other."""
    server = start_dovecot(acl=True)
    owner, reader = server.add_user("owner"), server.add_user("reader")
    server.create(owner, "Shared")
    server.append(owner, "Shared", MAIL)
    with server.imap(owner) as client:
        assert client.setacl("Shared", reader.username, "lr")[0] == "OK"
    with server.imap(reader) as client:
        shared = quoted(f"shared/{owner.username}/Shared")
        assert client.select(shared, readonly=True) == ("OK", [b"1"])


def test_restart_keeps_the_mail_and_cuts_connections(
    start_dovecot: Callable[..., Dovecot],
) -> None:
    server = start_dovecot(mail_format="mdbox")
    user = server.add_user()
    server.append(user, "INBOX", MAIL)
    with server.imap(user) as before:
        server.stop()
        server.start()
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            before.noop()
    with server.imap(user) as after:
        assert after.select("INBOX") == ("OK", [b"1"])


def test_kicked_user_loses_the_connection(dovecot: Dovecot, mailuser: User) -> None:
    with dovecot.imap(mailuser) as client:
        client.noop()
        dovecot.doveadm("kick", mailuser.username)
        last_words = list(iter(client.readline, b""))
    assert [line.split()[1] for line in last_words] == [b"BYE"]
