"""RFC 9110 §8.4, §12.5.3: answers in gzip."""

from __future__ import annotations

import gzip

import pytest

from gateway.http.coding import coded, takes_gzip


@pytest.mark.parametrize(
    "accepted", ["gzip", "gzip, deflate, br", "deflate;q=0.5, GZIP;q=1.0", "*", "br, *;q=0.1"]
)
async def test_who_takes_gzip_gets_it(accepted: str) -> None:
    body, fields = await coded([b"[" * 500, b"]" * 700], accepted)
    assert fields == {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    assert gzip.decompress(body) == b"[" * 500 + b"]" * 700
    assert len(body) < 100


@pytest.mark.parametrize(
    "accepted", ["", "identity", "gzip;q=0", "*, gzip;q=0", "gzip;q=x", "x-gzip", "br"]
)
async def test_others_get_it_as_it_is(accepted: str) -> None:
    assert not takes_gzip(accepted)
    body, fields = await coded([b"x" * 2000], accepted)
    assert body == b"x" * 2000
    assert fields == {"Vary": "Accept-Encoding"}


async def test_what_is_small_is_sent_as_it_is() -> None:
    assert await coded([b"{}"], "gzip") == (b"{}", {"Vary": "Accept-Encoding"})


async def test_what_is_large_is_compressed_beside_everything_else() -> None:
    octets = bytes(range(256)) * 20_000
    body, _ = await coded([octets[:1000], octets[1000:]], "gzip")
    assert gzip.decompress(body) == octets
