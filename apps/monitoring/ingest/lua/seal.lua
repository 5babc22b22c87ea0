-- Seals every open minute of a shard that is due: from here on a late record of the minute opens a new batch.
--
-- KEYS[1] hash: open minute -> id of its batch     KEYS[2] hash: id of a sealed batch -> its minute
-- ARGV[1] the first minute that stays open
-- Returns every sealed batch that has not been dropped yet: id, minute, id, minute, ...
--
-- Atomic because a batch must be in exactly one of the two hashes; nothing is renamed, so it costs the same for
-- one tenant and for ten thousand.
local open, sealed, limit = KEYS[1], KEYS[2], tonumber(ARGV[1])
local entries = redis.call('HGETALL', open)
for i = 1, #entries, 2 do
  if tonumber(entries[i]) < limit then
    redis.call('HSET', sealed, entries[i + 1], entries[i])
    redis.call('HDEL', open, entries[i])
  end
end
return redis.call('HGETALL', sealed)
