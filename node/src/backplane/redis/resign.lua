#!lua flags=allow-oom
-- Ends a node's lease. KEYS[1] its registry   KEYS[2] nodes
-- ARGV[1] node   ARGV[2] channel   ARGV[3] gossip

redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
