#!lua flags=allow-oom
-- Writes a node's registry and renews its lease, or only renews it; then tells everybody.
--
-- KEYS[1] registry of the node, a hash that ends with its lease: v (version), e… (entries)
-- KEYS[2] nodes, a sorted set: node -> when its lease ends   KEYS[3] claims, a hash, with a mark of
-- each node that shows it whether they were lost
-- ARGV[1] node   ARGV[2] milliseconds of the lease   ARGV[3] channel   ARGV[4] gossip
-- ARGV[5] "renew", "write" or "reset"   ARGV[6] version   ARGV[7] entries to set
-- ARGV[8…] fields and values to set, then fields to remove
--
-- Answers 1, or 0 when the lease had ended or one of the three is lost; then nothing was written or
-- said, and the node registers anew.

local REGISTRY, NODES, CLAIMS = KEYS[1], KEYS[2], KEYS[3]
local NODE, LEASE_MS, ACTION = ARGV[1], tonumber(ARGV[2]), ARGV[5]
local STEP, CLAIMS_CHECKED = 1000, 16
-- Kept a day after the last node has gone.
local KEPT_MS = 24 * 60 * 60 * 1000

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- No name has a space. As the value of a claim, so that it goes with its node.
local MARK = 'node ' .. NODE
if ACTION == 'reset' then
  redis.call('DEL', REGISTRY)
  redis.call('HSET', CLAIMS, MARK, NODE .. string.rep('0', 16))
elseif redis.call('EXISTS', REGISTRY) == 0 or not redis.call('ZSCORE', NODES, NODE)
  or redis.call('HEXISTS', CLAIMS, MARK) == 0 then
  return 0
end
if ACTION ~= 'renew' then
  redis.call('HSET', REGISTRY, 'v', ARGV[6])
  local sets_end = 7 + 2 * tonumber(ARGV[7])
  for from = 8, sets_end, STEP do
    redis.call('HSET', REGISTRY, unpack(ARGV, from, math.min(from + STEP - 1, sets_end)))
  end
  for from = sets_end + 1, #ARGV, STEP do
    redis.call('HDEL', REGISTRY, unpack(ARGV, from, math.min(from + STEP - 1, #ARGV)))
  end
end
redis.call('PEXPIRE', REGISTRY, LEASE_MS)
redis.call('ZREMRANGEBYSCORE', NODES, '-inf', now)
redis.call('ZADD', NODES, now + LEASE_MS, NODE)
redis.call('PEXPIRE', NODES, KEPT_MS)

-- Claims of nodes that are gone hold no more; some are looked for each time, so that they go.
local claims = redis.call('HRANDFIELD', CLAIMS, CLAIMS_CHECKED, 'WITHVALUES')
for index = 1, #claims, 2 do
  if not redis.call('ZSCORE', NODES, string.sub(claims[index + 1], 1, 16)) then
    redis.call('HDEL', CLAIMS, claims[index])
  end
end
redis.call('PEXPIRE', CLAIMS, KEPT_MS)
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
