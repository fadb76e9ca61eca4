"""What the tests of the extensions share with those of the mail types."""

from __future__ import annotations

from tests.mail.conftest import _ask_the_server_each_time, client, connect

__all__ = ["_ask_the_server_each_time", "client", "connect"]
