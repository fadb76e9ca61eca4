"""RFC 8620 §1.2, RFC 8621 §§2-4, §4.1.4: ids of accounts, mailboxes, Emails, Threads and blobs."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mime.limits import MAX_DEPTH, MAX_PARTS
from gateway.sync import ids
from gateway.sync.identity import Tier, of_items

ID = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)

object_ids = st.from_regex(ID, fullmatch=True)
near_ids = st.one_of(
    st.text(max_size=20),
    st.text("EBTmp_-0123456789abAB=+/.\n", max_size=24),
    st.from_regex(r"[ETBmp][A-Za-z0-9_-]{0,20}\n?", fullmatch=True),
    st.from_regex(r"p[0-9٠-٩_m]{0,9}-[A-Za-z0-9_-]{0,20}", fullmatch=True),
    st.from_regex(r"q[A-Z2-7]{0,9}-[A-Za-z0-9_-]{0,250}", fullmatch=True),
)
digests = st.binary(min_size=ids.EMAIL_DIGEST_OCTETS, max_size=ids.EMAIL_DIGEST_OCTETS)
keys = st.integers(0, 2**64 - 1)
parts = st.lists(st.integers(1, 1100), min_size=1, max_size=6).map(lambda n: ".".join(map(str, n)))


def blob_id_of(ref: ids.BlobRef) -> str:
    blob_id = ref.whole
    for section in ref.sections:
        blob_id = ids.part_blob_id(blob_id, section)
    return blob_id


@pytest.mark.checklist("A01")
@given(st.text(), st.text())
def test_account_ids_have_the_alphabet_of_ids(backend: str, username: str) -> None:
    made = ids.account_id(backend, username)
    assert ID.fullmatch(made)
    assert made[0].isalpha()


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), unique=True, max_size=9))
def test_different_users_and_servers_have_different_account_ids(
    accounts: list[tuple[str, str]],
) -> None:
    """RFC 8620 §1.6.2: an account id is of one user on one server."""
    assert len({ids.account_id(*account) for account in accounts}) == len(accounts)


@pytest.mark.checklist("A01")
@example("1" * 255, "x", 1)
@example("a" * 255, "x", 1)
@given(st.one_of(st.none(), st.text(max_size=9), object_ids), st.text(), st.integers(0, 2**32 - 1))
def test_mailbox_ids_have_the_alphabet_of_ids_whatever_the_server_names(
    given_id: str | None, name: str, uidvalidity: int
) -> None:
    """RFC 8620 §1.2: nor do they begin with a digit or a dash."""
    made = ids.mailbox_id(given_id, name, uidvalidity)
    assert ID.fullmatch(made)
    assert made[0].isalpha()


@pytest.mark.checklist("A09")
def test_mailbox_ids_are_the_servers_wherever_these_are_ids() -> None:
    """RFC 8474 §4: MAILBOXID as given; what IMAP allows beyond that is told apart all the same."""
    assert ids.mailbox_id("F2212ea87-6097-4256-9d51-71338625", "x", 1) == (
        "F2212ea87-6097-4256-9d51-71338625"
    )
    made = {ids.mailbox_id(given_id, "x", 1) for given_id in ("1", "-1", "_1", "a b", "a.b", None)}
    assert len(made) == 6
    guids = ("0123456789abcdef0123456789abcdef", "f123456789abcdef0123456789abcdef")
    assert all(ids.mailbox_id(guid, "x", 1) == "B" + guid for guid in guids)


def test_a_derived_mailbox_id_depends_on_name_and_uidvalidity_only() -> None:
    """RFC 9051 §2.3.1.1: a mailbox made again under the same name has another UIDVALIDITY."""
    assert ids.mailbox_id(None, "a", 1) == ids.mailbox_id(None, "a", 1)
    assert len({ids.mailbox_id(None, n, v) for n in ("a", "1", "1\0a") for v in (1, 11)}) == 6


@pytest.mark.checklist("A01", "A09")
@given(digests)
def test_email_ids_name_their_digest(digest: bytes) -> None:
    made = ids.email_id(digest)
    assert ID.fullmatch(made)
    assert ids.email_digest_of(made) == digest


@pytest.mark.checklist("A01", "A09")
@given(keys)
def test_thread_ids_name_their_key(key: int) -> None:
    made = ids.thread_id(key)
    assert ID.fullmatch(made)
    assert ids.thread_key_of(made) == key


@given(near_ids)
def test_no_string_is_taken_for_an_id_that_it_is_not(text: str) -> None:
    """RFC 8620 §5.1: whatever a client sends as an id is found, or is notFound."""
    digest, key, blob = ids.email_digest_of(text), ids.thread_key_of(text), ids.parse_blob_id(text)
    assert digest is None or ids.email_id(digest) == text
    assert key is None or ids.thread_id(key) == text
    assert blob is None or blob_id_of(blob) == text


@given(near_ids | object_ids)
def test_the_syntax_of_ids_is_checked_to_the_last_character(text: str) -> None:
    assert ids.is_id(text) == (ID.fullmatch(text) is not None)


@pytest.mark.checklist("A01")
@example(b"M" * 255, Tier.EMAILID, ["1.2.3"])
@example(b"2-" * 64, Tier.EMAILID, ["1.2.3"])
@given(
    st.binary(max_size=20) | object_ids.map(str.encode),
    st.sampled_from(Tier),
    st.lists(parts, max_size=4),
)
def test_blob_ids_are_ids_whatever_names_the_message(
    item: bytes, tier: Tier, sections: list[str]
) -> None:
    """RFC 8474 §3: an EMAILID may itself be of 255 characters, in any of their alphabet."""
    known = of_items(tier, [item])
    email_id = known.given[0] if known.given else ids.email_id(known.digests[0])
    assert ID.fullmatch(email_id)
    ref = ids.BlobRef(ids.message_blob_id(email_id), tuple(sections))
    made = blob_id_of(ref)
    assert ID.fullmatch(made)
    assert ids.parse_blob_id(made) == ref


@pytest.mark.checklist("A01")
@given(object_ids.filter(ids.is_kept), object_ids.filter(ids.is_kept), parts, parts)
def test_blobs_that_differ_have_ids_that_differ(one: str, two: str, a: str, b: str) -> None:
    """RFC 8620 §6.2: whatever the Email ids look like."""
    ways = ((), (a,), (b,), (a, b))
    refs = [ids.BlobRef(ids.message_blob_id(id_), way) for id_ in (one, two) for way in ways]
    assert len({blob_id_of(ref) for ref in refs}) == len(set(refs))


def test_blob_ids_read_as_their_sections() -> None:
    """RFC 9051 §6.4.5: sections of the message, and of the messages in it."""
    assert ids.message_blob_id("E1") == "mE1"
    assert ids.part_blob_id("mE1", "1.2") == "p1_2-E1"
    assert ids.part_blob_id("p2-E1", "1.2") == "p2m1_2-E1"
    assert ids.part_blob_id("p2m1-E1", "3") == "p2m1m3-E1"
    with pytest.raises(ValueError, match="no"):
        ids.part_blob_id("E1", "1")


@pytest.mark.checklist("A01", "N17")
@pytest.mark.parametrize("large", range(8))
def test_every_part_of_an_email_can_be_named(large: int) -> None:
    """RFC 8620 §1.2: also MAX_DEPTH levels down, with as many large numbers as MAX_PARTS has."""
    email_id = "M" * 128
    assert ids.is_kept(email_id)
    section = ".".join(["130"] * large + ["1"] * (MAX_DEPTH - large))
    assert large * 130 <= MAX_PARTS
    made = ids.part_blob_id(ids.message_blob_id(email_id), section)
    assert ID.fullmatch(made)
    assert ids.parse_blob_id(made) == ids.BlobRef("m" + email_id, (section,))


def deeper(blob_id: str) -> str | None:
    try:
        return ids.part_blob_id(blob_id, "1.2")
    except ids.UnnamedPart:
        return None


@pytest.mark.parametrize("email_id", ["E0123456789abcdef", "M" * 128])
def test_parts_deep_in_attached_messages_are_named_as_far_as_an_id_goes(email_id: str) -> None:
    """RFC 8620 §1.2: an Id has 255 characters; no two parts share one."""
    whole = ids.message_blob_id(email_id)
    made = [whole]
    while (blob_id := deeper(made[-1])) is not None:
        made.append(blob_id)
        assert ID.fullmatch(blob_id)
        assert ids.parse_blob_id(blob_id) == ids.BlobRef(whole, ("1.2",) * (len(made) - 1))
    assert len(made) > 20


def test_a_packed_id_is_only_for_what_has_no_other() -> None:
    """RFC 8620 §6.2: one blob, one id."""
    deep = ids.part_blob_id(ids.message_blob_id("M" * 128), ".".join(["1"] * 64))
    assert deep.startswith("q")
    packed, _, email_id = deep[1:].partition("-")
    assert ids.parse_blob_id(deep) is not None
    for other in (f"q{packed}-M", f"q{packed}AA-{email_id}", f"qAA-{email_id}", f"q-{email_id}"):
        assert ids.parse_blob_id(other) is None, other


@given(st.binary(min_size=ids.UPLOAD_OCTETS, max_size=ids.UPLOAD_OCTETS), st.lists(parts))
@example(bytes(ids.UPLOAD_OCTETS), ["1.2"] * 60)
@example(b"\xff" * ids.UPLOAD_OCTETS, ["130.130.130"] * 20)
def test_parts_of_an_uploaded_message_are_named_as_far_as_an_id_goes(
    random: bytes, sections: list[str]
) -> None:
    """RFC 8620 §6.1, RFC 8621 §4.9: what Email/parse shows of an upload can be downloaded."""
    whole = blob_id = ids.upload_blob_id(random)
    assert ids.is_upload_blob_id(whole)
    for depth, section in enumerate(sections):
        assert ids.parse_blob_id(blob_id) == ids.BlobRef(whole, tuple(sections[:depth]))
        assert ids.is_upload_blob_id(blob_id) == (depth == 0)
        try:
            blob_id = ids.part_blob_id(blob_id, section)
        except ids.UnnamedPart:
            assert depth > 8
            return
        assert ID.fullmatch(blob_id)
    ref = ids.parse_blob_id(blob_id)
    assert ref == ids.BlobRef(whole, tuple(sections))
    assert ref.email_id is None


@pytest.mark.parametrize("other", ["u", "u" * 22, "u" * 24, "u" * 23, "v" + "A" * 22, "uA-1"])
def test_what_no_upload_was_called_is_no_upload(other: str) -> None:
    """RFC 8620 §6.1: and neither is what ends in bits that nobody set."""
    assert not ids.is_upload_blob_id(other)
    assert ids.parse_blob_id(other) is None
    for way in ("", "-", "_", "-0", "-1_", "_AE", "_AEBA", "-1m", "\n"):
        assert ids.parse_blob_id("u" + "A" * 22 + way) in (None, ids.BlobRef("u" + "A" * 22, ()))


@pytest.mark.checklist("A09")
def test_an_emailid_is_taken_as_it_is() -> None:
    """RFC 8474 §5.1: with or without its parentheses."""
    known = of_items(Tier.EMAILID, [b"(M6d99ac3275bb4e)", b"M6d99ac3275bb4f", b"not an id"])
    assert known.given is not None
    assert known.given[:2] == ["M6d99ac3275bb4e", "M6d99ac3275bb4f"]
    assert known.given[2] == ids.email_id(ids.email_digest(b"not an id"))
