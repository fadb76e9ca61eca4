"""RFC 8620 §3.7, RFC 8621 §4.10: the demonstration shows an inbox with one request of curl."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import compat32

import pytest

from deploy.demonstration import fill
from deploy.sample_mail.letter import Letter, compose
from deploy.sample_mail.letters import LETTERS
from tests.servers.dovecot import Dovecot, User


def test_check_prints_the_inbox_and_ends_well() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.demonstration", "--check"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _, _, inbox = done.stdout.partition("The inbox:")
    newest = inbox.strip().splitlines()[0]
    assert re.match(r"\* .*Chiara Rossi: Re: The lamp room before summer$", newest)
    assert "佐藤 恵美: 灯台の写真をありがとう" in inbox
    assert inbox.count("The lamp room before summer") == 1


def test_sample_mail_fills_the_folders(dovecot: Dovecot, mailuser: User) -> None:
    fill(dovecot, mailuser)
    with dovecot.imap(mailuser) as client:
        for mailbox, flag in (("INBOX", "UNSEEN"), ("Drafts", "DRAFT"), ("Sent", "FLAGGED")):
            assert client.select(mailbox, readonly=True)[0] == "OK"
            assert client.search(None, flag)[1] != [b""]


@pytest.mark.parametrize("letter", LETTERS, ids=lambda letter: letter.key)
def test_sample_letter_is_a_sound_message(letter: Letter) -> None:
    """RFC 5322 §2.3: every line ends in CRLF and no part is malformed."""
    octets = compose(letter, ["an-ancestor"], datetime(2026, 1, 1, tzinfo=UTC))
    assert not re.search(rb"[^\r]\n|\r[^\n]", octets)
    message = message_from_bytes(octets, policy=compat32)
    assert [part.defects for part in message.walk() if part.defects] == []
    assert message["In-Reply-To"] == "<an-ancestor@mail.example.test>"
