-- Appends drafts to a room's log: numbers, stores and announces what is no repeat, all at once.
--
-- ARGV[7] room   ARGV[8] channel   ARGV[9] entries kept
-- ARGV[10] milliseconds for which nonces are kept at least
-- ARGV[11] 20 bytes for each draft: session (8), nonce (8), bytes of its frame (4)
-- ARGV[12] all frames, one after the other
-- ARGV[13…] pairs: number of a draft, the topic it sets
--
-- Answers {epoch, why a new one began or "", place of each draft…}: a seq, minus the seq of a
-- repeat, or 0 for a nonce that is too old.

local ROOM, CHANNEL, ENTRIES_MAX, KEPT_MS = ARGV[7], ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local HEADS, FRAMES = ARGV[11], ARGV[12]
-- A session's value: how many nonces went into chunks (8), then up to 32 pairs of nonce and seq
-- (8 + 8), rising. A full value goes into a chunk of its own: a ring of 16, so 512 are remembered.
local PAIR_BYTES, CHUNK_PAIRS, CHUNKS = 16, 32, 16

local now = now_ms()
local drafts, sessions = {}, {}
do
  local at, frame_at = 1, 1
  while at <= #HEADS do
    local session, nonce, bytes
    session, nonce, bytes, at = struct.unpack('>c8I8I4', HEADS, at)
    drafts[#drafts + 1] = { session = session, nonce = nonce, from = frame_at, bytes = bytes }
    frame_at = frame_at + bytes
    if not sessions[session] then
      sessions[session] = true
      sessions[#sessions + 1] = session
    end
  end
end

local function read_window(value, source)
  local window = { moved = 0, pairs = '', last = -1, source = source, chunks = {}, written = false }
  if value then
    window.moved = struct.unpack('>I8', value)
    window.pairs = string.sub(value, 9)
    window.last = struct.unpack('>I8', value, #value - PAIR_BYTES + 1)
  end
  return window
end

-- What is remembered of each session of this call, or nil when that is lost.
local function load_windows(meta)
  local windows, missing = {}, {}
  if meta.gen > 0 then
    local found = redis.call('HMGET', SENDERS, '#', unpack(sessions))
    if tonumber(found[1]) ~= meta.gen then
      return nil
    end
    for index, session in ipairs(sessions) do
      if found[index + 1] then
        windows[session] = read_window(found[index + 1], SENDERS)
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

-- The seq of a nonce that is not above the session's last one, or nil when it is not remembered.
local function find(window, session, nonce)
  local seq = find_pair(window.pairs, nonce)
  for chunk = 0, CHUNKS - 1 do
    if seq then
      break
    end
    local stored = window.chunks[chunk]
      or (window.moved > 0 and redis.call('HGET', window.source, session .. '/' .. chunk))
    seq = stored and find_pair(stored, nonce)
  end
  return seq
end

local function remember(window, nonce, seq)
  if #window.pairs >= PAIR_BYTES * CHUNK_PAIRS then
    window.chunks[(window.moved / CHUNK_PAIRS) % CHUNKS] = window.pairs
    window.moved = window.moved + CHUNK_PAIRS
    window.pairs = ''
  end
  window.pairs = window.pairs .. struct.pack('>I8I8', nonce, seq)
  window.last = nonce
  window.written = true
end

local function save_windows(windows)
  local fields = {}
  for session, window in pairs(windows) do
    if window.written then
      if window.source == SENDERS_OLD and window.moved > 0 then
        for chunk = 0, CHUNKS - 1 do
          window.chunks[chunk] = window.chunks[chunk]
            or redis.call('HGET', SENDERS_OLD, session .. '/' .. chunk) or nil
        end
      end
      for chunk, stored in pairs(window.chunks) do
        redis.call('HSET', SENDERS, session .. '/' .. chunk, stored)
      end
      fields[#fields + 1] = session
      fields[#fields + 1] = struct.pack('>I8', window.moved) .. window.pairs
    end
  end
  redis.call('HSET', SENDERS, unpack(fields))
end

-- Starts a new generation of senders when there is none or the current one is old enough.
local function rotate(meta, windows)
  local age = now - meta.rotated
  if meta.gen > 0 and age < KEPT_MS then
    return false
  end
  if meta.gen > 0 and age < 2 * KEPT_MS then
    redis.call('RENAME', SENDERS, SENDERS_OLD)
    meta.old = 1
  else
    redis.call('DEL', SENDERS, SENDERS_OLD)
    meta.old = 0
  end
  for _, window in pairs(windows) do
    window.source = meta.old == 1 and window.source == SENDERS and SENDERS_OLD or nil
  end
  meta.gen = meta.gen + 1
  meta.rotated = now
  redis.call('HSET', SENDERS, '#', meta.gen)
  return true
end

-- Gives each draft its place: the places, the frames that are new, and how many they are.
local function place(meta, windows)
  local places, parts, count = {}, {}, 0
  for index, draft in ipairs(drafts) do
    local window = windows[draft.session]
    if draft.nonce > window.last then
      count = count + 1
      local seq = meta.seq + count
      remember(window, draft.nonce, seq)
      places[index] = seq
      parts[count] = draft
    else
      local seq = find(window, draft.session, draft.nonce)
      places[index] = seq and -seq or 0
    end
  end
  if count == #drafts then
    return places, FRAMES, count
  end
  for index, draft in ipairs(parts) do
    parts[index] = string.sub(FRAMES, draft.from, draft.from + draft.bytes - 1)
  end
  return places, table.concat(parts), count
end

-- One try: an error when the stream is ahead of its head; `lost` when nonces are.
local function append(meta)
  if meta.seq + #drafts > SEQ_MAX then
    return { err = 'ERR the log has no numbers left' }
  end
  local windows = load_windows(meta)
  if not windows then
    return nil, 'lost'
  end
  local places, frames, count = place(meta, windows)
  if count == 0 then
    return places
  end
  local payload = '\1' .. meta.epoch .. struct.pack('>I8I4I8', meta.seq + 1, count, now)
    .. string.char(#ROOM) .. ROOM .. frames
  local last = meta.seq + count
  local added = redis.pcall('XADD', LOG, 'MINID', '=', text(math.max(0, last - ENTRIES_MAX + 1)),
    text(last) .. '-0', 'b', payload)
  if type(added) == 'table' then
    return nil, added.err
  end
  -- From here on nothing is refused: what could be has been.
  local is_new = rotate(meta, windows) or meta.len == 0
  save_windows(windows)
  meta.seq = last
  meta.len = redis.call('XLEN', LOG)
  if now - meta.aged >= AGE_MS / 64 then
    drop_aged(meta, now)
  end
  local topic
  for index = 13, #ARGV, 2 do
    if places[tonumber(ARGV[index])] > 0 then
      topic = ARGV[index + 1]
    end
  end
  if topic then
    redis.call('HSET', META, 'topic', topic)
  end
  if is_new or meta.expires - now < IDLE_MS - IDLE_MS / 64 then
    expire_together(meta, now)
  end
  redis.call('HSET', META, 'seq', text(meta.seq), 'len', meta.len, 'gen', meta.gen,
    'old', meta.old, 'rotated', text(meta.rotated), 'aged', text(meta.aged),
    'expires', text(meta.expires))
  redis.call('PUBLISH', CHANNEL, payload)
  return places
end

local meta, why = open_log(now)
local places, problem = append(meta)
if problem == 'lost' then
  meta, why = begin_epoch(meta, now, true), 'nonces are lost'
  places, problem = append(meta)
elseif problem and string.find(problem, 'equal or smaller', 1, true) then
  -- The stream has ids above the head: go on above them.
  local stream = redis.call('XINFO', 'STREAM', LOG)
  for index = 1, #stream, 2 do
    if stream[index] == 'last-generated-id' then
      local top = tonumber(string.match(stream[index + 1], '^(%d+)'))
      if top > SEQ_MAX / 2 then
        redis.call('DEL', LOG)
      else
        KNOWN_SEQ = math.max(KNOWN_SEQ, top)
      end
    end
  end
  meta, why = begin_epoch(meta, now, true), 'its stream is ahead of its head'
  places, problem = append(meta)
end
if problem then
  return redis.error_reply(problem)
end
if places.err then
  return places
end
return { meta.epoch, why, unpack(places) }
