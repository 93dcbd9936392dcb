-- The nonces that a log remembers of each session. Between log.lua and a script that asks for them.

-- A session's value: how many chunks were split off (8), then up to 8 pairs of nonce and seq
-- (8 + 8), rising: short, since every append writes it. What is more goes into chunks of 8 pairs
-- of their own: a ring of 64, so 512 are remembered.
local PAIR_BYTES, CHUNK_BYTES, CHUNKS = 16, 8 * 16, 64

-- A session's window, or nil when it is none that this chat wrote.
local function read_window(value, source)
  local window = { moved = 0, pairs = '', last = -1, source = source, fresh = {} }
  if value then
    if #value < 8 + PAIR_BYTES or #value > 8 + CHUNK_BYTES or (#value - 8) % PAIR_BYTES ~= 0 then
      return nil
    end
    window.moved = struct.unpack('>I8', value)
    window.pairs = string.sub(value, 9)
    window.last = struct.unpack('>I8', value, #value - PAIR_BYTES + 1)
    if window.moved > SEQ_MAX or window.last > SEQ_MAX then
      return nil
    end
  end
  return window
end

-- What is remembered of each of these sessions, or nil when that is lost.
local function load_windows(meta, sessions)
  local windows, missing = {}, {}
  if meta.gen > 0 then
    local found = redis.call('HMGET', SENDERS, '#', unpack(sessions))
    if tonumber(found[1]) ~= meta.gen then
      return nil
    end
    for index, session in ipairs(sessions) do
      if found[index + 1] then
        windows[session] = read_window(found[index + 1], SENDERS)
        if not windows[session] then
          return nil
        end
      else
        missing[#missing + 1] = session
      end
    end
  else
    missing = sessions
  end
  if #missing > 0 and meta.old == 1 then
    local found = redis.call('HMGET', SENDERS_OLD, '#', unpack(missing))
    if tonumber(found[1]) ~= meta.gen - 1 then
      return nil
    end
    for index, session in ipairs(missing) do
      if found[index + 1] then
        windows[session] = read_window(found[index + 1], SENDERS_OLD)
        if not windows[session] then
          return nil
        end
      end
    end
  end
  for _, session in ipairs(missing) do
    windows[session] = windows[session] or read_window(false, SENDERS)
  end
  return windows
end

local function find_pair(pairs_text, nonce)
  for at = #pairs_text - PAIR_BYTES + 1, 1, -PAIR_BYTES do
    local found, seq = struct.unpack('>I8I8', pairs_text, at)
    if found == nonce then
      return seq
    end
  end
  return nil
end

-- The stored chunks of a session.
local function chunks_of(window, session)
  if not window.source or window.moved == 0 then
    return {}
  end
  local fields = {}
  for chunk = 1, CHUNKS do
    fields[chunk] = session .. '/' .. chunk
  end
  return redis.call('HMGET', window.source, unpack(fields))
end

-- The seq of a nonce that is not above the session's last one, or nil when it is not remembered.
local function find(window, session, nonce)
  local seq = find_pair(table.concat(window.fresh), nonce) or find_pair(window.pairs, nonce)
  if seq then
    return seq
  end
  window.stored = window.stored or chunks_of(window, session)
  for _, chunk in ipairs(window.stored) do
    seq = chunk and find_pair(chunk, nonce)
    if seq then
      return seq
    end
  end
  return nil
end

