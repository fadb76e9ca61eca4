"""Figures can be compared only if the mail they are measured on is always the same."""

from __future__ import annotations

import email
from email.policy import default
from itertools import islice

from tests.bench.messages import LAST, LONGEST, SPAN, letters


def test_same_seed_gives_the_same_letters() -> None:
    first = list(letters(5, 40))
    assert first == list(letters(5, 40))
    assert first != list(letters(6, 40))


def test_letters_are_well_formed_and_in_order() -> None:
    """RFC 5322: an address, a date and an id each; an answer names the message it answers."""
    seen: dict[int, list[str]] = {}
    received = LAST - SPAN
    for letter in islice(letters(5, 2000), 500):
        message = email.message_from_bytes(letter.message.octets, policy=default)
        assert not message.defects
        assert message["From"].addresses
        assert message["Date"].datetime < letter.message.internaldate
        conversation = seen.setdefault(letter.conversation, [])
        assert (message["References"] or "").split() == conversation
        conversation.append(message["Message-ID"])
        assert letter.message.internaldate is not None
        assert letter.message.internaldate >= received
        received = letter.message.internaldate
    assert 1 < max(map(len, seen.values())) <= LONGEST
