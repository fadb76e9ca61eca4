"""RFC 8621 §3: the subject that messages of one thread share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime.threadsubject import thread_subject


@pytest.mark.parametrize(
    "subject",
    [
        *("Lunch on Friday", "lunch  on friday", "Lunch onFriday", "Lunch\u00a0on Friday"),
        *("Re: Lunch on Friday", "RE[2]: Lunch on Friday", "[Fwd: Lunch on Friday]"),
        *("AW: Lunch on Friday", "WG: AW: Lunch on Friday", "Antwort: Lunch on Friday"),
        *("SV: Lunch on Friday", "VS: Lunch on Friday", "Antw: Lunch on Friday"),
        *("RES: Lunch on Friday", "ENC: Lunch on Friday", "RV: Lunch on Friday"),
        *("R: Lunch on Friday", "I: R: Lunch on Friday", "RIF: Lunch on Friday"),
        *("Odp: Lunch on Friday", "PD: Lunch on Friday", "YNT: Lunch on Friday"),
        *("İLT: Lunch on Friday", "ΑΠ: Lunch on Friday", "Ответ: Lunch on Friday"),
        *("回复: Lunch on Friday", "答复：Lunch on Friday", "תגובה: Lunch on Friday"),
        *("[list] AW: [list] Re: Lunch on Friday", "Aw : [list] Lunch on Friday (fwd)"),
        *("Lunch on Friday (was: Dinner)", "Re: Lunch on Friday (Was [Re: Dinner (was: Tea)])"),
        *("Lunch on Friday [was: Dinner", "Lunch on Friday (was Re: Dinner)"),
        "[Bug 1] New: Lunch on Friday",
    ],
)
def test_what_replying_adds_makes_no_difference(subject: str) -> None:
    assert thread_subject(subject) == "lunchonfriday"


@pytest.mark.parametrize(
    ("subject", "compared"),
    [
        ("Request: lunch", "request:lunch"),
        ("Agenda: lunch", "agenda:lunch"),
        ("1: lunch", "1:lunch"),
        ("I think: lunch", "ithink:lunch"),
        ("(was: Dinner)", "(was:dinner)"),  # nothing else is there to go by
        ("How it was", "howitwas"),
        ("How it was (was it?)", "howitwas(wasit?)"),
        ("Straße", "strasse"),
        ("", ""),
        ("AW:", ""),
    ],
)
def test_what_a_person_wrote_stays(subject: str, compared: str) -> None:
    assert thread_subject(subject) == compared


_PIECES = ["re:", "AW: ", "fw [x]:", "[list]", "[Fwd:", "]", "(fwd)", " ", "(was:", "a", "[", "I"]


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_an_answer_is_compared_like_what_it_answers(subject: str) -> None:
    assert thread_subject(f"Re: {subject}") == thread_subject(subject)
    assert thread_subject(f"AW: {subject}") == thread_subject(subject)
