-- Keeps a room's log honest: decides whether it is still the log it was, and begins a new epoch
-- when it is not. Between log.lua and a script that writes.
--
-- ARGV[1] epoch to begin when one is needed   ARGV[2] run id of the server, or ""
-- ARGV[3] epoch the caller knows, or ""       ARGV[4] highest seq it knows there
-- ARGV[5] milliseconds until an unused room is forgotten
-- ARGV[6] milliseconds an entry is kept

local PROPOSAL, RUN = ARGV[1], ARGV[2]
local KNOWN_EPOCH, KNOWN_SEQ = ARGV[3], tonumber(ARGV[4])
local IDLE_MS, AGE_MS = tonumber(ARGV[5]), tonumber(ARGV[6])
-- Learned from somebody else's numbers: no seq is left above it.
if KNOWN_SEQ > HEAD_MAX then
  KNOWN_SEQ = 0
end
local FORKS_MAX = 16

-- Begins a new epoch above every seq that is known. `lost` is true when entries or nonces may be
-- gone: then a repeat cannot be told from a new entry, and all nonces are forgotten.
local function begin_epoch(meta, now, lost)
  local fresh = {
    epoch = PROPOSAL, seq = KNOWN_SEQ, len = 0, run = RUN, forks = '', gen = 0, old = 0,
    rotated = now, aged = 0, expires = 0,
  }
  local last = redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1]
  local last_seq = last and (tonumber(string.match(last[1], '^(%d+)')) or 0) or 0
  if last_seq > HEAD_MAX then
    -- Somebody else wrote here, and no seq is left above it.
    redis.call('DEL', LOG)
    last, last_seq = nil, 0
  end
  local fork_epoch, fork_seq
  if meta then
    fork_epoch, fork_seq = meta.epoch, meta.seq
    fresh.seq = math.max(fresh.seq, meta.seq)
    fresh.forks = meta.forks
    if not lost then
      fresh.gen, fresh.old, fresh.rotated = meta.gen, meta.old, meta.rotated
    end
  elseif last then
    -- The stream itself says which epoch it ended in.
    local first, _, _, epoch = block_of(last)
    if first then
      fork_epoch, fork_seq = epoch, last_seq
    end
  end
  fresh.seq = math.max(fresh.seq, last_seq)
  if fork_epoch then
    local forks = {}
    for fork in string.gmatch(fresh.forks, '%S+') do
      forks[#forks + 1] = fork
    end
    forks[#forks + 1] = fork_epoch .. ':' .. text(fork_seq)
    fresh.forks = table.concat(forks, ' ', math.max(1, #forks - FORKS_MAX + 1))
  end
  if lost then
    redis.call('DEL', SENDERS, SENDERS_OLD)
  end
  fresh.len = redis.call('XLEN', LOG)
  redis.call('HSET', META, 'epoch', fresh.epoch, 'seq', text(fresh.seq), 'len', fresh.len,
    'run', fresh.run, 'forks', fresh.forks, 'gen', fresh.gen, 'old', fresh.old,
    'rotated', text(fresh.rotated), 'aged', 0, 'expires', 0)
  return fresh
end

-- The log as it is now, in a new epoch if it is not what it was; and why, or ''.
local function open_log(now)
  local meta = load_meta()
  if not meta then
    local is_new = redis.call('EXISTS', LOG, META, SENDERS, SENDERS_OLD) == 0
    return begin_epoch(nil, now, true), (is_new and KNOWN_EPOCH == '') and '' or 'its head is lost'
  end
  local len = redis.call('XLEN', LOG)
  if len ~= meta.len then
    local last = redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1]
    if not last or seq_of(last[1]) ~= meta.seq then
      return begin_epoch(meta, now, true), 'entries are lost'
    end
    -- Only older entries are gone, as by trimming.
    meta.len = len
    redis.call('HSET', META, 'len', len)
  end
  if RUN ~= '' and meta.run ~= RUN then
    if meta.run == '' then
      meta.run = RUN
      redis.call('HSET', META, 'run', RUN)
    else
      return begin_epoch(meta, now, false), 'the server was started again'
    end
  end
  if KNOWN_EPOCH == meta.epoch and KNOWN_SEQ > meta.seq then
    return begin_epoch(meta, now, false), 'it is behind what was announced'
  end
  return meta, ''
end

-- Drops entries older than the bound, found by halving: their times rise with their ids.
local function drop_aged(meta, now)
  local oldest = now - AGE_MS
  local first = redis.call('XRANGE', LOG, '-', '+', 'COUNT', 1)[1]
  if first and at_of(first) <= oldest then
    local low, high = tonumber(string.match(first[1], '^(%d+)')) + 1, meta.seq + 1
    while low < high do
      local middle = math.floor((low + high) / 2)
      local entry = redis.call('XRANGE', LOG, text(middle), '+', 'COUNT', 1)[1]
      if entry and at_of(entry) <= oldest then
        low = tonumber(string.match(entry[1], '^(%d+)')) + 1
      else
        high = middle
      end
    end
    redis.call('XTRIM', LOG, 'MINID', '=', text(low))
  end
  meta.aged = now
  meta.len = redis.call('XLEN', LOG)
end

-- All keys of a room end in one moment, so that none is ever missing while another is there.
local function expire_together(meta, now)
  meta.expires = now + IDLE_MS
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIREAT', key, text(meta.expires))
  end
end
