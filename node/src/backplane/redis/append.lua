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
local now = now_ms()
-- The drafts, as lists: of each its session, nonce and frame's bytes. And each session once.
local of, nonces, sizes, sessions = {}, {}, {}, {}
do
  local at, count = 1, 0
  while at <= #HEADS do
    count = count + 1
    of[count], nonces[count], sizes[count], at = struct.unpack('>c8I8I4', HEADS, at)
    if not sessions[of[count]] then
      sessions[of[count]] = true
      sessions[#sessions + 1] = of[count]
    end
  end
end

local function remember(window, nonce, seq)
  window.fresh[#window.fresh + 1] = struct.pack('>I8I8', nonce, seq)
  window.last = nonce
end

local function save_windows(windows)
  local fields = {}
  for session, window in pairs(windows) do
    if #window.fresh > 0 then
      if window.source == SENDERS_OLD then
        for chunk, stored in ipairs(chunks_of(window, session)) do
          if stored then
            redis.call('HSET', SENDERS, session .. '/' .. chunk, stored)
          end
        end
      end
      local rest = window.pairs .. table.concat(window.fresh)
      while #rest > CHUNK_BYTES do
        local chunk = window.moved % CHUNKS + 1
        redis.call('HSET', SENDERS, session .. '/' .. chunk, string.sub(rest, 1, CHUNK_BYTES))
        rest = string.sub(rest, CHUNK_BYTES + 1)
        window.moved = window.moved + 1
      end
      fields[#fields + 1] = session
      fields[#fields + 1] = struct.pack('>I8', window.moved) .. rest
    end
  end
  redis.call('HSET', SENDERS, unpack(fields))
end

-- Starts a new generation of senders when there is none or the current one is old enough. True when
-- it changed anything.
local function rotate(meta, windows)
  local age = now - meta.rotated
  if meta.gen > 0 and age < 0 then
    -- The server's clock went back: the generation's age is counted from here, so that its nonces
    -- are kept long enough, and not until the clock is where it was.
    meta.rotated = now
    return true
  end
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
  local places, count = {}, 0
  for index, session in ipairs(of) do
    local window = windows[session]
    if nonces[index] > window.last then
      count = count + 1
      places[index] = meta.seq + count
      remember(window, nonces[index], places[index])
    else
      local seq = find(window, session, nonces[index])
      places[index] = seq and -seq or 0
    end
  end
  if count == #of then
    return places, FRAMES, count
  end
  local parts, at = {}, 1
  for index, seq in ipairs(places) do
    if seq > 0 then
      parts[#parts + 1] = string.sub(FRAMES, at, at + sizes[index] - 1)
    end
    at = at + sizes[index]
  end
  return places, table.concat(parts), count
end

-- One try: an error when the stream is ahead of its head; `lost` when nonces are.
local function append(meta)
  if meta.seq + #of > SEQ_MAX then
    return { err = 'ERR the log has no numbers left' }
  end
  local windows = load_windows(meta, sessions)
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
  local expires, aged = meta.expires, meta.aged
  local is_new = rotate(meta, windows) or meta.len == 0
  save_windows(windows)
  meta.seq = last
  meta.len = redis.call('XLEN', LOG)
  -- Also when the clock went back.
  if now < meta.aged or now - meta.aged >= AGE_MS / 64 then
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
  redis.call('HSET', META, 'seq', text(meta.seq), 'len', meta.len)
  if is_new or expires ~= meta.expires or aged ~= meta.aged then
    redis.call('HSET', META, 'gen', meta.gen, 'old', meta.old, 'rotated', text(meta.rotated),
      'aged', text(meta.aged), 'expires', text(meta.expires))
  end
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
      if top > HEAD_MAX then
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
