"""RFC 8621 §8: VacationResponse, on Pigeonhole that delivers mail, with "include" and without."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from gateway.ext.registry import account_capabilities, session_capabilities
from gateway.ext.sieve import SIEVE, VACATION
from gateway.managesieve import scripts
from gateway.sieve.installation import NAME
from gateway.sieve.vacation import DEFAULT_TEXT
from tests.ext.scripting import FILING, Person
from tests.mail.client import Refused
from tests.mail.conftest import Connect
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options

NOTHING = {
    "id": "singleton",
    "isEnabled": False,
    "fromDate": None,
    "toDate": None,
    "subject": None,
    "textBody": None,
    "htmlBody": None,
}
OWN_ANSWER = b'require "vacation"; vacation "Mine.";\r\n'


def _text(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n").rstrip()


def _days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- the object -----------------------------------------------------------------------------------


@pytest.mark.checklist("B18")
async def test_it_is_announced_where_it_works(person: Person, connect: Connect) -> None:
    account = person.client.account
    assert session_capabilities(account)[VACATION] == {}
    assert account_capabilities(account)[VACATION] == {}
    options = Options(sieve=True, extra="plugin {\n sieve_extensions = -vacation\n}")
    with Dovecot(options) as server:
        other = (await Person.of(connect, server)).client.account
        assert SIEVE in account_capabilities(other)
        assert VACATION not in account_capabilities(other)
        assert VACATION not in session_capabilities(other)


@pytest.mark.checklist("V01")
async def test_there_is_exactly_one(person: Person) -> None:
    assert await person.vacation() == NOTHING
    got = await person.client.call("VacationResponse/get", ids=None)
    assert (got["list"], got["notFound"]) == ([NOTHING], [])
    got = await person.client.call("VacationResponse/get", ids=["other"], properties=["subject"])
    assert (got["list"], got["notFound"]) == ([], ["other"])
    response = await person.client.call(
        "VacationResponse/set",
        create={"k": {"isEnabled": True}},
        update={"other": {"isEnabled": True}},
        destroy=["singleton", "none"],
    )
    assert response["notCreated"]["k"]["type"] == "singleton"
    assert response["notUpdated"]["other"]["type"] == "notFound"
    assert response["notDestroyed"]["singleton"]["type"] == "singleton"
    assert response["notDestroyed"]["none"]["type"] == "notFound"
    assert await person.vacation() == NOTHING


@pytest.mark.checklist("V02")
async def test_all_is_read_back_as_it_was_set(anyone: Person) -> None:
    values = {
        "isEnabled": True,
        "fromDate": "2024-05-01T08:00:00Z",
        "toDate": "2034-05-31T23:59:59.5Z",
        "subject": 'Größer "weg" ${x}',
        "textBody": "Ich bin weg.\n\n日本語 \\",
        "htmlBody": "<p>Ich bin <b>weg</b>.</p>",
    }
    assert await anyone.answers(**values) is None
    assert await anyone.vacation() == {"id": "singleton", **values}
    # A disabled one keeps its texts, and an update whatever it does not name.
    assert await anyone.answers(isEnabled=False) is None
    assert await anyone.vacation() == {"id": "singleton", **values, "isEnabled": False}
    assert await anyone.answers(textBody=None, isEnabled=True) is None
    assert await anyone.vacation() == {"id": "singleton", **values, "textBody": None}
    with pytest.raises(Refused) as refused:
        await anyone.client.call("VacationResponse/changes", sinceState="x")
    assert refused.value.type == "unknownMethod"


@pytest.mark.checklist("V02")
async def test_it_is_kept_by_the_mail_server(anyone: Person, connect: Connect) -> None:
    assert await anyone.answers(textBody="Away.", subject="x") is None
    again = await Person.of(connect, anyone.server, anyone.user)
    assert await again.vacation() == {**NOTHING, "textBody": "Away.", "subject": "x"}


async def test_states_are_those_of_the_response(person: Person) -> None:
    got = await person.client.call("VacationResponse/get", ids=None)
    response = await person.client.call(
        "VacationResponse/set", update={"singleton": {"subject": "x"}}, ifInState=got["state"]
    )
    assert response["oldState"] == got["state"]
    got = await person.client.call("VacationResponse/get", ids=None)
    assert response["newState"] == got["state"] != response["oldState"]
    await person.create("main", FILING, activate=True)
    assert (await person.client.call("VacationResponse/get", ids=None))["state"] == got["state"]
    with pytest.raises(Refused) as refused:
        await person.client.call("VacationResponse/set", update={}, ifInState=response["oldState"])
    assert refused.value.type == "stateMismatch"


@pytest.mark.parametrize(
    "properties", [{"fromDate": "2024-05-01"}, {"isEnabled": "yes"}, {"textBody": 1}, {"days": 7}]
)
async def test_values_that_are_none(person: Person, properties: dict[str, Any]) -> None:
    error = await person.answers(**properties)
    assert error is not None
    assert (error["type"], error["properties"]) == ("invalidProperties", [*properties])
    assert await person.stored() == {}


async def test_a_text_may_be_too_long(anyone: Person) -> None:
    await anyone.create("main", FILING, activate=True)
    error = await anyone.answers(isEnabled=True, textBody="x\n" * 600_000)
    assert error is not None
    assert error["type"] == "tooLarge"
    assert await anyone.vacation() == NOTHING
    assert await anyone.active() == ["main"]


# --- what is answered -----------------------------------------------------------------------------


@pytest.mark.checklist("V03")
async def test_mail_is_answered_once(anyone: Person) -> None:
    assert anyone.gets() == []
    assert (
        await anyone.answers(isEnabled=True, subject="Größer weg", textBody="Bin weg, größer.")
        is None
    )
    [answer] = anyone.gets()
    assert (answer["To"], answer["From"]) == ("jo@example.org", anyone.user.username)
    assert answer["Subject"] == "Größer weg"
    assert answer["In-Reply-To"] == "<2@example.org>"
    assert answer["Auto-Submitted"].startswith("auto-replied")
    assert _text(answer) == "Bin weg, größer."
    assert anyone.gets() == []
    assert len(anyone.gets("ann@example.org")) == 1
    assert anyone.count("INBOX") == 4


@pytest.mark.checklist("V03")
async def test_lists_and_machines_are_not_answered(anyone: Person) -> None:
    assert await anyone.answers(isEnabled=True) is None
    assert anyone.gets("list@example.org", List_Id="<list.example.org>") == []
    assert anyone.gets("robot@example.org", Auto_Submitted="auto-generated") == []
    assert anyone.gets("other@example.org", Auto_Submitted="auto-replied") == []
    assert anyone.gets("bulk@example.org", Precedence="bulk") == []
    assert anyone.gets("MAILER-DAEMON@example.org") == []
    assert anyone.gets("owner-list@example.org") == []
    assert anyone.gets(To="somebody.else@example.org") == []
    [answer] = anyone.gets()
    assert _text(answer) == DEFAULT_TEXT


async def test_html_is_sent_with_a_text(anyone: Person) -> None:
    html = "<p>Ich bin <b>größer</b> weg.</p>"
    assert await anyone.answers(isEnabled=True, htmlBody=html) is None
    [answer] = anyone.gets()
    assert answer.get_content_type() == "multipart/alternative"
    assert _text(answer).split() == ["Ich", "bin", "größer", "weg."]
    assert _text(answer, "html") == html
    assert await anyone.answers(textBody="Nur Text, größer.") is None
    [answer] = anyone.gets()
    assert (_text(answer), _text(answer, "html")) == ("Nur Text, größer.", html)


@pytest.mark.parametrize(
    ("from_days", "to_days", "answered"),
    [
        (-1.0, 1.0, True),
        (1.0, 2.0, False),
        (-2.0, -1.0, False),
        (None, 1.0, True),
        (1.0, None, False),
    ],
)
async def test_mail_is_answered_between_the_dates(
    anyone: Person, from_days: float | None, to_days: float | None, answered: bool
) -> None:
    await anyone.create("main", FILING, activate=True)
    error = await anyone.answers(
        isEnabled=True,
        fromDate=None if from_days is None else _days(from_days),
        toDate=None if to_days is None else _days(to_days),
    )
    assert error is None
    assert len(anyone.gets()) == answered
    assert anyone.count("Filed") == 1


async def test_mail_to_the_login_address_is_answered_whoever_it_was_delivered_to(
    anyone: Person,
) -> None:
    """RFC 5230 §4.5."""
    assert await anyone.answers(isEnabled=True, textBody="Away.") is None
    [content] = [content for name, (_, content) in (await anyone.stored()).items() if name == NAME]
    assert f':addresses ["{anyone.user.username}"]'.encode() in content


# --- beside scripts of the user -------------------------------------------------------------------


@pytest.mark.checklist("V03")
async def test_the_user_s_script_files_all_the_time(anyone: Person) -> None:
    main = await anyone.create("main", FILING, activate=True)
    assert await anyone.answers(isEnabled=True, textBody="Away.") is None
    assert len(anyone.gets()) == 1
    assert await anyone.active() == ["main"]
    assert await anyone.content("main") == FILING
    # Its content, its name, and what else is active can change meanwhile.
    archiving = FILING.replace(b"Filed", b"Archived")
    response = await anyone.set(update={main: {"blobId": await anyone.upload(archiving)}})
    assert response["updated"].keys() == {main}
    assert len(anyone.gets("ann@example.org")) == 1
    assert (await anyone.set(update={main: {"name": "other"}}))["updated"] == {main: None}
    assert (await anyone.scripts())["other"]["id"] == main
    assert len(anyone.gets("bob@example.org")) == 1
    assert (anyone.count("Filed"), anyone.count("Archived"), anyone.count("INBOX")) == (1, 2, 0)
    second = await anyone.create("second", FILING, activate=True)
    assert await anyone.active() == ["second"]
    assert len(anyone.gets("eve@example.org")) == 1
    assert anyone.count("Filed") == 2
    assert (await anyone.vacation())["isEnabled"]
    assert await anyone.answers(isEnabled=False) is None
    assert anyone.gets("jim@example.org") == []
    assert (anyone.count("Filed"), anyone.count("INBOX")) == (3, 0)
    stored = await anyone.stored()
    assert (stored["second"], stored["other"]) == ((True, FILING), (False, archiving))
    assert {second, main} == {s["id"] for n, s in (await anyone.scripts()).items() if n != NAME}


async def test_nothing_is_left_of_what_says_nothing(anyone: Person) -> None:
    await anyone.create("main", FILING, activate=True)
    assert await anyone.answers(isEnabled=True, textBody="Away.", subject="x") is None
    assert await anyone.answers(isEnabled=False, textBody=None, subject=None) is None
    assert await anyone.stored() == {"main": (True, FILING)}


async def test_a_script_of_the_user_is_deactivated_alone(anyone: Person) -> None:
    main = await anyone.create("main", FILING, activate=True)
    assert await anyone.answers(isEnabled=True) is None
    vacation = (await anyone.scripts())[NAME]["id"] if NAME in await anyone.scripts() else None
    response = await anyone.set(onSuccessDeactivateScript=True)
    assert response["updated"][main] == {"isActive": False}
    assert len(anyone.gets()) == 1
    assert anyone.count("INBOX") == 1
    assert await anyone.active() == [NAME]
    vacation = (await anyone.scripts())[NAME]["id"]
    assert response["updated"][vacation] == {"isActive": True}
    assert (await anyone.set(onSuccessActivateScript=main))["updated"] == {
        main: {"isActive": True},
        vacation: {"isActive": False},
    }
    assert (await anyone.vacation())["isEnabled"]


@pytest.mark.parametrize("properties", [{"name": "x"}, {"blobId": "unone"}])
async def test_the_script_of_the_response_is_not_for_changing(
    anyone: Person, properties: dict[str, str]
) -> None:
    """RFC 9661 §4."""
    assert await anyone.answers(textBody="Away.") is None
    id_ = (await anyone.scripts())[NAME]["id"]
    response = await anyone.set(update={id_: properties})
    assert response["notUpdated"][id_]["type"] == "forbidden"
    response = await anyone.set(destroy=[id_])
    assert response["notDestroyed"][id_]["type"] == "forbidden"
    content = await anyone.content(NAME)
    assert content is not None
    assert b"vacation :addresses" in content


async def test_the_script_of_the_response_is_activated_as_others(anyone: Person) -> None:
    """RFC 9661 §4."""
    main = await anyone.create("main", FILING, activate=True)
    assert await anyone.answers(textBody="Away.") is None
    id_ = (await anyone.scripts())[NAME]["id"]
    response = await anyone.set(onSuccessActivateScript=id_)
    assert response["updated"] == {id_: {"isActive": True}, main: {"isActive": False}}
    assert (await anyone.vacation())["isEnabled"]
    assert [_text(answer) for answer in anyone.gets()] == ["Away."]
    assert anyone.count("INBOX") == 1
    response = await anyone.set(onSuccessDeactivateScript=True)
    assert response["updated"] == {id_: {"isActive": False}}
    assert not (await anyone.vacation())["isEnabled"]
    assert anyone.gets("ann@example.org") == []


async def test_a_script_that_answers_itself_stays_as_it_is(anyone: Person) -> None:
    main = await anyone.create("main", OWN_ANSWER, activate=True)
    error = await anyone.answers(isEnabled=True, textBody="Not mine.")
    assert error is not None
    assert error["type"] == "forbidden"
    assert '"main" has a vacation action' in error["description"]
    assert await anyone.vacation() == NOTHING
    assert await anyone.stored() == {"main": (True, OWN_ANSWER)}
    assert [_text(answer) for answer in anyone.gets()] == ["Mine."]
    # Nor can it become so, or become active, while the response is enabled.
    await anyone.set(onSuccessDeactivateScript=True)
    assert await anyone.answers(isEnabled=True, textBody="Away.") is None
    response = await anyone.set(onSuccessActivateScript=main)
    assert response["notUpdated"][main]["type"] == "forbidden"
    assert "updated" not in response
    other = await anyone.create("other", FILING, activate=True)
    blob_id = await anyone.upload(OWN_ANSWER)
    response = await anyone.set(update={other: {"blobId": blob_id}})
    assert response["notUpdated"][other]["type"] == "forbidden"
    assert await anyone.content("other") == FILING
    assert (await anyone.vacation())["isEnabled"]


async def test_what_a_script_rejects_is_not_answered(anyone: Person) -> None:
    """RFC 5230 §4.7: not both."""
    rejecting = (
        b'require ["reject", "fileinto", "mailbox"];\r\n'
        b'if address "from" "spam@example.org" { reject "No."; }\r\n'
        b'else { fileinto :create "Filed"; }\r\n'
    )
    await anyone.create("main", rejecting, activate=True)
    assert await anyone.answers(isEnabled=True, textBody="Away.") is None
    assert anyone.gets("spam@example.org") == []
    assert anyone.count("INBOX") == 1
    assert [_text(answer) for answer in anyone.gets()] == ["Away."]
    assert anyone.count("Filed") == 1


async def test_errors_in_a_script_are_told_by_its_own_lines(anyone: Person) -> None:
    main = await anyone.create("main", FILING, activate=True)
    assert await anyone.answers(isEnabled=True, textBody="Away.\n" * 50) is None
    blob_id = await anyone.upload(b'require "fileinto";\r\nkeep;\r\nfoo;\r\n')
    error = (await anyone.set(update={main: {"blobId": blob_id}}))["notUpdated"][main]
    assert error["type"] == "invalidSieve"
    assert "line 3" in error["description"]
    assert await anyone.active() == ["main"]
    assert await anyone.content("main") == FILING


# --- beside other programs ------------------------------------------------------------------------


async def test_another_program_may_make_its_script_active(anyone: Person) -> None:
    await anyone.create("main", FILING, activate=True)
    assert await anyone.answers(isEnabled=True, textBody="Away.") is None
    await anyone.other_has("theirs", FILING.replace(b"Filed", b"Theirs"), active=True)
    vacation = await anyone.vacation()
    assert (vacation["isEnabled"], vacation["textBody"]) == (False, "Away.")
    assert await anyone.active() == ["theirs"]
    assert await anyone.answers(isEnabled=True) is None
    assert [_text(answer) for answer in anyone.gets()] == ["Away."]
    assert (anyone.count("Theirs"), anyone.count("Filed")) == (1, 0)
    assert await anyone.active() == ["theirs"]


async def test_another_program_may_come_in_between(
    anyone: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await anyone.create("main", FILING, activate=True)
    await anyone.other_has("theirs", FILING.replace(b"Filed", b"Theirs"))
    put_script = scripts.put_script
    came: list[bool] = []

    async def put(*arguments: Any) -> str | None:
        if not came:
            came.append(True)
            await anyone.other(lambda connection: scripts.set_active(connection, "theirs"))
        return await put_script(*arguments)

    monkeypatch.setattr(scripts, "put_script", put)
    assert await anyone.answers(isEnabled=True, textBody="Away.") is None
    assert came
    assert [_text(answer) for answer in anyone.gets()] == ["Away."]
    assert (anyone.count("Theirs"), anyone.count("Filed")) == (1, 0)


async def test_a_script_of_that_name_that_is_not_ours_is_the_user_s(anyone: Person) -> None:
    await anyone.other_has(NAME, FILING, active=True)
    assert await anyone.active() == [NAME]
    assert await anyone.vacation() == NOTHING
    error = await anyone.answers(isEnabled=True)
    assert error is not None
    assert error["type"] == "forbidden"
    assert NAME in error["description"]
    assert await anyone.stored() == {NAME: (True, FILING)}
    id_ = (await anyone.scripts())[NAME]["id"]
    assert (await anyone.set(update={id_: {"name": "mine"}}))["updated"] == {id_: None}
    assert await anyone.answers(isEnabled=True) is None
    assert await anyone.active() == ["mine"]


# --- servers that can do less ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_dates() -> Iterator[Dovecot]:
    """Give a Dovecot whose Sieve knows no dates."""
    options = Options(sieve=True, extra="plugin {\n sieve_extensions = -date\n}")
    with Dovecot(options) as server:
        yield server


@pytest.mark.usefixtures("_scripts_at_once")
async def test_without_dates_a_response_has_none(connect: Connect, without_dates: Dovecot) -> None:
    person = await Person.of(connect, without_dates)
    error = await person.answers(isEnabled=True, toDate=_days(1), textBody="Away.")
    assert error is not None
    assert (error["type"], error["properties"]) == ("invalidProperties", ["toDate"])
    assert await person.vacation() == NOTHING
    assert await person.answers(isEnabled=True, textBody="Away.") is None
    assert [_text(answer) for answer in person.gets()] == ["Away."]
