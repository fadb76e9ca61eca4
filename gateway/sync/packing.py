"""Design §7: columns of numbers as few octets, and back, fast enough for the way of a request."""

from __future__ import annotations

import zlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_LEVEL = 1
RUNS: Final = zlib.Z_RLE
TEXT: Final = zlib.Z_HUFFMAN_ONLY


class NotPacked(ValueError):
    """The octets are none that pack() gave."""


def pack(column: npt.NDArray[Any]) -> bytes:
    """Neighbours' differences, those near 0 made small whatever their sign (0, -1, 1, -2...).

    Their octets come transposed, all lowest ones first, and without those that are 0 in all. That
    leaves long runs, or noise: neither is worth it to look for anything but runs.
    """
    values = column.astype(np.int64) if column.dtype != np.uint64 else column.view(np.int64)
    steps = np.diff(values, prepend=np.int64(0))
    folded = (steps << 1 ^ steps >> 63).view(np.uint64)
    width = max(1, (int(folded.max(initial=0)).bit_length() + 7) // 8)
    planes = folded.view(np.uint8).reshape(-1, 8)[:, :width].T
    return bytes([width]) + deflate(planes.tobytes(), RUNS)


def unpack(packed: bytes, size: int | None = None) -> npt.NDArray[np.int64]:
    """Inverse of pack(), as signed numbers, of which there must be `size`. Raises NotPacked."""
    try:
        planes = np.frombuffer(zlib.decompress(packed[1:]), np.uint8).reshape(packed[0], -1)
    except (zlib.error, ValueError, IndexError) as error:
        raise NotPacked(str(error)) from error
    folded = np.zeros(planes.shape[1], np.uint64)
    for number, plane in enumerate(planes[:8]):
        folded |= plane.astype(np.uint64) << np.uint64(8 * number)
    steps = (folded >> np.uint64(1)).view(np.int64) ^ -(folded & np.uint64(1)).view(np.int64)
    values: npt.NDArray[np.int64] = np.cumsum(steps)
    if size is not None and len(values) != size:
        raise NotPacked("length")
    return values


def deflate(octets: bytes, strategy: int) -> bytes:
    """Octets that are runs, or text without repetitions, deflated."""
    packer = zlib.compressobj(_LEVEL, strategy=strategy)
    return packer.compress(octets) + packer.flush()
