"""RFC 8551 §3.5, RFC 9219 §4.1: what is said of signed messages."""

from __future__ import annotations

import subprocess
import tempfile
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.smime.trust import Trust
from gateway.smime.verify import Verdict, verify
from tests.smime.signing import ANN, NOW, TEXT, Signer, authority, signed, signer

VERIFIED = Verdict("signed/verified")
EXPIRED = "The certificate of the signer has expired."
UNTRUSTED = "The certificate of the signer does not lead to an authority that is trusted."
CHANGED = "The message is not as it was signed."


@pytest.fixture(scope="module")
def root() -> Signer:
    return authority()


@pytest.fixture(scope="module")
def trust(root: Signer) -> Trust:
    return Trust([root.certificate])


@pytest.fixture(scope="module")
def ann(root: Signer) -> Signer:
    return signer(root)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("ec", ()),
        ("ec384", ("-md", "sha384")),
        ("rsa", ()),
        ("rsa", ("-md", "sha512")),
        ("rsa", ("-keyopt", "rsa_padding_mode:pss")),
        ("rsa", ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:20")),
        ("ec", ("-keyid",)),
        ("ec", ("-noattr",)),
        ("ec", ("-nodetach",)),
        ("ec", ("-nodetach", "-stream")),
        ("ec", ("-nodetach", "-nosmimecap")),
    ],
)
def test_what_openssl_has_signed_is_verified(
    root: Signer, trust: Trust, tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    assert verify(signed(signer(root, kind=kind), tmp_path, *options), trust, NOW) == VERIFIED


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_how_the_message_was_kept_makes_no_difference(
    ann: Signer, trust: Trust, tmp_path: Path, ends: bytes
) -> None:
    octets = signed(ann, tmp_path).replace(b"\r\n", ends)
    assert verify(octets, trust, NOW) == VERIFIED


def test_a_message_of_several_parts_is_verified(ann: Signer, trust: Trust, tmp_path: Path) -> None:
    message = EmailMessage()
    message.set_content("text\n\n")
    message.add_alternative("<p>text</p>", subtype="html")
    message.add_attachment(bytes(range(256)), maintype="image", subtype="png", filename="é.png")
    entity = message.as_bytes().replace(b"\n", b"\r\n")
    octets = signed(ann, tmp_path, entity=entity)
    assert verify(octets, trust, NOW) == VERIFIED
    assert verify(octets.replace(b"<p>text", b"<p>tent"), trust, NOW).errors == (CHANGED,)


@pytest.mark.parametrize("options", [(), ("-noattr",)])
def test_what_was_changed_is_told(
    ann: Signer, trust: Trust, tmp_path: Path, options: tuple[str, ...]
) -> None:
    octets = signed(ann, tmp_path, *options).replace(b"Good day", b"Bad day.")
    verdict = verify(octets, trust, NOW)
    assert verdict.status == "signed/failed"
    assert len(verdict.errors) == 1


def test_every_octet_of_the_content_counts(ann: Signer, trust: Trust, tmp_path: Path) -> None:
    octets = signed(ann, tmp_path)
    start = octets.index(b"Good day")
    for at in range(start, start + len(b"Good day,\r\n\r\nAnn")):
        other = octets[:at] + bytes([octets[at] ^ 0x20]) + octets[at + 1 :]
        assert verify(other, trust, NOW).status == "signed/failed"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"end": NOW - timedelta(days=1)}, EXPIRED),
        ({"start": NOW + timedelta(days=1)}, "The certificate of the signer was not valid yet."),
        ({"email": "bob@example.org"}, "The address in From is not one of the signer's."),
        ({"email": None}, "The address in From is not one of the signer's."),
        (
            {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)},
            "The certificate of the signer is not for mail.",
        ),
        ({"signs": False}, "The certificate of the signer is not for signatures."),
        ({"kind": "rsa1024"}, "The key of the signer is too short."),
    ],
)
def test_a_certificate_that_does_not_do_is_told(
    root: Signer, trust: Trust, tmp_path: Path, options: dict[str, Any], error: str
) -> None:
    verdict = verify(signed(signer(root, **options), tmp_path), trust, NOW)
    assert verdict.status == "signed/failed"
    assert error in verdict.errors


