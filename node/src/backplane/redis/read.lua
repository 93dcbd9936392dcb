-- Reads a room's log from one place on. Writes nothing, so that it works while Redis refuses writes.
--
-- ARGV[1] run id of the server, or ""   ARGV[2] "1" to read whatever is there
-- ARGV[3] milliseconds an entry is kept   ARGV[4] milliseconds until an unused room is forgotten
-- ARGV[5] epoch the reader has, or "" to read the last entries
-- ARGV[6] seq the reader has
-- ARGV[7] entries to read   ARGV[8] bytes to read   ARGV[9] id where an earlier call stopped, or ""
--
-- Answers {epoch, head, first seq kept, topic, "seamless" | "trimmed" | "diverged", seq after which
-- the blocks start, id where it stopped before the end or "", entries of the stream that are no
-- blocks, payload…}, or nil when the log has to be opened first.

local RUN, FORCED = ARGV[1], ARGV[2] == '1'
local AGE_MS, IDLE_MS = tonumber(ARGV[3]), tonumber(ARGV[4])
local AFTER_EPOCH, AFTER_SEQ = ARGV[5], tonumber(ARGV[6])
local ENTRIES_MAX, BYTES_MAX, RESUMED = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]
-- What is looked at in one call, so that garbage does not hold the server up.
local STEP, FOREIGN_MAX, FOREIGN_BYTES_MAX = 16, 2048, 8 * 1024 * 1024

local meta = load_meta()
if not meta then
  return nil
end
-- The first entries, up to one that is a block.
local first = meta.seq + 1
local now = now_ms()
for _, entry in ipairs(redis.call('XRANGE', LOG, '-', '+', 'COUNT', 8)) do
  local seq, _, at = block_of(entry)
  if seq then
    if at <= now - AGE_MS and not FORCED then
      return nil
    end
    first = seq
    break
  end
end
if not FORCED then
  local is_same_run = RUN == '' or meta.run == RUN
  local is_fresh = meta.expires - now >= IDLE_MS - IDLE_MS / 64
  if not is_same_run or not is_fresh or redis.call('XLEN', LOG) ~= meta.len then
    return nil
  end
end

-- Where to read on.
local start, continuation = 0, 'seamless'
if AFTER_EPOCH ~= '' then
  local valid
  if AFTER_EPOCH == meta.epoch then
    valid = meta.seq
  else
    valid = tonumber(string.match(meta.forks, AFTER_EPOCH .. ':(%d+)')) or 0
  end
  if AFTER_SEQ > valid then
    start, continuation = valid, 'diverged'
  else
    start = AFTER_SEQ
    continuation = start + 1 < first and 'trimmed' or 'seamless'
  end
end

local blocks, entries, bytes, foreign, foreign_bytes = {}, 0, 0, 0, 0

-- Takes a stream entry; false when the bounds are reached and it is not taken.
local function take(entry)
  if entries >= ENTRIES_MAX or bytes >= BYTES_MAX or foreign >= FOREIGN_MAX
    or foreign_bytes >= FOREIGN_BYTES_MAX then
    return false
  end
  local seq, len, _, _, payload = block_of(entry)
  if seq and seq + len - 1 <= meta.seq then
    entries = entries + len
    bytes = bytes + #payload
    blocks[#blocks + 1] = payload
  else
    foreign = foreign + 1
    for _, part in ipairs(entry[2]) do
      foreign_bytes = foreign_bytes + #part
    end
  end
  return true
end

-- Takes entries as far as the bounds allow: the id of the last one if there are more, or "".
local function scan(command, from, to)
  local last = ''
  while true do
    local found = redis.call(command, LOG, from, to, 'COUNT', STEP)
    for _, entry in ipairs(found) do
      if not take(entry) then
        return last
      end
      last = entry[1]
      from = '(' .. last
    end
    if #found < STEP then
      return ''
    end
  end
end

local stopped
if AFTER_EPOCH == '' then
  stopped = scan('XREVRANGE', RESUMED == '' and '+' or '(' .. RESUMED, '-')
  for index = 1, math.floor(#blocks / 2) do
    local other = #blocks - index + 1
    blocks[index], blocks[other] = blocks[other], blocks[index]
  end
else
  stopped = scan('XRANGE', '(' .. (RESUMED == '' and text(start) or RESUMED), '+')
end

local answer = { meta.epoch, meta.seq, first, redis.call('HGET', META, 'topic') or '', continuation,
  start, stopped, foreign }
for _, block in ipairs(blocks) do
  answer[#answer + 1] = block
end
return answer
