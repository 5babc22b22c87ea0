-- Deletes a batch that is in the snapshots.
--
-- KEYS[1] hash: id of a sealed batch -> its minute     ARGV[1] prefix of the batch keys    ARGV[2] batch id
-- ARGV[3..] the series that have a set of members
-- Returns how many tenants it held. Deleting an already deleted batch does nothing. The entry in KEYS[1] goes last,
-- so whatever is left by a crash is found again.
local batch = ARGV[1] .. ARGV[2]
local tenants = redis.call('SMEMBERS', batch)
local keys = {}
for _, tenant in ipairs(tenants) do
  keys[#keys + 1] = batch .. ':f:' .. tenant
  for i = 3, #ARGV do
    keys[#keys + 1] = batch .. ':d:' .. ARGV[i] .. ':' .. tenant
  end
end
keys[#keys + 1] = batch .. ':r'
keys[#keys + 1] = batch
for first = 1, #keys, 1000 do
  redis.call('UNLINK', unpack(keys, first, math.min(first + 999, #keys)))
end
redis.call('HDEL', KEYS[1], ARGV[2])
return #tenants
