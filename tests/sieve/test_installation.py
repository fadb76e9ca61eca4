"""RFC 8621 §8, RFC 9661 §4: whatever is wanted comes true, and the user's own script stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sieve import block, language
from gateway.sieve.installation import (
    NAME,
    Activate,
    Delete,
    NameTaken,
    OwnVacation,
    Put,
    State,
    Step,
    Stored,
    UnreadableScript,
    Unsupported,
    read,
    steps,
)
from gateway.sieve.vacation import Vacation
from tests.sieve.values import NAMES, SCRIPTS, VACATIONS

PLAIN = ("fileinto", "vacation", "date", "relational")
INCLUDE = (*PLAIN, "include")
AWAY = Vacation(is_enabled=True, text_body="Away.")
BACK = replace(AWAY, is_enabled=False)
MAIN = Stored("main", True, b'require "fileinto";\r\nfileinto "x";\r\n')
OTHER = Stored("other", False, b"keep;\r\n")


def after(scripts: Sequence[Stored], *changes: Step) -> list[Stored]:
    """What is on the server after some steps, which it would take."""
    stored = {script.name: script for script in scripts}
    for step in changes:
        match step:
            case Put(name, content):
                active = name in stored and stored[name].active
                stored[name] = Stored(name, active, content)
            case Activate(name):
                assert name in stored or not name
                stored = {n: replace(each, active=n == name) for n, each in stored.items()}
            case Delete(name):
                assert not stored.pop(name).active
    return list(stored.values())


def running(scripts: Sequence[Stored]) -> list[str]:
    """The scripts that a server runs: the active one, and what it includes."""
    stored = {script.name: script for script in scripts}
    names = [script.name for script in scripts if script.active]
    for name in names:
        found = language.outline(stored[name].content).includes
        names += (each for each in found if each in stored and each not in names)
    return names


def answers(scripts: Sequence[Stored]) -> int:
    """How many vacation actions there are in what a server runs."""
    stored = {script.name: script for script in scripts}
    return sum(language.outline(stored[name].content).has_vacation for name in running(scripts))


@st.composite
def users(draw: st.DrawFn) -> list[Stored]:
    """The scripts of a user who has had no response yet."""
    found = draw(st.dictionaries(NAMES, SCRIPTS, max_size=3))
    active = draw(st.sampled_from([None, *found]))
    return [Stored(name, name == active, content) for name, content in found.items()]


@given(users(), st.lists(st.tuples(st.booleans(), VACATIONS, st.booleans()), max_size=4), st.data())
def test_what_is_wanted_comes_true_again_and_again(
    scripts: list[Stored], wishes: list[tuple[bool, Vacation, bool]], data: st.DataObject
) -> None:
    originals = {script.name: script.content for script in scripts}
    had_include = False
    for include, vacation, moves in wishes:
        extensions = INCLUDE if include else PLAIN
        before = read(scripts)
        script = data.draw(st.sampled_from([None, *originals])) if moves else before.script
        try:
            todo = steps(extensions, scripts, vacation, script)
        except OwnVacation:
            continue
        for done in range(len(todo) + 1):
            between = after(scripts, *todo[:done])
            # A server that has lost "include" fails at what includes.
            if include or not had_include:
                assert answers(between) <= 1
                in_force = read(between).script
                assert in_force in (before.script, script)
                assert in_force is None or in_force in running(between)
        scripts = after(scripts, *todo)
        assert read(scripts) == State(vacation, script)
        assert steps(extensions, scripts, vacation, script) == []
        assert answers(scripts) == vacation.is_enabled
        had_include = include and vacation.is_enabled
    final = read(scripts)
    todo = steps(PLAIN, scripts, Vacation(), final.script)
    assert {s.name: s.content for s in after(scripts, *todo)} == originals


def test_with_include_the_script_is_included() -> None:
    todo = steps(INCLUDE, [MAIN, OTHER], AWAY, "main")
    content = block.write(AWAY, "main")
    assert todo == [Put(NAME, content), Activate(NAME)]
    assert b'include :personal :optional "main";' in content
    there = after([MAIN, OTHER], *todo)
    assert read(there) == State(AWAY, "main")
    assert steps(INCLUDE, there, BACK, "main") == [Activate("main")]
    assert read(after(there, Activate("main"))) == State(BACK, "main")


def test_without_include_it_is_added_to() -> None:
    todo = steps(PLAIN, [MAIN, OTHER], AWAY, "main")
    content = block.insert(MAIN.content, AWAY)
    assert todo == [Put(NAME, block.write(AWAY, None)), Put("main", content)]
    there = after([MAIN, OTHER], *todo)
    assert read(there) == State(AWAY, "main")
    assert steps(PLAIN, there, BACK, "main") == [Put("main", MAIN.content)]


@pytest.mark.parametrize("extensions", [PLAIN, INCLUDE])
def test_without_a_script_of_the_user_it_is_alone(extensions: tuple[str, ...]) -> None:
    todo = steps(extensions, [OTHER], AWAY, None)
    assert todo == [Put(NAME, block.write(AWAY, None)), Activate(NAME)]
    there = after([OTHER], *todo)
    assert read(there) == State(AWAY, None)
    assert steps(extensions, there, BACK, None) == [Activate("")]
    assert steps(extensions, there, Vacation(), None) == [Activate(""), Delete(NAME)]


def test_what_is_as_it_should_be_takes_nothing() -> None:
    assert read([]) == State(Vacation(), None)
    assert read([MAIN]) == State(Vacation(), "main")
    assert steps((), [], Vacation(), None) == []
    assert steps((), [MAIN], Vacation(), "main") == []


def test_the_user_may_go_over_to_another_script() -> None:
    there = after([MAIN, OTHER], *steps(INCLUDE, [MAIN, OTHER], AWAY, "main"))
    assert steps(INCLUDE, there, AWAY, "other") == [Put(NAME, block.write(AWAY, "other"))]
    there = after([MAIN, OTHER], *steps(PLAIN, [MAIN, OTHER], AWAY, "main"))
    assert steps(PLAIN, there, AWAY, "other") == [
        Put("main", MAIN.content),
        Put("other", block.insert(OTHER.content, AWAY)),
        Activate("other"),
    ]


def test_another_program_may_make_another_script_active() -> None:
    there = after([MAIN, OTHER], *steps(INCLUDE, [MAIN, OTHER], AWAY, "main"), Activate("other"))
    assert read(there) == State(BACK, "other")
    there = after([MAIN, OTHER], *steps(PLAIN, [MAIN, OTHER], AWAY, "main"), Activate("other"))
    assert read(there) == State(BACK, "other")
    # Nobody is to be answered when the user makes the first one active again.
    assert steps(PLAIN, there, BACK, "other") == [Put("main", MAIN.content)]


def test_another_program_may_remove_the_script_that_is_included() -> None:
    there = after([MAIN], *steps(INCLUDE, [MAIN], AWAY, "main"), Delete("main"))
    assert read(there) == State(AWAY, None)


def test_another_program_may_remove_the_values() -> None:
    there = after([MAIN], *steps(PLAIN, [MAIN], AWAY, "main"), Delete(NAME))
    assert read(there) == State(AWAY, "main")
    assert steps(PLAIN, there, AWAY, "main") == [Put(NAME, block.write(AWAY, None))]


def test_a_server_may_learn_to_include() -> None:
    there = after([MAIN], *steps(PLAIN, [MAIN], AWAY, "main"))
    assert steps(INCLUDE, there, AWAY, "main") == [
        Put(NAME, block.write(AWAY, "main")),
        Put("main", MAIN.content),
        Activate(NAME),
    ]


@pytest.mark.parametrize("extensions", [PLAIN, INCLUDE])
def test_what_a_person_altered_is_noticed_and_mended(extensions: tuple[str, ...]) -> None:
    there = after([MAIN], *steps(extensions, [MAIN], AWAY, "main"))
    edited = [replace(s, content=s.content.replace(b'"Away."', b'"Gone."')) for s in there]
    assert read(edited) == State(AWAY, "main", altered=True)
    mended = after(edited, *steps(extensions, edited, AWAY, "main"))
    assert read(mended) == State(AWAY, "main")


@pytest.mark.parametrize("extensions", [PLAIN, INCLUDE])
@pytest.mark.parametrize(
    ("scripts", "culprit"),
    [
        ([Stored("main", True, b'require "vacation"; vacation "mine";')], "main"),
        (
            [
                Stored("main", True, b'require "include"; include "a";'),
                Stored("a", False, b'require "include"; include "main"; include "b";'),
                Stored("b", False, b'if true { vacation "mine"; }'),
            ],
            "b",
        ),
        ([Stored("main", True, b'include "jmap-vacation";')], NAME),
    ],
)
def test_a_script_that_answers_itself_stays(
    extensions: tuple[str, ...], scripts: list[Stored], culprit: str
) -> None:
    with pytest.raises(OwnVacation) as caught:
        steps(extensions, scripts, AWAY, "main")
    assert caught.value.script == culprit
    # The values can be kept all the same, and whatever the user has not in force is no matter.
    assert steps(extensions, scripts, BACK, "main")[1:] == []
    assert steps(extensions, scripts, AWAY, None)[-1] == Activate(NAME)


def test_a_script_that_can_not_be_read() -> None:
    with pytest.raises(UnreadableScript):
        steps(PLAIN, [Stored("main", True, b'"')], AWAY, "main")


def test_a_script_of_our_name_that_is_not_ours() -> None:
    scripts = [Stored(NAME, True, b"keep;")]
    assert read(scripts) == State(Vacation(), NAME)
    with pytest.raises(NameTaken):
        steps(INCLUDE, scripts, BACK, None)
    assert steps(INCLUDE, scripts, Vacation(), NAME) == []


@pytest.mark.parametrize(
    ("vacation", "missing"),
    [
        (AWAY, ("vacation",)),
        (BACK, ("vacation",)),
        (replace(AWAY, to_date="2024-05-01T00:00:00Z"), ("date", "relational", "vacation")),
    ],
)
def test_a_server_that_can_not(vacation: Vacation, missing: tuple[str, ...]) -> None:
    with pytest.raises(Unsupported) as caught:
        steps(("include",), [], vacation, None)
    assert caught.value.extensions == missing


def test_no_script_of_that_name() -> None:
    with pytest.raises(ValueError, match="none"):
        steps(INCLUDE, [MAIN], AWAY, "none")
    with pytest.raises(ValueError, match=NAME):
        steps(INCLUDE, after([MAIN], *steps(INCLUDE, [MAIN], AWAY, "main")), AWAY, NAME)
