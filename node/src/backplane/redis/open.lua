-- Makes a room's log readable: begins its epoch when it has none or is not what it was, drops
-- entries older than the bound, and keeps the room from being forgotten.
--
-- Answers why a new epoch began, or "".

local now = now_ms()
local meta, why = open_log(now)
drop_aged(meta, now)
expire_together(meta, now)
redis.call('HSET', META, 'len', meta.len, 'aged', text(meta.aged), 'expires', text(meta.expires))
return why
