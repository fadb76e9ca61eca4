"""RFC 8621 §8: what is marked is read back as it was, and taken out without a trace."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sieve import block
from gateway.sieve.block import Block
from gateway.sieve.vacation import Vacation
from tests.sieve.values import NAMES, SCRIPTS, VACATIONS

AWAY = Vacation(subject="Away", text_body="I am away.\nBack on Monday.")


@given(VACATIONS, st.none() | NAMES)
def test_the_values_are_read_back_exactly(vacation: Vacation, script: str | None) -> None:
    written = block.write(vacation, script)
    expected = Block(replace(vacation, is_enabled=False), script, altered=False)
    assert block.read(written) == expected
    assert block.remove(written) == b""


@given(SCRIPTS, VACATIONS)
def test_a_script_is_the_same_after_the_block_was_in_it(script: bytes, vacation: Vacation) -> None:
    inserted = block.insert(script, vacation)
    found = block.read(inserted)
    assert found == Block(replace(vacation, is_enabled=False), None, altered=False)
    assert block.remove(inserted) == script


@given(SCRIPTS, VACATIONS)
def test_other_line_ends_are_no_alteration(script: bytes, vacation: Vacation) -> None:
    edited = block.insert(script, vacation).replace(b"\r\n", b"\n")
    found = block.read(edited)
    assert found is not None
    assert not found.altered
    assert block.remove(edited) == script.replace(b"\r\n", b"\n")


@given(st.data())
def test_any_other_change_is_noticed(data: st.DataObject) -> None:
    written = block.write(AWAY, "main")
    body = written.index(b"require")
    end = written.index(b"# jmap-gateway vacation: end")
    position = data.draw(st.integers(body, end - 3))
    added = data.draw(st.sampled_from([b" ", b"x", b"\r\n# note\r\n"]))
    found = block.read(written[:position] + added + written[position:])
    assert found == Block(AWAY, "main", altered=True)


def test_the_block_follows_the_requires() -> None:
    script = b'require "fileinto"; # a\r\nfileinto "x";\r\n'
    inserted = block.insert(script, AWAY)
    assert inserted.startswith(b'require "fileinto";\r\n# jmap-gateway vacation: begin')
    assert inserted.endswith(b' # a\r\nfileinto "x";\r\n')
    assert b'require ["vacation"];' in inserted


def test_what_a_person_put_around_it_stays() -> None:
    inserted = block.insert(b"keep;\r\n", AWAY)
    assert block.remove(b"# mine\r\n" + inserted + b"stop;\r\n") == b"# mine\r\nkeep;\r\nstop;\r\n"


def test_two_blocks_are_two_too_many() -> None:
    assert block.remove(block.insert(b"keep;\r\n", AWAY) * 2) == b"keep;\r\n" * 2


@pytest.mark.parametrize(
    "script",
    [
        b"# jmap-gateway vacation: begin\n#= x\n",
        b"# jmap-gateway vacation: begin\n",
        b"#= x\n",
        b"# jmap-gateway vacation: begin\n#= x\n# jmap-gateway vacation: end\n",
        b"\r\n",
    ],
)
def test_scripts_are_read_once(script: bytes) -> None:
    """As long as this takes, nobody else is served: a search that begins again takes minutes."""
    hostile = b"# jmap-gateway vacation: begin\n" + script * (1_000_000 // len(script))
    assert block.remove(hostile) == hostile
    assert block.read(hostile) is None


def _forged(values: bytes) -> bytes:
    coded = base64.b64encode(values)
    return (
        b'# jmap-gateway vacation: begin\n#= %b\nvacation "x";\n# jmap-gateway vacation: end\n'
        % coded
    )


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"# jmap-gateway vacation: begin\r\n",
        b"# jmap-gateway vacation: end 0\r\n",
        block.write(AWAY, None).replace(b"#= ", b"#"),
        block.write(AWAY, None).rpartition(b"#")[0],
        _forged(b""),
        _forged(b"[1]"),
        _forged(b"\xff"),
        _forged(b"[" * 100_000),
        _forged(
            b'{"fromDate":1,"toDate":null,"subject":null,"textBody":null,"htmlBody":null,"addresses":[],"script":null}'
        ),
        _forged(
            b'{"fromDate":"x","toDate":null,"subject":null,"textBody":null,"htmlBody":null,"addresses":[],"script":null}'
        ),
        _forged(
            b'{"fromDate":null,"toDate":null,"subject":null,"textBody":"\\ud800","htmlBody":null,"addresses":[],"script":null}'
        ),
        _forged(
            b'{"fromDate":null,"toDate":null,"subject":null,"textBody":null,"htmlBody":null,"addresses":[1],"script":null}'
        ),
        _forged(
            b'{"fromDate":null,"toDate":null,"subject":null,"textBody":null,"htmlBody":null,"addresses":null,"script":null}'
        ),
        _forged(b'{"subject":null}'),
    ],
)
def test_what_is_not_ours_is_left_alone(script: bytes) -> None:
    assert block.read(script) is None
    assert block.remove(script) == script
