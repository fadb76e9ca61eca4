"""Design §2: flags over environment over file over defaults, and every problem named."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.config import Address, Config, ConfigError, ImapUrl, Network, load, sample, show
from gateway.config.load import FLAGS, KEYS

IMAP = {"JMAP_GATEWAY_IMAP__URL": "imaps://mail.example.org"}
KEY = "0123456789abcdef0123456789abcdef"


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(text, "utf-8")
    return path


def _problems(
    path: Path | None = None,
    environ: dict[str, str] = IMAP,
    flags: dict[str, str] | None = None,
) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ, flags or {})
    return caught.value.problems


def test_the_mail_server_is_all_that_has_to_be_given() -> None:
    config = load(None, {}, {"imap.url": "imaps://mail.example.org"})
    assert config.imap.url == ImapUrl("mail.example.org", 993, "tls")
    assert config.server.listen == Address("127.0.0.1", 8080)
    assert config.server.admin_listen == Address("127.0.0.1", 8081)
    assert config.server.cors_origins == ()
    assert config.imap.connections_per_account == 2
    assert config.auth.cache_seconds == 300


def test_without_the_mail_server_its_key_is_named() -> None:
    [problem] = _problems(environ={})
    assert problem.startswith("imap.url: missing (--imap)")


def test_flags_go_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        '[imap]\nurl = "imaps://file"\nidle_seconds = 1\ncommand_timeout = 1\n[log]\nlevel="error"',
    )
    environ = {"JMAP_GATEWAY_IMAP__URL": "imaps://environ", "JMAP_GATEWAY_IMAP__IDLE_SECONDS": "2"}
    config = load(path, environ, {"imap.url": "imaps://flag"})
    assert config.imap.url.host == "flag"
    assert config.imap.idle_seconds == 2.0
    assert config.imap.command_timeout == 1.0
    assert config.log.level == "error"
    assert config.log.format == "json"


def test_every_kind_of_value_is_read_from_file_and_environment(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        """
        [server]
        listen = "[::1]:80"
        cors_origins = ["https://a.example", "https://b.example"]
        trusted_proxies = ["10.0.0.0/8"]
        [imap]
        url = "imap://mail.example.org"
        allow_insecure = true
        connections_per_account = 3
        connect_timeout = 2.5
        """,
    )
    environ = {
        "JMAP_GATEWAY_SERVER__LISTEN": "[::1]:80",
        "JMAP_GATEWAY_SERVER__CORS_ORIGINS": "https://a.example, https://b.example,",
        "JMAP_GATEWAY_SERVER__TRUSTED_PROXIES": "10.0.0.0/8",
        "JMAP_GATEWAY_IMAP__URL": "imap://mail.example.org",
        "JMAP_GATEWAY_IMAP__ALLOW_INSECURE": "True",
        "JMAP_GATEWAY_IMAP__CONNECTIONS_PER_ACCOUNT": "3",
        "JMAP_GATEWAY_IMAP__CONNECT_TIMEOUT": "2.5",
    }
    from_file, from_environment = load(path, {}, {}), load(None, environ, {})
    assert from_file == from_environment
    assert from_file.server.cors_origins == ("https://a.example", "https://b.example")
    assert from_file.server.trusted_proxies == (Network.parse("10.0.0.0/8"),)
    assert from_file.imap.connections_per_account == 3


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        '[imap]\nurl = "imap://"\ncommand_timeout = 0\n'
        '[log]\nlevel = "loud"\n[cache]\nmemory_bytes = 1',
    )
    problems = _problems(path, {"JMAP_GATEWAY_AUTH__CACHE_SECONDS": "x"}, {"server.listen": "80"})
    assert [problem.partition(": expected")[0] for problem in problems] == [
        "JMAP_GATEWAY_AUTH__CACHE_SECONDS",
        f"{path}: imap.url",
        f"{path}: imap.command_timeout",
        f"{path}: log.level",
        f"{path}: cache.memory_bytes",
        "--listen",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[imap]\nurll = 1", r"imap\.urll: unknown; did you mean imap\.url\?"),
        ("[servers]\nlisten = 1\nz = 1", r"\[servers\]: unknown; did you mean server\?"),
        ("[servers]", r"\[servers\]: unknown; did you mean server\?"),
        ("[imap.tls]\nverify = false", r"imap\.tls: unknown"),
        ("zzz = 1", r"gateway\.toml: zzz: unknown$"),
        ("listen = 1", r"listen: unknown; did you mean server\.listen\?"),
        ("[imap]\nallow_insecure = 1", r"imap\.allow_insecure: expected true or false, not 1"),
        ("[imap]\nallow_insecure = 'yes'", "expected true or false, not 'yes'"),
        ("[imap]\nconnections_per_account = true", "expected a whole number, not True"),
        ("[imap]\nconnections_per_account = 4", "a whole number from 1 to 3, not 4"),
        ("[imap]\nconnections_per_account = 2.0", r"expected a whole number, not 2\.0"),
        ("[imap]\nidle_seconds = nan", "expected seconds"),
        ("[imap]\nidle_seconds = inf", "expected seconds"),
        ("[server]\ncors_origins = '*'", r"server\.cors_origins: expected a list, not '\*'"),
        ("[server]\ncors_origins = [1]", "expected a list of strings"),
        ("[server]\ntrusted_proxies = ['10.0.0.1/8']", "has host bits set"),
        (
            "[server]\nadmin_listen = '127.0.0.1:8080'",
            r"admin_listen: .* is server\.listen already",
        ),
        ("[imap]\nca_file = '/nonexistent/ca.pem'", r"imap\.ca_file: .* is not a file"),
        ("[imap\n", r"gateway\.toml: .*line 1"),
        ("[sieve]\nurl = 'sieves://a'\nca_file = '/no/ca.pem'", r"sieve\.ca_file: .* not a file"),
        ("[imap]\nurl = 1\nurl = 2", r"gateway\.toml: Cannot overwrite a value"),
    ],
)
def test_a_problem_names_the_key_and_what_is_expected(
    tmp_path: Path, text: str, problem: str
) -> None:
    [found] = _problems(_file(tmp_path, text))
    assert re.search(problem, found), found


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    assert _problems(tmp_path / "none.toml") == [
        f"{tmp_path / 'none.toml'}: No such file or directory"
    ]
    (tmp_path / "latin1.toml").write_bytes(b"# caf\xe9")
    [problem] = _problems(tmp_path / "latin1.toml")
    assert "can't decode byte 0xe9" in problem


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("JMAP_GATEWAY_IMAP__ULR", "JMAP_GATEWAY_IMAP__URL"),
        ("JMAP_GATEWAY_IMAP_URL", "JMAP_GATEWAY_IMAP__URL"),
        ("JMAP_GATEWAY_STORE_SECRET_FILE", "JMAP_GATEWAY_STORE__SECRET_FILE"),
        ("JMAP_GATEWAY_LOG__LEVEL_FILE", "JMAP_GATEWAY_LOG__LEVEL"),
    ],
)
def test_a_misspelt_variable_is_a_problem(name: str, nearest: str) -> None:
    assert _problems(environ={**IMAP, name: "x"}) == [f"{name}: unknown; did you mean {nearest}?"]


def test_variables_that_others_set_are_left_alone() -> None:
    """As Kubernetes does for a service that is called jmap-gateway."""
    others = {"JMAP_GATEWAY_SERVICE_HOST": "10.0.0.1", "JMAP_GATEWAY_PORT": "tcp://10.0.0.1:80"}
    assert load(None, {**IMAP, **others}, {}) == load(None, IMAP, {})


def test_secrets_may_be_in_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{KEY}\n")
    (tmp_path / "url").write_text("redis://:hunter2@localhost")
    environ = {
        **IMAP,
        "JMAP_GATEWAY_STORE__SECRET_FILE": str(tmp_path / "secret"),
        "JMAP_GATEWAY_STORE__URL_FILE": str(tmp_path / "url"),
    }
    store = load(None, environ, {}).store
    assert store.secret is not None
    assert store.secret.reveal() == KEY
    assert store.url is not None
    assert store.url.reveal() == "redis://:hunter2@localhost"


def test_a_secret_in_two_places_or_in_no_file_is_a_problem(tmp_path: Path) -> None:
    file = "JMAP_GATEWAY_STORE__SECRET_FILE"
    both = {**IMAP, file: str(tmp_path / "none"), "JMAP_GATEWAY_STORE__SECRET": KEY}
    assert _problems(environ=both) == [f"{file}: JMAP_GATEWAY_STORE__SECRET is set, too"]
    assert _problems(environ={**IMAP, file: str(tmp_path / "none")}) == [
        f"{file}: {tmp_path / 'none'}: No such file or directory"
    ]


@pytest.mark.parametrize(
    "environ",
    [
        {"JMAP_GATEWAY_STORE__SECRET": "hunter2"},
        {"JMAP_GATEWAY_STORE__URL": "postgres://u:hunter2@localhost"},
        {"JMAP_GATEWAY_STORE__URL": "redis://u:hunter2/x@localhost"},
        {"JMAP_GATEWAY_IMAP__URL": "imaps://u:hunter2@localhost"},
        {"JMAP_GATEWAY_IMAP__URL": "imaps://u:hunter2/x@localhost"},
        {"JMAP_GATEWAY_IMAP__URL": "imaps://u:hunter2℀@localhost"},
    ],
)
def test_no_problem_tells_a_secret(environ: dict[str, str]) -> None:
    [problem] = _problems(environ={**IMAP, **environ})
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("imap://127.0.0.1", True),
        ("imap://[::1]", True),
        ("imap://localhost:10143", True),
        ("imap://mail.example.org", False),
        ("imap://192.0.2.1", False),
        ("imap+starttls://mail.example.org", True),
        ("imaps://mail.example.org", True),
    ],
)
def test_plain_text_stays_on_this_machine_unless_allowed(url: str, allowed: bool) -> None:
    if not allowed:
        [problem] = _problems(environ={}, flags={"imap.url": url})
        assert "imap.allow_insecure" in problem
    insecure = {"JMAP_GATEWAY_IMAP__ALLOW_INSECURE": "false" if allowed else "true"}
    assert str(load(None, insecure, {"imap.url": url}).imap.url).startswith(url)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("sieve://127.0.0.1", True),
        ("sieve://mail.example.org", False),
        ("sieve+starttls://mail.example.org", True),
        ("sieves://mail.example.org", True),
    ],
)
def test_scripts_stay_on_this_machine_in_plain_text_too(url: str, allowed: bool) -> None:
    if not allowed:
        [problem] = _problems(flags={"sieve.url": url})
        assert "sieve+starttls://, or set sieve.allow_insecure" in problem
    insecure = {"JMAP_GATEWAY_SIEVE__ALLOW_INSECURE": "false" if allowed else "true"}
    assert str(load(None, {**IMAP, **insecure}, {"sieve.url": url}).sieve.url) == f"{url}:4190"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/u"}, "/home/u/.local/state/jmap-gateway"),
        ({"HOME": "/home/u", "XDG_STATE_HOME": "/state"}, "/state/jmap-gateway"),
        ({"HOME": "/", "STATE_DIRECTORY": "/var/lib/jmap:/var/lib/x"}, "/var/lib/jmap"),
        ({"STATE_DIRECTORY": "/s", "JMAP_GATEWAY_SERVER__DATA_DIR": "/data"}, "/data"),
    ],
)
def test_the_data_directory(environ: dict[str, str], expected: str) -> None:
    assert load(None, {**IMAP, **environ}, {}).server.data_dir == Path(expected)


def test_the_sample_is_the_default_configuration(tmp_path: Path) -> None:
    config = load(_file(tmp_path, sample()), {}, {})
    assert config == load(None, {}, {"imap.url": "imaps://imap.example.org"})


def test_every_key_is_in_the_sample_with_its_description_and_default() -> None:
    text = sample()
    tables = tomllib.loads(re.sub(r"(?m)^#(?=\w+ = )", "", text))
    assert [f"{section}.{name}" for section, keys in tables.items() for name in keys] == list(KEYS)
    words = " ".join(line.removeprefix("# ") for line in text.splitlines())
    for key in KEYS.values():
        assert key.description in words
    assert max(map(len, text.splitlines())) <= 100


def test_the_examples_and_defaults_of_the_sample_can_be_used(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^#(?=\w+ = )", "", sample())
    text = re.sub(r"(?m)^(ca_file|secret|password_keys) = .*\n", "", text)
    config = load(_file(tmp_path, text), {}, {})
    assert config.log == load(None, IMAP, {}).log
    assert config.server.public_url == "https://jmap.example.org"


def test_the_example_of_a_secret_can_not_be_used(tmp_path: Path) -> None:
    problems = _problems(
        _file(tmp_path, re.sub("(?m)^#(?=(secret|password_keys) = )", "", sample()))
    )
    keys = ("events.secret", "push.password_keys", "store.secret")
    for problem, key in zip(problems, keys, strict=True):
        assert key in problem


def test_what_is_shown_gives_the_same_configuration(tmp_path: Path) -> None:
    environ = {
        **IMAP,
        "JMAP_GATEWAY_SERVER__CORS_ORIGINS": "https://a.example,*",
        "JMAP_GATEWAY_SERVER__DATA_DIR": '/a "quoted" \\ directory\x7f',
        "JMAP_GATEWAY_LOG__FORMAT": "console",
    }
    config = load(None, environ, {})
    assert load(_file(tmp_path, show(config)), {}, {}) == config


def test_what_is_shown_has_no_secrets() -> None:
    environ = {
        **IMAP,
        "JMAP_GATEWAY_STORE__URL": "redis://u:hunter2@localhost",
        "JMAP_GATEWAY_STORE__SECRET": KEY,
    }
    config = load(None, environ, {})
    for text in (show(config), repr(config)):
        assert "hunter2" not in text
        assert KEY not in text
    assert 'url = "redis://u:********@localhost"' in show(config)


def test_the_fixed_flags_are_declared() -> None:
    assert {flag: key.dotted for flag, key in FLAGS.items()} == {
        "--listen": "server.listen",
        "--public-url": "server.public_url",
        "--imap": "imap.url",
        "--sieve": "sieve.url",
        "--smtp": "smtp.url",
        "--store": "store.url",
    }


def test_every_section_is_described() -> None:
    assert [field.name for field in fields(Config)] == list(
        dict.fromkeys(key.section for key in KEYS.values())
    )
