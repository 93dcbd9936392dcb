-- Whether a session and nonce were appended before. Writes nothing.
--
-- ARGV[1] session (8 bytes)   ARGV[2] nonce
--
-- Answers {epoch, seq}, with seq 0 for a nonce that is too old, or nil for one that is new.

local SESSION, NONCE = ARGV[1], tonumber(ARGV[2])

local meta = load_meta()
-- Without a head, or with lost nonces, an append begins a new epoch and takes it for new.
local windows = meta and load_windows(meta, { SESSION })
if not windows or NONCE > windows[SESSION].last then
  return nil
end
return { meta.epoch, find(windows[SESSION], SESSION, NONCE) or 0 }
