"""RFC 8621 §4.1.2-4.1.4: what never changes about an Email is kept, packed, saved and loaded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sync import strings
from gateway.sync.strings import CHUNK_ROWS, StringColumn

CHUNKS = 5
ROWS = CHUNKS * CHUNK_ROWS

rows = st.integers(0, CHUNKS - 1).flatmap(
    lambda chunk: st.integers(0, 2).map(lambda row: chunk * CHUNK_ROWS + row)
)
chunks = st.integers(0, CHUNKS - 1)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.tuples(rows, st.binary(max_size=3)), max_size=5)),
        st.tuples(st.just("get"), st.lists(rows, max_size=4)),
        st.tuples(st.just("pack"), st.lists(chunks, max_size=CHUNKS)),
        st.tuples(st.just("put while packing"), st.lists(rows, max_size=2)),
        st.tuples(st.just("save"), st.lists(chunks, max_size=CHUNKS)),
        st.tuples(st.just("load"), st.lists(chunks, max_size=CHUNKS)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=25,
)


class Model:
    """A column beside a dictionary that says what it must hold, and what a store would have."""

    def __init__(self) -> None:
        self.column = StringColumn()
        self.values: dict[int, bytes] = {}
        self.store: dict[int, tuple[bytes, dict[int, bytes]]] = {}

    def apply(self, kind: str, what: object) -> None:
        if kind == "restart":
            self.column, self.values = StringColumn(), {}
            return
        assert isinstance(what, list)
        if kind == "put":
            self.put(dict(what))
        elif kind == "get":
            for row in what:
                assert self.column.get(row) == self.values.get(row)
        elif kind == "put while packing":
            for row in what:
                self.put({row: b"before"})
                number = row // CHUNK_ROWS
                raw = self.column.raw(number)
                self.put({row: b"after"})
                self.column.set_packed(number, raw, strings.pack(raw))
        else:
            for number in what:
                getattr(self, kind)(number)

    def put(self, values: dict[int, bytes]) -> None:
        self.column.put(values.keys(), values.values())
        self.values.update(values)

    def pack(self, number: int) -> None:
        if number in self.column.unpacked:
            raw = self.column.raw(number)
            self.column.set_packed(number, raw, strings.pack(raw))
            assert self.column.packed(number) is not None

    def save(self, number: int) -> None:
        """As Shelf.save() does, for what it would find unsaved."""
        if number in self.column.unsaved:
            self.pack(number)
            packed = self.column.packed(number)
            assert packed is not None
            self.column.unsaved.discard(number)
            self.store[number] = packed, self.chunk(number)

    def load(self, number: int) -> None:
        """As Shelf.fill() does, which may be late: something else was put meanwhile."""
        if number not in self.store:
            return
        packed, held = self.store[number]
        if self.column.missing([number * CHUNK_ROWS]):
            self.values.update(held)
        self.column.load(number, packed)

    def chunk(self, number: int) -> dict[int, bytes]:
        return {row: v for row, v in self.values.items() if row // CHUNK_ROWS == number}


@settings(deadline=None, max_examples=200)
@given(operations, st.integers(0, 3))
def test_a_column_holds_what_was_put_last(
    steps: list[tuple[str, object]], open_chunks: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strings, "_UNPACKED_CHUNKS", open_chunks)
        model = Model()
        for kind, what in steps:
            model.apply(kind, what)
            assert model.column.nbytes >= 0
        for row in range(0, ROWS, CHUNK_ROWS):
            for near in range(row, row + 3):
                assert model.column.get(near) == model.values.get(near)
        wanted = {row // CHUNK_ROWS for row in model.values}
        assert not wanted & model.column.missing(range(ROWS))


@given(st.binary(max_size=40))
def test_what_is_no_packed_chunk_is_absent(octets: bytes) -> None:
    """Design §7: what does not decode is a miss."""
    assert strings.unpack(octets) is None
    column = StringColumn()
    column.load(0, octets)
    assert column.missing([0]) == {0}
    assert column.get(0) is None


def test_a_chunk_that_is_cut_short_is_absent() -> None:
    column = StringColumn()
    column.put([0, 1], [b"x" * 500, b"y"])
    packed = strings.pack(column.raw(0))
    assert strings.unpack(packed) is not None
    assert all(strings.unpack(packed[:length]) is None for length in range(len(packed)))


def test_packed_chunks_that_nobody_reads_take_little_memory() -> None:
    column = StringColumn()
    values = [b"a header field that all the messages share" * 9] * CHUNK_ROWS
    for number in range(60):
        column.put(range(number * CHUNK_ROWS, (number + 1) * CHUNK_ROWS), values)
    before = column.nbytes
    for number in column.unpacked:
        raw = column.raw(number)
        column.set_packed(number, raw, strings.pack(raw))
    assert column.nbytes < before / 2
    assert [column.get(number * CHUNK_ROWS) for number in range(60)] == [values[0]] * 60
