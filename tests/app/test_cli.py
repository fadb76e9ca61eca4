"""Design §2: the command line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway import __version__
from gateway.cli import main


def run(*arguments: str) -> Result:
    return CliRunner(env={"HOME": "/home/ann", "STATE_DIRECTORY": "/state"}).invoke(main, arguments)


def test_version() -> None:
    assert run("--version").output == f"jmap-gateway {__version__}\n"


def test_sample_is_a_configuration(tmp_path: Path) -> None:
    sample = run("config", "sample").output
    file = tmp_path / "gateway.toml"
    file.write_text(sample)
    assert "imap" in tomllib.loads(sample)
    result = run("config", "check", "--config", str(file))
    assert (result.exit_code, result.output) == (0, "The configuration is valid.\n")


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[imap]\nurl = "imaps://file.example"\n[server]\nlisten = "[::1]:1"\n')
    result = run("config", "show", "--config", str(file), "--imap", "imaps://flag.example")
    shown = tomllib.loads(result.output)
    assert shown["imap"]["url"] == "imaps://flag.example:993"
    assert shown["server"]["listen"] == "[::1]:1"


def test_every_flag_is_its_own_key() -> None:
    flags = {
        "--listen": ("server", "listen", "127.0.0.1:1"),
        "--public-url": ("server", "public_url", "https://jmap.example"),
        "--imap": ("imap", "url", "imaps://imap.example:1"),
        "--store": ("store", "url", "memory://"),
    }
    arguments = [word for flag, (_, _, value) in flags.items() for word in (flag, value)]
    shown = tomllib.loads(run("config", "show", *arguments).output)
    for section, key, value in flags.values():
        assert shown[section][key] == value


def test_secrets_are_not_shown() -> None:
    store = "redis://:canary@redis.example"
    result = run("config", "show", "--imap", "imaps://x", "--store", store)
    assert result.exit_code == 0
    assert "canary" not in result.output


@pytest.mark.parametrize("command", [["config", "check"], ["config", "show"], ["serve"]])
def test_wrong_configuration_is_status_2(command: list[str]) -> None:
    result = run(*command, "--imap", "nonsense", "--listen", "nonsense")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert {line.partition(":")[0] for line in result.stderr.splitlines()} == {"--imap", "--listen"}