def test_everything_that_is_wrong_is_told(root: Signer, trust: Trust, tmp_path: Path) -> None:
    expired = signer(root, email="bob@example.org", end=NOW - timedelta(days=1))
    octets = signed(expired, tmp_path).replace(b"Good day", b"Bad day.")
    assert verify(octets, trust, NOW) == Verdict(
        "signed/failed", (CHANGED, "The address in From is not one of the signer's.", EXPIRED)
    )


def test_what_was_good_then_is_good_for_then(root: Signer, trust: Trust, tmp_path: Path) -> None:
    octets = signed(signer(root, end=NOW), tmp_path)
    assert verify(octets, trust, NOW - timedelta(days=1)) == VERIFIED
    assert verify(octets, trust, NOW + timedelta(days=1)).errors == (EXPIRED,)


def test_an_authority_that_nobody_trusts_is_told(tmp_path: Path, trust: Trust) -> None:
    assert verify(signed(signer(authority()), tmp_path), trust, NOW).errors == (UNTRUSTED,)
    assert verify(signed(authority(), tmp_path), trust, NOW).status == "signed/failed"


def test_a_chain_is_followed(root: Signer, trust: Trust, tmp_path: Path) -> None:
    middle = authority("Middle", by=root)
    lowest = authority("Lowest", by=middle)
    assert verify(signed(signer(lowest), tmp_path), trust, NOW) == VERIFIED
    alone = Signer(*(lambda s: (s.certificate, s.key))(signer(lowest)))
    assert verify(signed(alone, tmp_path), trust, NOW).errors == (UNTRUSTED,)


def test_who_is_no_authority_vouches_for_nobody(root: Signer, trust: Trust, tmp_path: Path) -> None:
    bob = signer(root, email="bob@example.org")
    forged = signer(Signer(bob.certificate, bob.key), email=ANN)
    with_bob = Signer(forged.certificate, forged.key, (bob.certificate,))
    assert verify(signed(with_bob, tmp_path), trust, NOW).errors == (UNTRUSTED,)


def test_an_authority_that_has_expired_vouches_for_nobody(
    root: Signer, trust: Trust, tmp_path: Path
) -> None:
    middle = authority("Middle", by=root, end=NOW - timedelta(days=1))
    assert verify(signed(signer(middle), tmp_path), trust, NOW).errors == (UNTRUSTED,)


def test_an_address_in_the_subject_counts_too(root: Signer, trust: Trust, tmp_path: Path) -> None:
    assert verify(signed(signer(root, old_style=True), tmp_path), trust, NOW) == VERIFIED


def test_the_case_of_addresses_does_not_count(root: Signer, trust: Trust, tmp_path: Path) -> None:
    octets = signed(signer(root, email="Ann@Example.ORG"), tmp_path)
    assert verify(octets, trust, NOW) == VERIFIED


def test_all_authors_have_to_be_the_signer(ann: Signer, trust: Trust, tmp_path: Path) -> None:
    octets = signed(ann, tmp_path)
    two = octets.replace(b"From: Ann", b"From: Bob <bob@example.org>, Ann")
    again = b"From: bob@example.org\r\n" + octets
    nobody = octets.replace(b"From: Ann", b"X-From: Ann")
    for each in (two, again, nobody):
        assert verify(each, trust, NOW).status == "signed/failed"


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_weak_digests_are_told(root: Signer, trust: Trust, tmp_path: Path, digest: str) -> None:
    octets = signed(signer(root, kind="rsa"), tmp_path, "-md", digest)
    (error,) = verify(octets, trust, NOW).errors
    assert "too weak" in error


