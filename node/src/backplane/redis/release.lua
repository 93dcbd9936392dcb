#!lua flags=allow-oom
-- Gives a key back. KEYS[1] claims   ARGV[1] key   ARGV[2] node and session

if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
