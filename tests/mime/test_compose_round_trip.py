"""RFC 8621 §4.6: what is sent is what is read, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.mime.composing_checks import check, check_attached
from tests.mime.composing_emails import NewEmail, emails
from tests.mime.corpus import torture


@pytest.mark.checklist("Q08", "Q11", "Q13")
@given(emails())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_composed_is_read_as_it_was_sent(new: NewEmail) -> None:
    """By the gateway and by another reader; no line is too long, nothing is in the header that was
    not asked for.
    """
    check(new)


def test_any_message_can_be_attached() -> None:
    """RFC 2046 §5.2.1, RFC 6532 §3.7: none is changed but in its line ends, or taken for ours."""
    few = [octets for octets in torture().values() if len(octets) < 50_000][::8]
    as_they_are = [check_attached(octets) for octets in few]
    assert True in as_they_are
    assert False in as_they_are
