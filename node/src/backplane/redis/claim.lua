#!lua flags=allow-oom
-- Claims a key. KEYS[1] claims, a hash: key -> node (16 hex digits) and session (16)   KEYS[2] nodes
-- ARGV[1] key   ARGV[2] node and session
--
-- Answers "" when it is granted, or who holds it.

local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and #held == 32 and string.sub(held, 17) ~= string.sub(ARGV[2], 17) then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local lease_ends = redis.call('ZSCORE', KEYS[2], string.sub(held, 1, 16))
  if lease_ends and tonumber(lease_ends) > now then
    return held
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return ''
