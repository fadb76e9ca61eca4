"""RFC 5280: a certificate authority of our own, and a certificate for localhost signed by it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_LEAF = """\
basicConstraints = CA:FALSE
keyUsage = digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: the authority's certificate to trust, the server's certificate and key."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(directory: Path) -> Certificates:
    """Write a fresh authority and a certificate for localhost and 127.0.0.1 to `directory`."""
    made = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    (directory / "leaf.cnf").write_text(_LEAF)
    authority_key = str(directory / "ca.key")
    _openssl(
        *["req", "-x509", *_NEW_KEY, "-days", "30", "-subj", "/CN=Test authority"],
        *["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
        *["-keyout", authority_key, "-out", str(made.authority)],
    )
    request = str(directory / "server.csr")
    _openssl(
        *["req", *_NEW_KEY, "-subj", "/CN=localhost", "-keyout", str(made.key), "-out", request]
    )
    _openssl(
        *["x509", "-req", "-days", "30", "-in", request, "-out", str(made.certificate)],
        *["-CA", str(made.authority), "-CAkey", authority_key, "-CAcreateserial"],
        *["-extfile", str(directory / "leaf.cnf")],
    )
    return made


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
