"""RFC 8620 §6.2: downloads, and what keeps them from running in a browser."""

from __future__ import annotations

import asyncio
from email.message import Message
from urllib.parse import quote, unquote

import pytest
from aiohttp import ClientConnectionError, ClientPayloadError
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from gateway.http.download import content_disposition, media_type
from gateway.imap.errors import AuthenticationFailed, ConnectionLost
from tests.http.harness import OTHER, USER, Backend, Client, FakeBlob, basic, problem_of

OCTETS = b"From: ann@example.test\r\n\r\nHello\x00\xff"
PATH = "/jmap/download/aann/m1/mail.eml?type=message/rfc822"


@pytest.fixture(autouse=True)
def blob(backend: Backend) -> FakeBlob:
    """Give the blob `m1` of the account `aann`."""
    blob = FakeBlob([OCTETS[:10], OCTETS[10:]], len(OCTETS))
    backend.blobs["aann", "m1"] = blob
    return blob


@pytest.mark.checklist("J01", "J08")
async def test_blob_is_sent_as_it_is(client: Client, blob: FakeBlob) -> None:
    response = await client.get(PATH, headers=basic())
    assert response.status == 200
    assert await response.read() == OCTETS
    assert response.headers["Content-Length"] == str(len(OCTETS))
    assert response.headers["Content-Type"] == "message/rfc822"
    assert response.headers["Content-Disposition"] == 'attachment; filename="mail.eml"'
    assert blob.closed


@pytest.mark.threat("R6")
@pytest.mark.checklist("J09")
async def test_headers_keep_the_blob_private_and_inert(client: Client) -> None:
    """RFC 8620 §6.2 on caching; threat R6 on active content."""
    headers = (await client.get(PATH, headers=basic())).headers
    assert headers["Cache-Control"] == "private, immutable, max-age=31536000"
    assert headers["ETag"] == '"m1"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert headers["Cross-Origin-Resource-Policy"] == "same-site"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.threat("R10")
@pytest.mark.checklist("J09")
@pytest.mark.parametrize("path", ["aann/unknown", "abob/m1", "abob/theirs", "nobody/m1"])
async def test_unknown_and_foreign_look_the_same(
    client: Client, backend: Backend, path: str
) -> None:
    """Threat R10."""
    backend.blobs["abob", "theirs"] = FakeBlob([b"secret"], 6)
    assert (await client.get("/jmap/session", headers=basic(OTHER))).status == 200
    response = await client.get(f"/jmap/download/{path}/x?type=a/b", headers=basic(USER))
    problem = await problem_of(response, 404)
    assert problem == {"type": "about:blank", "title": "Not Found", "status": 404}
    assert "ETag" not in response.headers


async def test_size_need_not_be_known(client: Client, blob: FakeBlob) -> None:
    blob.size = None
    response = await client.get(PATH, headers=basic())
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert await response.read() == OCTETS


async def test_empty_blob(client: Client, blob: FakeBlob) -> None:
    blob.octets, blob.size = [], 0
    response = await client.get(PATH, headers=basic())
    assert response.status == 200
    assert await response.read() == b""


async def test_head_reads_nothing(client: Client, blob: FakeBlob) -> None:
    """RFC 9110 §9.3.2."""
    response = await client.head(PATH, headers=basic())
    assert response.status == 200
    assert response.headers["Content-Length"] == str(len(OCTETS))
    assert response.headers["ETag"] == '"m1"'
    assert blob.taken == 0


@pytest.mark.parametrize(
    ("condition", "status"),
    [('"m1"', 304), ('W/"m1"', 304), ('"a", "m1"', 304), ("*", 304), ('"m2"', 200)],
)
async def test_what_the_client_has_is_not_sent_again(
    client: Client, blob: FakeBlob, condition: str, status: int
) -> None:
    """RFC 9110 §13.1.2."""
    response = await client.get(PATH, headers={**basic(), "If-None-Match": condition})
    assert response.status == status
    assert response.headers["ETag"] == '"m1"'
    assert response.headers["Cache-Control"].startswith("private, immutable")
    await response.read()
    assert blob.taken == (0 if status == 304 else 2)


async def test_condition_does_not_bring_back_what_is_gone(client: Client, backend: Backend) -> None:
    """RFC 9110 §13.2.1: preconditions are for what would be a success."""
    backend.blobs.clear()
    response = await client.get(PATH, headers={**basic(), "If-None-Match": '"m1"'})
    await problem_of(response, 404)


# --- Failures ------------------------------------------------------------------------------------


async def test_failure_before_the_first_octet_is_an_error(client: Client, blob: FakeBlob) -> None:
    blob.octets, blob.error = [], ConnectionLost("gone")
    await problem_of(await client.get(PATH, headers=basic()), 503)
    assert blob.closed


