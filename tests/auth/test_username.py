"""RFC 7617 §2: one spelling for one user."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.username import canonical_username


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("ann", "ann"),
        ("Ann", "Ann"),  # whether the case of a name matters is the mail server's to say
        ("Ann@Example.TEST", "Ann@example.test"),
        (" ann@example.test\u00a0", "ann@example.test"),
        ("a@b@Example.test", "a@b@example.test"),
        ("", None),
        (" ", None),
        ("ann\x00", None),
        ("ann\r\nbob", None),
        ("ann\x85bob", None),
    ],
)
def test_canonical_username(name: str, canonical: str | None) -> None:
    assert canonical_username(name) == canonical


def test_unicode_forms_stay_apart() -> None:
    assert canonical_username("e\u0301") != canonical_username("\u00e9")


@given(st.text())
def test_canonical_name_is_its_own_canonical_name(name: str) -> None:
    canonical = canonical_username(name)
    if canonical is not None:
        assert canonical_username(canonical) == canonical
