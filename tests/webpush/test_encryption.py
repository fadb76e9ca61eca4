from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.webpush.encryption import MAX_OCTETS, BadKeys, Keys, encrypted, encrypted_with
from tests.servers.push_service import Subscription, decrypted

# RFC 8291 §5 and Appendix A
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SECRET = "BTBZMqHH6r4Tts7J_aSIgg"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS"
    "6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qu"
    "lcy4a-fN"
)


def octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.checklist("K07")
def test_the_example_of_rfc_8291_is_encrypted_octet_by_octet() -> None:
    private_key = ec.derive_private_key(int.from_bytes(octets(SENDER), "big"), ec.SECP256R1())
    text = b"When I grow up, I want to be a watermelon"

    body = encrypted_with(text, Keys.parse(POINT, SECRET), private_key, octets(BODY)[:16])

    assert body == octets(BODY)


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        ("", SECRET),
        (POINT[:-4], SECRET),
        ("A" + POINT[1:], SECRET),
        (POINT[:-2] + "AA", SECRET),
        (POINT, ""),
        (POINT, SECRET[:-2]),
        (POINT, SECRET + "AAAA"),
        (POINT, "*" + SECRET[1:]),
        (POINT, "é" + SECRET[1:]),
    ],
)
def test_wrong_keys_are_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(BadKeys):
        Keys.parse(p256dh, auth)


@given(st.binary(min_size=1, max_size=MAX_OCTETS))
@example(b"x")
@example(b"\x02\x00")
@example(b"x" * MAX_OCTETS)
def test_the_device_reads_what_was_encrypted(text: bytes) -> None:
    device = Subscription("https://push.example.org/")
    keys = Keys.parse(device.keys["p256dh"], device.keys["auth"])
    assert decrypted(encrypted(text, keys), device) == text


def test_each_push_has_a_key_and_a_salt_of_its_own() -> None:
    """RFC 8291 §3.1, RFC 8188 §2.1."""
    keys = Keys.parse(POINT, SECRET)
    bodies = [encrypted(b"x", keys) for _ in range(20)]
    assert len({body[:16] for body in bodies}) == 20
    assert len({body[21:86] for body in bodies}) == 20


def test_a_push_service_takes_what_is_encrypted() -> None:
    assert len(encrypted(b"x" * MAX_OCTETS, Keys.parse(POINT, SECRET))) == 4096


@pytest.mark.parametrize("octets", [0, MAX_OCTETS + 1])
def test_nothing_and_too_much_are_not_encrypted(octets: int) -> None:
    """Of nothing there would be no record, and so no proof that it is whole (RFC 8188 §2)."""
    with pytest.raises(ValueError, match=str(MAX_OCTETS)):
        encrypted(b"x" * octets, Keys.parse(POINT, SECRET))
