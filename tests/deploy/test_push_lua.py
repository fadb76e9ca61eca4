"""RFC 5423: what push.lua sends, in the interpreter that Dovecot uses."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "dovecot" / "push.lua"

# As much of Dovecot as the script sees; `answers` are the status codes of the gateways by URL.
_DOVECOT = """
posted, answers, now = {}, {}, 1000
os.time = function() return now end
dovecot = { i_warning = function() end, http = { client = function(settings)
  return { request = function(_, asked)
    local request = { headers = {} }
    function request:add_header(name, value) self.headers[name] = value end
    function request:set_payload(body) self.body = body end
    function request:submit()
      posted[#posted + 1] = asked.method .. " " .. asked.url .. " " .. self.headers.Authorization
      posted[#posted + 1] = self.body
      local status = answers[asked.url] or 204
      return { status = function() return status end, reason = function() return "" end }
    end
    return request
  end }
end } }
dofile(%(script)s)
function commit(username, ...)
  local settings = {
    jmap_gateway_events_urls = " http://a/events\\thttp://b/events ",
    jmap_gateway_events_secret = "secret\\n",
  }
  local user = { username = username }
  function user:plugin_getenv(name) return settings[name] end
  local ctx = dovecot_lua_notify_begin_txn(user)
  for _, event in ipairs({ ... }) do
    _G["dovecot_lua_notify_event_" .. event](ctx, { mailbox = changed_mailbox })
  end
  dovecot_lua_notify_end_txn(ctx)
end
"""


def lua(script: str) -> list[str]:
    """Run a script after push.lua was loaded; gives what was posted, two lines for each."""
    library = ctypes.CDLL(ctypes.util.find_library("lua5.4") or "liblua5.4.so.0")
    library.luaL_newstate.restype = ctypes.c_void_p
    library.lua_tolstring.restype = ctypes.c_char_p
    state = ctypes.c_void_p(library.luaL_newstate())
    library.luaL_openlibs(state)
    before = _DOVECOT % {"script": json.dumps(str(SCRIPT))}
    chunk = before + script + '\nreturn table.concat(posted, "\\n")'
    failed = library.luaL_loadstring(state, chunk.encode()) or library.lua_pcallk(
        state, 0, 1, 0, ctypes.c_ssize_t(0), None
    )
    result = library.lua_tolstring(state, -1, None).decode()
    library.lua_close(state)
    assert not failed, result
    return str(result).splitlines()


def test_every_node_is_told_once_for_a_transaction() -> None:
    body = '{"user":"ann@example.test","mailboxes":["INBOX"],"delivered":true}'
    assert lua(
        'changed_mailbox = "INBOX"'
        'commit("ann@example.test", "message_new", "flags_set", "message_expunge")'
    ) == [
        "POST http://a/events Bearer secret",
        body,
        "POST http://b/events Bearer secret",
        body,
    ]


def test_a_transaction_without_changes_is_not_told() -> None:
    assert lua('commit("ann@example.test")') == []


@pytest.mark.parametrize("name", ['o"hara', "back\\slash", "tab\there", "jürgen", "a'b"])
def test_names_arrive_as_they_are(name: str) -> None:
    """RFC 8259 §7"""
    text = json.dumps(name, ensure_ascii=False)
    body = lua(f'changed_mailbox = {text} commit({text}, "flags_set")')[1]
    assert json.loads(body) == {"user": name, "mailboxes": [name], "delivered": False}


def test_an_event_without_a_mailbox_is_told_all_the_same() -> None:
    body = lua('commit("ann", "mailbox_subscribe")')[1]
    assert json.loads(body) == {"user": "ann", "mailboxes": [], "delivered": False}


def test_no_more_mailboxes_are_named_than_are_read() -> None:
    """The user is told of in any case."""
    script = """
        dovecot_lua_notify_begin_txn_before = dovecot_lua_notify_begin_txn
        function dovecot_lua_notify_begin_txn(user)
          local ctx = dovecot_lua_notify_begin_txn_before(user)
          for n = 1, 500 do
            dovecot_lua_notify_event_flags_set(ctx, { mailbox = "m" .. n })
          end
          return ctx
        end
        commit("ann")
    """
    body = json.loads(lua(script)[1])
    assert len(set(body["mailboxes"])) == len(body["mailboxes"]) == 100


def test_a_gateway_that_does_not_answer_is_left_alone_for_a_while() -> None:
    told = lua(
        """
        answers["http://a/events"] = 9008
        commit("ann", "flags_set") commit("ann", "flags_set")
        now = now + 60
        commit("ann", "flags_set")
        """
    )[::2]
    assert [line.split()[1] for line in told] == [
        f"http://{node}/events" for node in ("a", "b", "b", "a", "b")
    ]