@pytest.mark.parametrize("size", [None, len(OCTETS)])
async def test_failure_in_the_middle_cuts_the_connection(
    client: Client, blob: FakeBlob, size: int | None
) -> None:
    """A part must not look like the whole, whether or not its size was told."""
    blob.octets, blob.error, blob.size = [OCTETS[:10]], ConnectionLost("gone"), size
    response = await client.get(PATH, headers=basic())
    with pytest.raises((ClientPayloadError, ClientConnectionError)):
        await response.read()
    assert blob.closed


@pytest.mark.parametrize("size", [len(OCTETS) - 1, len(OCTETS) + 1])
async def test_other_size_than_announced_cuts_the_connection(
    client: Client, blob: FakeBlob, size: int
) -> None:
    blob.size = size
    with pytest.raises((ClientPayloadError, ClientConnectionError)):
        await (await client.get(PATH, headers=basic())).read()


async def test_slow_client_holds_the_mail_server_back(client: Client, blob: FakeBlob) -> None:
    """No more is read from the mail server than the client takes, whatever the blob's size."""
    blob.octets, blob.size = [bytes(1 << 20)] * 64, 64 << 20
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1 << 16)
    credentials = basic()["Authorization"]
    writer.write(f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    taken = -1
    while blob.taken != taken:  # until the buffers on the way are full
        taken = blob.taken
        for _ in range(1000):
            await asyncio.sleep(0)
    assert taken < 32
    received = 0
    while received < blob.size:
        received += len(await reader.read(1 << 20))
    assert blob.taken == 64
    writer.close()


async def test_client_that_goes_away_ends_the_download(client: Client, blob: FakeBlob) -> None:
    blob.octets, blob.size = [bytes(1 << 20)] * 64, 64 << 20
    response = await client.get(PATH, headers=basic())
    response.close()
    while not blob.closed:
        await asyncio.sleep(0)
    assert blob.taken < 64


async def test_login_the_mail_server_takes_back_is_asked_for_again(
    client: Client, backend: Backend
) -> None:
    assert (await client.get(PATH, headers=basic())).status == 200
    backend.passwords[USER] = "new"
    backend.broken = AuthenticationFailed("AUTHENTICATIONFAILED", "no")
    await problem_of(await client.get(PATH, headers=basic()), 401)
    backend.broken = None
    await problem_of(await client.get(PATH, headers=basic()), 401)
    assert (await client.get(PATH, headers=basic(USER, "new"))).status == 200


# --- The type and the name are the client's ------------------------------------------------------


@pytest.mark.checklist("J08")
@pytest.mark.parametrize(
    "asked",
    [
        "text/html",
        "image/svg+xml",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "text/plain;charset=utf-8",
        "text/plain; charset=utf-8; format=flowed",
        'multipart/mixed; boundary="a b"',
    ],
)
def test_media_type_is_what_was_asked(asked: str) -> None:
    assert media_type(asked) == asked


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "{type}",
        "text",
        "text/",
        "/html",
        "text/html/x",
        "text/html\r\nSet-Cookie: a=b",
        "text/html\n",
        "text/html,text/plain",
        "text/html;",
        'text/html; a="\\""',
        "text/html; a=\x00",
        "text/ht ml",
        "téxt/html",
        "a" * 128 + "/b",
        "text/html" + ";a=b" * 9,
    ],
)
def test_media_type_that_is_none_is_octets(asked: str) -> None:
    assert media_type(asked) == "application/octet-stream"


HOSTILE_TYPES = (
    *("text/html", "text/html; charset=utf-7", "TEXT/HTML", "application/xhtml+xml", "text/xml"),
    *("application/xml", "image/svg+xml", "image/svg+xml;charset=utf-16", "text/xsl", "text/xslt"),
    *("application/rss+xml", "application/mathml+xml", "application/pdf", "text/javascript"),
    *("application/javascript", "application/ecmascript", "module/javascript", "text/css"),
    *("application/x-shockwave-flash", "application/java-archive", "application/hta"),
    *("multipart/x-mixed-replace", "message/rfc822", "message/partial", "text/cache-manifest"),
    *("application/manifest+json", "application/x-ms-application", "text/vbscript"),
    *("application/vnd.wap.xhtml+xml", "application/wasm", "text/x-component", "image/x-icon"),
)


@pytest.mark.threat("R6")
@pytest.mark.parametrize("asked", HOSTILE_TYPES)
@pytest.mark.parametrize("field", [{}, {"Range": "bytes=2-"}])
async def test_nothing_runs_whatever_its_type(
    client: Client, blob: FakeBlob, asked: str, field: dict[str, str]
) -> None:
    """Threat R6: served as asked, but as an attachment, unsniffed, in a sandbox."""
    blob.octets = [b"<script>alert(1)</script>"]
    blob.size = len(blob.octets[0])
    url = URL(
        f"{client.make_url('/')}jmap/download/aann/m1/a.html?type={quote(asked)}", encoded=True
    )
    response = await client.session.get(url, headers={**basic(), **field})
    assert response.status == (206 if field else 200)
    headers = response.headers
    assert headers["Content-Type"] == asked
    assert headers["Content-Disposition"] == 'attachment; filename="a.html"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].split("; ")[:2] == ["sandbox", "default-src 'none'"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in headers


