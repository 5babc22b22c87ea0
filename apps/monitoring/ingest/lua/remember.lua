-- Remembers a value under a name, unless there is one already.
--
-- KEYS[1] string: the value     ARGV[1] the value to remember (never empty)     ARGV[2] seconds to remember it
-- ARGV[3] a value that is written over, and for as long as it was to be remembered; empty: none
-- Returns the value that is remembered from here on.
--
-- Atomic because two that come at once must both get the value of the first.
local known = redis.call('GET', KEYS[1])
if known and known ~= ARGV[3] then
  return known
end
if known then
  redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
else
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
return ARGV[1]
