"""RFC 5256 §2.1: the base subject."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mime.basesubject import base_subject


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("plain", "plain"),
        ("Re: plain", "plain"),
        ("RE : Fwd: fw: re[2]: plain", "plain"),
        ("Re: [list] Re: plain", "plain"),
        ("[list] plain", "plain"),
        ("[a] [b] Re: [c] plain", "plain"),
        ("[list]", "[list]"),  # the last blob is the base
        ("[a] [b]", "[b]"),
        ("[a][b] ", "[b]"),
        ("Re: [list]", "[list]"),
        ("plain (fwd)", "plain"),
        ("plain (FWD)(fwd)  (fwd) ", "plain"),
        ("[Fwd: plain]", "plain"),
        ("Re: [fwd: [list] Fwd: plain (fwd)]", "plain"),
        ("[Fwd: [Fwd: plain]]", "plain"),
        ("[Fwd: plain] more", "more"),
        ("Re:", ""),
        ("Re: Re:", ""),
        ("", ""),
        ("(fwd)", ""),
        ("a  b\tc\r\n d", "a b c d"),
        ("[unclosed Re: plain", "[unclosed Re: plain"),
        ("[[nested] x] plain", "[[nested] x] plain"),
        ("Request: plain", "Request: plain"),
        ("Re plain", "Re plain"),
        ("Reply", "Reply"),
        ("AW: plain", "AW: plain"),
        ("Re: Grüße", "Grüße"),
        ("İ re: plain (fwd)", "İ re: plain"),
    ],
)
def test_base_subjects(subject: str, base: str) -> None:
    assert base_subject(subject) == base


_PIECES = ["re:", "Fwd:", "fw [x]:", "[list]", "[Fwd:", "]", "(fwd)", " ", "  ", "a", "[", "re"]


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_the_base_subject_of_a_base_subject_is_itself(subject: str) -> None:
    base = base_subject(subject)
    assert base_subject(base) == base


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_the_shortcut_for_runs_of_blobs_follows_the_procedure(subject: str) -> None:
    assert base_subject(subject) == _procedure(subject)


def _procedure(subject: str) -> str:
    """RFC 5256 §2.1 to the letter, in quadratic time."""
    import re

    text = re.sub(r" +", " ", subject)
    while True:
        while trailer := re.search(r"(\(fwd\)| )\Z", text, re.IGNORECASE):
            text = text[: trailer.start()]
        while True:
            if leader := re.match(
                r"(\[[^][]*\] *)*(re|fwd?) *(\[[^][]*\] *)?:| ", text, re.IGNORECASE
            ):
                text = text[leader.end() :]
            elif (blob := re.match(r"\[[^][]*\] *", text)) and text[blob.end() :]:
                text = text[blob.end() :]
            else:
                break
        if not (text.lower().startswith("[fwd:") and text.endswith("]")):
            return text
        text = text[5:-1]
