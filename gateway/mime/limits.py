"""RFC 8620 §8.5: how much of one message is looked at, so that no message is dear to read."""

from __future__ import annotations

from typing import Final

MAX_DEPTH: Final = 64
"""Levels of multipart below the root; deeper ones are shown as if they were empty."""

MAX_PARTS: Final = 1_000
"""Body parts of one message, leaves and multiparts; the rest are not shown."""

MAX_FIELDS: Final = 1_000
"""Header fields of one header; the rest are not shown."""

MAX_VALUE_OCTETS: Final = 65_536
"""Octets of one header field value; the rest is not shown."""

MAX_ADDRESSES: Final = 1_000
"""Addresses of one header field; the rest are not shown."""

MAX_PARAMETERS: Final = 256
"""MIME parameters of one field, each piece of a RFC 2231 continuation counted."""
