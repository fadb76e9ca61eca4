"""Design §2: `python -m gateway` is `jmap-gateway`."""

from __future__ import annotations

from gateway.cli import main

main(prog_name="jmap-gateway")
