"""RFC 8621 §4.6: what is sent is what is read, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.mime.composing_checks import check
from tests.mime.composing_emails import NewEmail, emails


@pytest.mark.checklist("Q08", "Q11", "Q13")
@given(emails())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_composed_is_read_as_it_was_sent(new: NewEmail) -> None:
    """By the gateway and by another reader; no line is too long, nothing is in the header that was
    not asked for.
    """
    check(new)
