"""Hypothesis strategies for what an IMAP server sends."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

# Octets that matter to a parser, and a few that do not.
OCTETS = st.text('ab7 ()[]{}<>"\\\r\n*+%&\0:,', max_size=40).map(str.encode) | st.binary(
    max_size=40
)
ATOM_CHARACTERS = "abcXYZ019.-_$\\"
ATOMS = st.text(ATOM_CHARACTERS, min_size=1, max_size=12).map(str.encode)


def quoted(octets: bytes) -> bytes:
    """Octets without CR, LF and NUL as a quoted string."""
    return b'"%s"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def literal(octets: bytes) -> bytes:
    """Octets as a literal."""
    return b"{%d}\r\n%s" % (len(octets), octets)


def is_quotable(octets: bytes) -> bool:
    """Whether a quoted string can hold the octets."""
    return not set(octets) & {0, 10, 13}


@st.composite
def strings(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """(octets, how a server sends them): quoted where that can be, or a literal."""
    octets = draw(OCTETS)
    as_quoted = is_quotable(octets) and draw(st.booleans())
    return octets, quoted(octets) if as_quoted else literal(octets)


@st.composite
def chunked(draw: st.DrawFn, octets: bytes) -> list[bytes]:
    """A stream cut into chunks at any places."""
    cuts = draw(st.lists(st.integers(0, len(octets)), max_size=8))
    edges = [0, *sorted(cuts), len(octets)]
    return [octets[a:b] for a, b in pairwise(edges)]
