"""RFC 9661: SieveScript, on Pigeonhole."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.ext.blob import BLOB
from gateway.ext.registry import account_capabilities, session_capabilities
from gateway.ext.sieve import SIEVE, VACATION
from gateway.mail.capability import MAIL
from gateway.managesieve import scripts
from gateway.sync import ids
from tests.ext.scripting import FILING, Person
from tests.mail.client import Client, Refused
from tests.mail.conftest import Connect
from tests.mail.messages import mail
from tests.servers.cyrus import Cyrus

KEEP = b"keep;\r\n"
BROKEN = b'require "fileinto";\r\nkeep;\r\nfoo;\r\n'


# --- the session ----------------------------------------------------------------------------------


def test_it_is_announced_as_the_server_tells(person: Person) -> None:
    account = person.client.account
    session = session_capabilities(account)
    assert session[SIEVE]["implementation"].startswith("Dovecot")
    assert session[VACATION] == account_capabilities(account)[VACATION] == {}
    told = account_capabilities(account)[SIEVE]
    assert told.keys() == {
        *("maxSizeScriptName", "maxSizeScript", "maxNumberScripts", "maxNumberRedirects"),
        *("sieveExtensions", "notificationMethods", "externalLists"),
    }
    assert told["maxSizeScriptName"] >= 512
    assert {"fileinto", "vacation", "include"} <= set(told["sieveExtensions"])
    assert told["maxNumberRedirects"] == 4
    assert (told["notificationMethods"], told["externalLists"]) == (["mailto"], None)


async def test_without_a_server_it_is_not_announced(client: Client) -> None:
    assert SIEVE not in session_capabilities(client.account)
    assert account_capabilities(client.account).keys().isdisjoint({SIEVE, VACATION})
    client.using = [SIEVE]
    with pytest.raises(Refused) as refused:
        await client.call("SieveScript/get", ids=None)
    assert refused.value.type == "accountNotSupportedByMethod"


# --- get ------------------------------------------------------------------------------------------


async def test_scripts_of_others_are_shown(person: Person) -> None:
    got = await person.client.call("SieveScript/get", ids=None)
    assert (got["list"], got["notFound"]) == ([], [])
    await person.other_has("main", FILING, active=True)
    await person.other_has("größer", KEEP)
    found = await person.scripts()
    assert found.keys() == {"main", "größer"}
    assert (found["main"]["isActive"], found["größer"]["isActive"]) == (True, False)
    assert await person.content("main") == FILING
    id_ = found["größer"]["id"]
    got = await person.client.call("SieveScript/get", ids=[id_, "Snone"], properties=["name"])
    assert (got["list"], got["notFound"]) == ([{"id": id_, "name": "größer"}], ["Snone"])


async def test_the_state_is_another_for_every_difference(person: Person) -> None:
    states = set()

    async def differs() -> None:
        state = (await person.client.call("SieveScript/get", ids=[]))["state"]
        assert state == (await person.client.call("SieveScript/get", ids=[]))["state"]
        assert state not in states
        states.add(state)

    await differs()
    await person.other_has("main", KEEP)
    await differs()
    await person.other_has("main", FILING)
    await differs()
    await person.other(lambda c: scripts.set_active(c, "main"))
    await differs()
    await person.other(lambda c: scripts.rename_script(c, "main", "other"))
    await differs()


async def test_blobs_of_scripts_can_be_used_as_others(person: Person) -> None:
    await person.create("main", FILING)
    blob_id = (await person.scripts())["main"]["blobId"]
    assert ids.is_script_blob_id(blob_id)
    (_, _), (_, got) = await person.client.request(
        ("SieveScript/get", {"ids": None}),
        (
            "Blob/get",
            {"#ids": {"resultOf": "0", "name": "SieveScript/get", "path": "/list/*/blobId"}},
        ),
    )
    assert got["list"] == [{"id": blob_id, "size": len(FILING), "data:asText": FILING.decode()}]
    made = await person.set(create={"k": {"name": "copy", "blobId": blob_id}})
    assert "blobId" not in made["created"]["k"]
    assert await person.content("copy") == FILING
    stranger = ids.script_blob_id(b"stop;")
    assert await person.client.blob(stranger) is None
    blob = await person.client.blob(blob_id)
    await person.set(
        update={
            (await person.scripts())[n]["id"]: {"blobId": await person.upload(KEEP)}
            for n in ("main", "copy")
        }
    )
    assert (blob, await person.client.blob(blob_id)) == (FILING, None)


async def test_blobs_are_looked_up_in_scripts(person: Person) -> None:
    """RFC 9404 §4.3."""
    account = person.client.account
    assert account_capabilities(account)[BLOB]["supportedTypeNames"][-1] == "SieveScript"
    main, other = [await person.create(name, FILING) for name in ("main", "other")]
    blob_id = (await person.scripts())["main"]["blobId"]
    names = ["Email", "SieveScript"]
    none = ids.script_blob_id(KEEP)
    answer = await person.client.call("Blob/lookup", typeNames=names, ids=[blob_id, none])
    assert answer["list"] == [
        {"id": blob_id, "matchedIds": {"Email": [], "SieveScript": [main, other]}},
        {"id": none, "matchedIds": {"Email": [], "SieveScript": []}},
    ]
    person.client.using = [MAIL]
    with pytest.raises(Refused) as refused:
        await person.client.call("Blob/lookup", typeNames=names, ids=[])
    assert refused.value.type == "unknownDataType"


async def test_scripts_of_other_users_are_not_there(person: Person, connect: Any) -> None:
    await person.create("main", FILING)
    script = (await person.scripts())["main"]
    stranger = await Person.of(connect, person.server)
    assert await stranger.client.blob(script["blobId"]) is None
    got = await stranger.client.call("SieveScript/get", ids=[script["id"]])
    assert got["notFound"] == [script["id"]]


# --- create ---------------------------------------------------------------------------------------


async def test_a_script_files_what_is_delivered(person: Person) -> None:
    assert person.gets() == []
    made = await person.set(
        create={"A": {"name": None, "blobId": await person.upload(FILING)}},
        onSuccessActivateScript="#A",
    )
    new = made["created"]["A"]
    assert new.keys() == {"id", "name", "blobId", "isActive"}
    assert new["isActive"]
    assert made["newState"] != made["oldState"]
    assert made["newState"] == (await person.client.call("SieveScript/get", ids=[]))["state"]
    person.gets()
    assert (person.count("INBOX"), person.count("Filed")) == (1, 1)
    assert await person.stored() == {new["name"]: (True, FILING)}


async def test_a_script_is_created_of_a_blob_of_the_same_request(person: Person) -> None:
    source = {"data": [{"data:asText": "keep;"}], "type": "application/sieve"}
    (_, _), (_, made) = await person.client.request(
        ("Blob/upload", {"create": {"B": source}}),
        ("SieveScript/set", {"create": {"A": {"name": "main", "blobId": "#B"}}}),
    )
    assert made["created"]["A"]["isActive"] is False
    assert await person.content("main") == b"keep;"


async def test_each_without_a_name_gets_one_of_its_own(person: Person) -> None:
    blob_id = await person.upload(KEEP)
    made = await person.set(create={"a": {"blobId": blob_id}, "b": {"blobId": blob_id}})
    assert len({each["name"] for each in made["created"].values()}) == 2
    assert len({each["id"] for each in made["created"].values()}) == 2


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (BROKEN, "line 3"),
        (b'require "nonsense";\r\n', "nonsense"),
        (b"#\n\xff", "line 2"),
        (b"", "line 1"),
    ],
)
async def test_what_is_no_script_is_refused(person: Person, content: bytes, line: str) -> None:
    blob_id = await person.upload(content)
    response = await person.set(
        create={"k": {"name": "main", "blobId": blob_id}}, onSuccessActivateScript="#k"
    )
    error = response["notCreated"]["k"]
    assert error["type"] == "invalidSieve"
    assert line in error["description"]
    validated = await person.client.call("SieveScript/validate", blobId=blob_id)
    assert validated["error"]["type"] == "invalidSieve"
    assert line in validated["error"]["description"]
    assert await person.stored() == {}


async def test_what_is_a_script_is_valid(person: Person) -> None:
    blob_id = await person.upload(FILING)
    validated = await person.client.call("SieveScript/validate", blobId=blob_id)
    assert validated == {"accountId": person.client.account.id, "error": None}
    assert await person.stored() == {}
    for none in ("unone", "#none"):
        validated = await person.client.call("SieveScript/validate", blobId=none)
        assert validated["error"]["type"] == "blobNotFound"


@pytest.mark.parametrize(
    "name", ["", "a\nb", "a\u2028b", "\x85", "é" * 257, "jmap-vacation", "a/b"]
)
async def test_names_that_no_script_can_have(person: Person, name: str) -> None:
    blob_id = await person.upload(KEEP)
    main = await person.create("main", KEEP)
    response = await person.set(
        create={"k": {"name": name, "blobId": blob_id}}, update={main: {"name": name}}
    )
    error = response["notCreated"]["k"]
    assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])
    assert response["notUpdated"][main]["type"] in ("invalidProperties", "forbidden")
    assert (await person.scripts()).keys() == {"main"}


async def test_names_are_normalised(person: Person) -> None:
    blob_id = await person.upload(KEEP)
    made = await person.set(create={"k": {"name": "gro\u0308ßer", "blobId": blob_id}})
    assert made["created"]["k"]["name"] == "größer"
    assert (await person.scripts()).keys() == {"größer"}


async def test_a_name_is_there_once(person: Person) -> None:
    first = await person.create("main", FILING)
    blob_id = await person.upload(KEEP)
    new = {"name": "main", "blobId": blob_id}
    response = await person.set(
        create={"k": new, "other": {**new, "name": "b"}, "again": {**new, "name": "b"}}
    )
    error = response["notCreated"]["k"]
    assert (error["type"], error["existingId"]) == ("alreadyExists", first)
    second = response["created"]["other"]["id"]
    assert response["notCreated"]["again"]["existingId"] == second
    response = await person.set(update={second: {"name": "main"}})
    assert response["notUpdated"][second]["existingId"] == first
    assert await person.content("main") == FILING


async def test_blobs_must_be_there_and_of_a_size(person: Person) -> None:
    large = await person.upload(b"#" + b"x" * (1 << 20))
    response = await person.set(
        create={
            "none": {"name": "a", "blobId": "unone"},
            "script": {"name": "b", "blobId": ids.script_blob_id(b"none")},
            "large": {"name": "c", "blobId": large},
            "unknown": {"name": "d", "blobId": "#none"},
        }
    )
    types = {name: error["type"] for name, error in response["notCreated"].items()}
    assert types == {
        "none": "blobNotFound",
        "script": "blobNotFound",
        "large": "tooLarge",
        "unknown": "invalidProperties",
    }
    assert response["notCreated"]["none"]["notFound"] == ["unone"]


# --- update ---------------------------------------------------------------------------------------


async def test_an_id_stays_with_a_script_that_is_renamed(person: Person) -> None:
    id_ = await person.create("main", FILING, activate=True)
    assert (await person.set(update={id_: {"name": "other"}}))["updated"] == {id_: None}
    assert (await person.scripts())["other"] | {"blobId": ""} == {
        "id": id_,
        "name": "other",
        "blobId": "",
        "isActive": True,
    }
    # Another one of the old name is another script.
    second = await person.create("main", KEEP)
    assert second != id_
    await person.set(onSuccessDeactivateScript=True)
    await person.set(destroy=[id_])
    assert (await person.scripts())["main"]["id"] == second


async def test_content_and_name_change_together_or_not_at_all(person: Person) -> None:
    id_ = await person.create("main", FILING)
    await person.create("other", FILING)
    keep, broken = await person.upload(KEEP), await person.upload(BROKEN)
    response = await person.set(update={id_: {"name": "other", "blobId": keep}})
    assert response["notUpdated"][id_]["type"] == "alreadyExists"
    response = await person.set(update={id_: {"name": "third", "blobId": broken}})
    assert response["notUpdated"][id_]["type"] == "invalidSieve"
    response = await person.set(update={id_: {"name": "a/b", "blobId": keep}})
    assert id_ in response["notUpdated"]
    assert {name: content for name, (_, content) in (await person.stored()).items()} == {
        "main": FILING,
        "other": FILING,
    }
    response = await person.set(update={id_: {"name": "third", "blobId": keep}})
    assert response["updated"][id_].keys() == {"blobId"}
    assert await person.content("third") == KEEP


async def test_scripts_may_change_their_names(person: Person) -> None:
    a, b, c = [await person.create(name, f"# {name}".encode()) for name in ("a", "b", "c")]
    response = await person.set(update={a: {"name": "b"}, b: {"name": "c"}, c: {"name": "a"}})
    assert response["updated"].keys() == {a, b, c}
    found = {name: script["id"] for name, script in (await person.scripts()).items()}
    assert found == {"b": a, "c": b, "a": c}
    assert await person.content("b") == b"# a"
    response = await person.set(update={a: {"name": "x"}, b: {"name": "x"}})
    assert response["updated"].keys() == {a}
    assert response["notUpdated"][b]["existingId"] == a


async def test_the_server_sets_what_is_active(person: Person) -> None:
    id_ = await person.create("main", KEEP)
    response = await person.set(update={id_: {"isActive": True}})
    assert response["notUpdated"][id_]["type"] == "invalidProperties"
    response = await person.set(update={"Snone": {"name": "x"}}, destroy=["Snever"])
    assert response["notUpdated"]["Snone"]["type"] == "notFound"
    assert response["notDestroyed"]["Snever"]["type"] == "notFound"


@pytest.mark.usefixtures("_scripts_at_once")
async def test_a_server_may_write_names_otherwise(connect: Connect, filtering_cyrus: Cyrus) -> None:
    """Cyrus has ASCII only, and writes the rest as RFC 2047 does."""
    person = await Person.of(connect, filtering_cyrus)
    blob_id = await person.upload(FILING)
    made = await person.set(create={"k": {"name": "größer", "blobId": blob_id}})
    [(name, script)] = (await person.scripts()).items()
    assert made["created"]["k"] == {**script, "name": name}
    assert made["newState"] == (await person.client.call("SieveScript/get", ids=[]))["state"]
    assert await person.content(name) == FILING
    id_ = script["id"]
    response = await person.set(update={id_: {"name": "kürzer"}}, onSuccessActivateScript=id_)
    [(other, script)] = (await person.scripts()).items()
    assert response["updated"] == {id_: {"name": other, "isActive": True}}
    assert (script["id"], name != other) == (id_, True)
    assert (await person.set(update={id_: {"name": "main"}}))["updated"] == {id_: None}
    assert await person.active() == ["main"]


# --- activation -----------------------------------------------------------------------------------


async def test_one_script_is_active_or_none(person: Person) -> None:
    main = await person.create("main", FILING, activate=True)
    other = await person.create("other", KEEP)
    response = await person.set(onSuccessActivateScript=other)
    assert response["updated"] == {main: {"isActive": False}, other: {"isActive": True}}
    assert await person.active() == ["other"]
    response = await person.set(
        onSuccessActivateScript=main,
        onSuccessDeactivateScript=True,
        update={main: {"name": "first"}},
    )
    assert response["updated"] == {main: {"isActive": True}, other: {"isActive": False}}
    response = await person.set(onSuccessDeactivateScript=True)
    assert response["updated"] == {main: {"isActive": False}}
    assert await person.active() == []
    assert "updated" not in await person.set(onSuccessDeactivateScript=True)
    assert (await person.set(onSuccessActivateScript=main))["updated"] == {main: {"isActive": True}}


@pytest.mark.parametrize("id_", ["Snone", "#none", "!", ""])
async def test_what_is_not_there_is_not_activated(person: Person, id_: str) -> None:
    await person.create("main", FILING, activate=True)
    assert "updated" not in await person.set(onSuccessActivateScript=id_)
    assert await person.active() == ["main"]


async def test_nothing_is_activated_unless_all_is_done(person: Person) -> None:
    main = await person.create("main", FILING)
    for failing in (
        {"destroy": ["Snone"]},
        {"update": {"Snone": {"name": "x"}}},
        {"create": {"k": {"name": "x", "blobId": "unone"}}},
    ):
        response = await person.set(onSuccessActivateScript=main, **failing)
        assert "updated" not in response
    assert await person.active() == []


async def test_the_active_script_is_not_destroyed(person: Person) -> None:
    main = await person.create("main", FILING, activate=True)
    other = await person.create("other", KEEP)
    response = await person.set(destroy=[main, other])
    assert response["destroyed"] == [other]
    assert response["notDestroyed"][main]["type"] == "sieveIsActive"
    # Not even if it is to be deactivated by the same call.
    response = await person.set(destroy=[main], onSuccessDeactivateScript=True)
    assert response["notDestroyed"][main]["type"] == "sieveIsActive"
    assert await person.active() == ["main"]
    await person.set(onSuccessDeactivateScript=True)
    assert (await person.set(destroy=[main]))["destroyed"] == [main]
    assert await person.stored() == {}


async def test_changes_of_another_program_are_not_overwritten_unseen(person: Person) -> None:
    state = (await person.client.call("SieveScript/get", ids=[]))["state"]
    await person.other_has("main", FILING)
    with pytest.raises(Refused) as refused:
        await person.set(ifInState=state, create={})
    assert refused.value.type == "stateMismatch"


# --- query ----------------------------------------------------------------------------------------


async def test_queries_filter_and_sort(person: Person) -> None:
    a = await person.create("Alpha", KEEP)
    b = await person.create("beta", KEEP, activate=True)
    c = await person.create("Gamma", KEEP)

    async def found(**arguments: Any) -> list[str]:
        answer = await person.client.call("SieveScript/query", **arguments)
        assert not answer["canCalculateChanges"]
        result: list[str] = answer["ids"]
        return result

    assert await found(sort=[{"property": "name"}]) == [a, b, c]
    assert await found(
        sort=[{"property": "isActive", "isAscending": False}, {"property": "name"}]
    ) == [b, a, c]
    assert await found(filter={"name": "AMM"}) == [c]
    assert await found(filter={"isActive": True}) == [b]
    assert set(await found(filter={"isActive": False})) == {a, c}
    assert set(await found(filter={"operator": "NOT", "conditions": [{"name": "alpha"}]})) == {b, c}


async def test_messages_are_blobs_as_before(person: Person) -> None:
    person.server.append(person.user, "INBOX", mail(subject="one"))
    email = await person.client.email("blobId")
    response = await person.set(create={"k": {"name": "x", "blobId": email["blobId"]}})
    assert response["notCreated"]["k"]["type"] == "invalidSieve"
