-- What the scripts of a room's log share. The first line of a script, `#!lua`, is put before this.
--
-- KEYS[1] stream: one entry for each block, its id the block's last seq, its field `b` the payload
-- KEYS[2] meta, a hash: epoch (16 hex digits), seq (of the last entry), len (of the stream after the
--         last append), run (the server's run id then), forks ("epoch:seq epoch:seq"), topic,
--         gen (of senders; 0 for none), old (1 when there is an old generation), and times in
--         milliseconds: rotated (senders), aged (checked for old entries), expires (all keys)
-- KEYS[3] senders, a hash: "#" -> gen, session -> its last nonces
-- KEYS[4] senders of the generation before
--
-- A seq goes into text by string.format('%.0f'): Lua writes 1e14 as "1e+14".

local LOG, META, SENDERS, SENDERS_OLD = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local SEQ_MAX = 9007199254740991
-- A head above this was written by somebody else: no chat gets there, and its log could not go on.
local HEAD_MAX = 4503599627370495
local HEADER_BYTES = 38
-- Larger than any node writes: what payload.rs refuses is not even sent.
local PAYLOAD_BYTES_MAX = 82221

local function text(number)
  return string.format('%.0f', number)
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The seq in an id that this chat wrote, or nil.
local function seq_of(id)
  return tonumber(string.match(id, '^(%d+)%-0$'))
end

-- First seq, number of entries, time, epoch and payload of a stream entry, or nil for what this
-- chat did not write.
local function block_of(entry)
  local last, payload = seq_of(entry[1]), entry[2][2]
  if not last or entry[2][1] ~= 'b' or string.byte(payload) ~= 1 or #payload < HEADER_BYTES
    or #payload > PAYLOAD_BYTES_MAX then
    return nil
  end
  local first, len, at = struct.unpack('>I8I4I8', payload, 18)
  if len < 1 or first + len - 1 ~= last then
    return nil
  end
  return first, len, at, string.sub(payload, 2, 17), payload
end

-- When a stream entry was appended; far in the future for what this chat did not write.
local function at_of(entry)
  local _, _, at = block_of(entry)
  return at or SEQ_MAX
end

-- The meta hash with its numbers read, or nil when it is missing or not whole.
local function load_meta()
  local found = redis.call('HMGET', META, 'epoch', 'seq', 'len', 'run', 'forks', 'gen', 'old',
    'rotated', 'aged', 'expires')
  local meta = {
    epoch = found[1], seq = tonumber(found[2]), len = tonumber(found[3]), run = found[4],
    forks = found[5], gen = tonumber(found[6]), old = tonumber(found[7]),
    rotated = tonumber(found[8]), aged = tonumber(found[9]), expires = tonumber(found[10]),
  }
  local whole = meta.epoch and #meta.epoch == 16 and string.find(meta.epoch, '^[0-9a-f]+$')
    and meta.run and meta.forks and meta.seq
    and meta.seq >= 0 and meta.seq <= HEAD_MAX and meta.seq % 1 == 0
    and meta.len and meta.gen and meta.old
    and meta.rotated and meta.aged and meta.expires
  return whole and meta or nil
end