_ALPHABETS = (
    *("abcXYZ 0.9_", "äöüßÄÖÜéèê", "ąęłńóśźż", "абвгдежз", "αβγδεζηθ", "אבגדהוזח", "ابتثجحخد"),
    *(
        "あいうえおカキク",
        "漢字檔案文件",
        "한글파일이름",
        "हिन्दीफ़ाइल",
        "ไฟล์ภาษาไทย",
        "😀🎉📎🗂️",
        "e\u0301a\u0308o\u0302",
    ),
)
_HOSTILE = (
    *('"', "\\", "%", "%22", "%0d%0a", "\r\n", "\n", "\0", "\x7f", "\x85", "\u2028", "\u202e"),
    *(";", "=", "; filename=evil.exe", "\r\nSet-Cookie: a=b", "'", "../", "/etc/passwd", ":"),
)
NAMES = tuple(
    f"{letters[:3]}{hostile}{letters[3:]}.{extension}"
    for letters in _ALPHABETS
    for hostile in _HOSTILE
    for extension in ("pdf", letters[-1])
)


@pytest.mark.threat("R7")
async def test_no_name_reaches_beyond_its_field(client: Client) -> None:
    """Threat R7: 560 names; the answer has the fields that it always has, and the name is told."""
    assert len(NAMES) >= 300
    expected = None
    for name in NAMES:
        path = f"jmap/download/aann/m1/{quote(name, safe='')}?type=a/b"
        response = await client.session.get(
            URL(f"{client.make_url('/')}{path}", encoded=True), headers=basic()
        )
        assert response.status == 200
        assert await response.read() == OCTETS
        fields = [field for field, _ in response.raw_headers]
        expected = expected or fields
        assert fields == expected, name
        value = response.headers["Content-Disposition"]
        assert value.isascii()
        assert value == content_disposition(name)
        message = Message()
        message["Content-Disposition"] = value
        _, _, extended = value.partition("filename*=UTF-8''")
        told = unquote(extended) if extended else message.get_filename()
        assert told is not None
        assert told == "".join(c for c in name if c not in "\r\n\0\x7f\x85\u2028\u202e")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "attachment"),
        ("a.txt", 'attachment; filename="a.txt"'),
        ("a b.txt", 'attachment; filename="a b.txt"'),
        ("naïve.txt", "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        ('a"b\\c.txt', "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b%5Cc.txt"),
        ("../%41", "attachment; filename=\"..__41\"; filename*=UTF-8''..%2F%2541"),
        ("a\r\nSet-Cookie: b", 'attachment; filename="aSet-Cookie: b"'),
        ("gpj\u202eexe.txt", 'attachment; filename="gpjexe.txt"'),
    ],
)
def test_content_disposition(name: str, value: str) -> None:
    """RFC 6266 §4.3 and appendix D."""
    assert content_disposition(name) == value


@pytest.mark.threat("R7")
@given(st.text())
def test_name_never_leaves_its_parameter(name: str) -> None:
    """Threat R7: one line of ASCII, and a reader of RFC 6266 finds the name again."""
    value = content_disposition(name)
    assert value.isascii()
    assert value.isprintable()
    message = Message()
    message["Content-Disposition"] = value
    assert message.get_content_disposition() == "attachment"
    assert {key for key, _ in message.get_params([], "content-disposition")} <= {
        "attachment",
        "filename",
    }
    _, _, extended = value.partition("filename*=UTF-8''")
    if extended:
        assert set(unquote(extended)) <= set(name)
        assert quote(unquote(extended), safe="") == extended


@pytest.mark.parametrize(
    ("encoded", "filename"),
    [
        ("", ""),
        ("a%2Fb.txt", "a/b.txt"),
        ("a/b.txt", "a/b.txt"),
        ("%0d%0aSet-Cookie:%20a=b", "Set-Cookie: a=b"),
        ("%FF%FE", "%FF%FE"),
        ("%E2%82%AC", "€"),
    ],
)
async def test_any_name_makes_a_working_url(client: Client, encoded: str, filename: str) -> None:
    """RFC 6570 §3.2.2 variables are percent-encoded; some clients leave the name empty."""
    path = f"jmap/download/aann/m1/{encoded}?type={{type}}"
    response = await client.session.get(
        URL(f"{client.make_url('/')}{path}", encoded=True), headers=basic()
    )
    assert response.status == 200
    assert response.headers["Content-Disposition"] == content_disposition(filename)
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert "Set-Cookie" not in response.headers


async def test_type_may_have_its_slash(client: Client) -> None:
    for query in ("type=text/plain", "type=text%2Fplain"):
        url = URL(f"{client.make_url('/')}jmap/download/aann/m1/x?{query}", encoded=True)
        response = await client.session.get(url, headers=basic())
        assert response.headers["Content-Type"] == "text/plain"
