"""RFC 8621 §4.6: what the tests of composition share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.jmap.errors import SetError
from gateway.mime import headers
from tests.mime.composing import composed

TEXT: dict[str, Any] = {
    "textBody": [{"partId": "t", "type": "text/plain"}],
    "bodyValues": {"t": {"value": "hello"}},
}


def refused(email: Mapping[str, Any], blobs: Mapping[str, bytes] | None = None) -> SetError:
    """Why an Email is not composed."""
    with pytest.raises(SetError) as caught:
        composed(email, blobs)
    return caught.value


def invalid(email: Mapping[str, Any]) -> list[str]:
    """The properties that an Email is refused for."""
    error = refused(email)
    assert error.type == "invalidProperties"
    assert error.description
    return sorted(error.properties)


def header(octets: bytes) -> dict[str, bytes]:
    """Raw values of the fields of a message by name, in lower case."""
    return {name.lower(): value for name, value in headers.fields(octets)}
