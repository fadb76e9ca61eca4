"""RFC 8551: authorities, signers, and messages that they have signed, by OpenSSL and by others."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ANN = "ann@example.org"
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nGood day,\r\n\r\nAnn\r\n"


@dataclass(frozen=True)
class Signer:
    """A certificate and its key; chain: what is sent besides."""

    certificate: x509.Certificate
    key: Any
    chain: tuple[x509.Certificate, ...] = ()


def key(kind: str = "ec") -> Any:
    """A private key: "ec", "ec384", "rsa" or "rsa1024"."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:] or 2048))
    return ec.generate_private_key(ec.SECP384R1() if kind == "ec384" else ec.SECP256R1())


def authority(name: str = "Authority", by: Signer | None = None, **options: Any) -> Signer:
    """One that signs itself, or whose certificate another has signed."""
    return _certified(name, key("ec"), by, is_authority=True, **options)


def signer(by: Signer, email: str | None = ANN, kind: str = "ec", **options: Any) -> Signer:
    """One who may sign mail of an address."""
    return _certified("Ann", key(kind), by, email=email, **options)


def _certified(
    name: str,
    private: Any,
    by: Signer | None,
    *,
    email: str | None = None,
    is_authority: bool = False,
    start: datetime = NOW - timedelta(days=100),
    end: datetime = NOW + timedelta(days=100),
    purposes: tuple[Any, ...] = (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
    signs: bool = True,
    old_style: bool = False,
) -> Signer:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if old_style and email is not None:
        attributes.append(x509.NameAttribute(NameOID.EMAIL_ADDRESS, email))
    subject = x509.Name(attributes)
    usage = x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by is not None else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False)
    )
    if not is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), False)
        if email is not None and not old_style:
            names = x509.SubjectAlternativeName([x509.RFC822Name(email)])
            builder = builder.add_extension(names, False)
    issuer = by.key if by is not None else private
    chain = () if by is None or by.certificate.issuer == by.certificate.subject else (
        by.certificate, *by.chain
    )  # fmt: skip
    return Signer(builder.sign(issuer, hashes.SHA256()), private, chain)


def signed(
    by: Signer, directory: Path, *options: str, sender: str = ANN, entity: bytes = TEXT
) -> bytes:
    """A message that OpenSSL has signed; options: of `openssl cms -sign`."""
    text, pem, private = directory / "text", directory / "certificate", directory / "key"
    text.write_bytes(entity)
    pem.write_bytes(by.certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        by.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    more: list[str] = []
    if by.chain:
        chain = directory / "chain"
        chain.write_bytes(
            b"".join(each.public_bytes(serialization.Encoding.PEM) for each in by.chain)
        )
        more = ["-certfile", str(chain)]
    made = subprocess.run(
        [
            *("openssl", "cms", "-sign", "-in", str(text), "-signer", str(pem)),
            *("-inkey", str(private), "-binary", "-crlfeol", *more, *options),
        ],
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout
    head = f"From: Ann <{sender}>\r\nTo: bob@example.net\r\nSubject: hello\r\n".encode()
    return head + made.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
