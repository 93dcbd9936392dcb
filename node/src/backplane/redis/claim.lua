#!lua flags=allow-oom
-- Claims keys. KEYS[1] claims, a hash: key -> node (16 hex digits) and session (16)   KEYS[2] nodes
-- ARGV[1] "move", so that a claim of the same session moves here from another live node, or "stay"
-- ARGV[2…] a key, node and session; and so on
--
-- Answers for each key "" when it is granted, or who holds it.

local CLAIMS, NODES, MOVES = KEYS[1], KEYS[2], ARGV[1] == 'move'

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function is_held(held, by)
  if not held or #held ~= 32 or held == by then
    return false
  end
  if MOVES and string.sub(held, 17) == string.sub(by, 17) then
    return false
  end
  local lease_ends = redis.call('ZSCORE', NODES, string.sub(held, 1, 16))
  return lease_ends and tonumber(lease_ends) > now
end

local answers = {}
for index = 2, #ARGV, 2 do
  local key, by = ARGV[index], ARGV[index + 1]
  local held = redis.call('HGET', CLAIMS, key)
  if is_held(held, by) then
    answers[#answers + 1] = held
  else
    redis.call('HSET', CLAIMS, key, by)
    answers[#answers + 1] = ''
  end
end
return answers
