-- RFC 5423: tells jmap-gateway that something in an account changed, as soon as it did, so that the
-- gateway needs no IMAP connection to learn of it. What changed, it asks over IMAP.
--
-- For Dovecot 2.3. 11-jmap-gateway.conf switches it on and says where the gateway is.

-- The longest that a delivery or a command waits for one gateway. One that is busy for a moment is
-- to hear of it all the same: a delivery that it is not told of, clients may learn of much later.
local TIMEOUT_MSECS = 2000
-- A gateway that did not answer is left alone for so long, lest every command of a session waits.
-- What it is not told meanwhile, it finds when it looks for itself.
local PAUSE_SECONDS = 5
-- Of a mailbox of another user, the name tells the gateway who else sees it.
local MAX_MAILBOXES = 100

local client
local paused_until = {} -- by URL

-- The values of a setting that has several, separated by blanks.
local function words(text)
  local found = {}
  for word in (text or ""):gmatch("%S+") do
    found[#found + 1] = word
  end
  return found
end

-- RFC 8259 §7
local function json_string(text)
  local escaped = text:gsub('[%c"\\]', function(character)
    return ("\\u%04x"):format(character:byte())
  end)
  return '"' .. escaped .. '"'
end

local function post(url, secret, body)
  local request = client:request({ url = url, method = "POST" })
  request:add_header("Authorization", "Bearer " .. secret)
  request:add_header("Content-Type", "application/json")
  request:set_payload(body)
  local response = request:submit()
  if response:status() ~= 204 then
    local why = response:status() .. " " .. response:reason()
    dovecot.i_warning("jmap-gateway: " .. url .. ": " .. why)
    paused_until[url] = os.time() + PAUSE_SECONDS
  end
end

function dovecot_lua_notify_begin_txn(user)
  return { user = user, changed = false, delivered = false, mailboxes = {}, count = 0 }
end

-- A transaction with many messages is told of once, at its end.
local function changed(ctx, event)
  ctx.changed = true
  local mailbox = event and event.mailbox
  if mailbox and ctx.count < MAX_MAILBOXES and not ctx.mailboxes[mailbox] then
    ctx.mailboxes[mailbox] = true
    ctx.count = ctx.count + 1
  end
end

-- Mail has come, which a client did not put there by itself.
local function delivered(ctx, event)
  ctx.delivered = true
  changed(ctx, event)
end

dovecot_lua_notify_event_message_new = delivered
dovecot_lua_notify_event_message_append = changed
dovecot_lua_notify_event_message_expunge = changed
dovecot_lua_notify_event_flags_set = changed
dovecot_lua_notify_event_flags_clear = changed
dovecot_lua_notify_event_message_read = changed
dovecot_lua_notify_event_message_trash = changed
dovecot_lua_notify_event_mailbox_create = changed
dovecot_lua_notify_event_mailbox_delete = changed
dovecot_lua_notify_event_mailbox_rename = changed
dovecot_lua_notify_event_mailbox_subscribe = changed
dovecot_lua_notify_event_mailbox_unsubscribe = changed

function dovecot_lua_notify_end_txn(ctx)
  if not ctx.changed then
    return
  end
  client = client
    or dovecot.http.client({
      connect_timeout_msecs = TIMEOUT_MSECS,
      request_timeout_msecs = TIMEOUT_MSECS,
      request_absolute_timeout_msecs = TIMEOUT_MSECS,
      max_attempts = 1,
      max_connect_attempts = 1,
      no_auto_retry = true,
    })
  local names = {}
  for mailbox in pairs(ctx.mailboxes) do
    names[#names + 1] = json_string(mailbox)
  end
  local body = ('{"user":%s,"mailboxes":[%s],"delivered":%s}'):format(
    json_string(ctx.user.username), table.concat(names, ","), tostring(ctx.delivered)
  )
  local secret = words(ctx.user:plugin_getenv("jmap_gateway_events_secret"))[1] or ""
  for _, url in ipairs(words(ctx.user:plugin_getenv("jmap_gateway_events_urls"))) do
    if os.time() >= (paused_until[url] or 0) then
      post(url, secret, body)
    end
  end
end
