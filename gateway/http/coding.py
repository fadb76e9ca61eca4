"""RFC 9110 §8.4, §12.5.3: answers are sent in gzip to clients that take it.

JSON of many Emails becomes a fifth of its size or less, which is what phones wait for. What is
small anyway, and downloads, most of which are compressed already, are sent as they are.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

from gateway.sync.turns import off_loop

_LEAST_OCTETS: Final = 1_000
# The higher ones take longer and save little of JSON.
_LEVEL: Final = 1
_GZIP: Final = 16 + zlib.MAX_WBITS

VARY: Final = {"Vary": "Accept-Encoding"}


async def coded(pieces: Sequence[bytes], accepted: str) -> tuple[bytes, dict[str, str]]:
    """The octets to send to a client with this Accept-Encoding, and the fields that say so."""
    octets = sum(map(len, pieces))
    if octets < _LEAST_OCTETS or not takes_gzip(accepted):
        return b"".join(pieces), VARY
    body = await off_loop(octets, _compressed, pieces)
    return body, {"Content-Encoding": "gzip", **VARY}


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding has gzip in it, or everything, and does not rule it out."""
    weights: dict[str, float] = {}
    for item in accepted.lower().split(","):
        name, _, parameter = (part.strip() for part in item.partition(";"))
        weights[name] = _weight(parameter)
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _compressed(pieces: Sequence[bytes]) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return b"".join([*map(compressor.compress, pieces), compressor.flush()])