def test_a_second_signer_is_enough(root: Signer, trust: Trust, ann: Signer, tmp_path: Path) -> None:
    stranger = signer(authority("Other"), email="x@example.com")
    files = []
    for number, each in enumerate((stranger, ann)):
        file = tmp_path / f"signer{number}"
        file.write_bytes(
            each.certificate.public_bytes(serialization.Encoding.PEM)
            + each.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        files += ["-signer", str(file)]
    (tmp_path / "text").write_bytes(TEXT)
    command = ["openssl", "cms", "-sign", "-in", str(tmp_path / "text"), "-binary", *files]
    made = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    octets = b"From: ann@example.org\r\n" + made
    assert verify(octets, trust, NOW) == VERIFIED
    assert verify(octets.replace(b"ann@", b"x@", 1), trust, NOW).status == "signed/failed"


def test_what_is_encrypted_is_not_known(ann: Signer, trust: Trust, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(TEXT)
    certificate = tmp_path / "rsa"
    recipient = signer(authority(), kind="rsa")
    certificate.write_bytes(recipient.certificate.public_bytes(serialization.Encoding.PEM))
    made = subprocess.run(
        ["openssl", "cms", "-encrypt", "-in", str(tmp_path / "text"), str(certificate)],
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout
    assert verify(b"From: ann@example.org\r\n" + made, trust, NOW) == Verdict("unknown")


def test_other_signatures_are_not_known(trust: Trust) -> None:
    octets = (
        b"From: ann@example.org\r\nContent-Type: multipart/signed; boundary=b;\r\n"
        b' protocol="application/pgp-signature"\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n'
        b"Content-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
    )
    assert verify(octets, trust, NOW) == Verdict("unknown")


@pytest.mark.parametrize("octets", [b"", b"From: a@b\r\n\r\nhello", TEXT])
def test_what_is_not_signed_has_no_status(trust: Trust, octets: bytes) -> None:
    assert verify(octets, trust, NOW) == Verdict(None)


def test_a_signed_part_does_not_vouch_for_the_message(
    ann: Signer, trust: Trust, tmp_path: Path
) -> None:
    octets = signed(ann, tmp_path)
    _, mime = octets.split(b"MIME-Version: 1.0\r\n", 1)
    wrapped = (
        b"From: ann@example.org\r\nContent-Type: multipart/mixed; boundary=w\r\n\r\n--w\r\n"
        + mime
        + b"\r\n--w\r\n\r\nsome footer\r\n--w--\r\n"
    )
    assert verify(wrapped, trust, NOW) == Verdict(None)


def test_what_is_made_wrongly_has_failed(ann: Signer, trust: Trust, tmp_path: Path) -> None:
    octets = signed(ann, tmp_path)
    for wrong in (
        octets.replace(b"pkcs7-signature; name", b"octet-stream; name"),
        octets[: octets.index(b"\r\n\r\n", octets.index(b"smime.p7s")) + 100],
    ):
        assert verify(wrong, trust, NOW).status == "signed/failed"


@given(st.data())
def test_nothing_that_is_sent_makes_it_fail(data: st.DataObject) -> None:
    octets = _SIGNED[0]
    at = data.draw(st.integers(0, len(octets)))
    length = data.draw(st.integers(0, 40))
    replaced = octets[:at] + data.draw(st.binary(max_size=40)) + octets[at + length :]
    assert verify(replaced, _SIGNED[1], NOW).status in (
        *(None, "unknown", "signed/failed", "signed/verified"),
    )


def _example() -> tuple[bytes, Trust]:
    root = authority()
    with tempfile.TemporaryDirectory() as directory:
        return signed(signer(root), Path(directory)), Trust([root.certificate])


_SIGNED = _example()


def test_a_file_of_authorities_is_read(root: Signer, tmp_path: Path) -> None:
    file = tmp_path / "roots.pem"
    pem = root.certificate.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(pem + authority().certificate.public_bytes(serialization.Encoding.PEM))
    assert Trust.read(file).count == 2
    file.write_bytes(b"nothing")
    for each in (file, tmp_path / "none"):
        with pytest.raises(ValueError, match=str(each)):
            Trust.read(each)
