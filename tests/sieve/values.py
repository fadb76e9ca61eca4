"""Hypothesis strategies: VacationResponses, and scripts that users have."""

from __future__ import annotations

from hypothesis import strategies as st

from gateway.sieve.vacation import Vacation

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "",
        "I am away.",
        "Back on\r\n\r\nMonday\n.\nfoo",
        'say "hi" \\ ${name} ${hex:41}',
        "\n# jmap-gateway vacation: end 0\n",
        "# jmap-gateway vacation: begin.",
        "=?utf-8?Q?x?=",
        "größer " * 20,
        "x" * 2000,
        "\0\x01\t",
        '"; stop; #',
    ]
)
DATES = st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds") + "Z")
ADDRESSES = st.lists(
    st.sampled_from(["jo@example.org", "größer@example.org", '"; stop; "@x', "jo", "# jmap@${x}"]),
    max_size=2,
).map(tuple)
VACATIONS = st.builds(
    Vacation,
    is_enabled=st.booleans(),
    from_date=st.none() | DATES,
    to_date=st.none() | DATES,
    subject=st.none() | TEXT,
    text_body=st.none() | TEXT,
    html_body=st.none() | TEXT.map(lambda text: f"<p>{text}</p>"),
    addresses=ADDRESSES,
)

SCRIPTS = st.sampled_from(
    [
        b"",
        b"keep;",
        b"# nothing\n",
        b'require ["fileinto"]; # \xff\r\nfileinto "x";\r\n',
        b'require "variables";\nrequire "fileinto";\nset "a" "${b}";\n',
        b"\r\n\r\n/* a */ stop;\r\n",
        b'require "include";\r\ninclude :personal "b";\r\n',
    ]
)
NAMES = st.sampled_from(["a", "b", 'Main "script" \\', "日本語", "# jmap-gateway vacation: end 1"])
