-- Reads what a batch holds of some tenants, as texts: one answer of a few long texts is parsed ten times as fast as one
-- of many short ones.
--
-- KEYS[1] set: the tenants of the batch; its name is the prefix of the batch's other keys
-- ARGV[1] number of series that have a set of members; ARGV[2..] those series; then the tenants
-- Returns for each tenant: the names of its fields with NUL in between, their values with a blank in between, and for
-- each series its members with a blank in between. A missing key is an empty text. NUL is in no name: recording takes it
-- out of label values.
local batch, sets = KEYS[1], tonumber(ARGV[1])
local answer = {}
for i = 2 + sets, #ARGV do
  local tenant = ARGV[i]
  local fields = batch .. ':f:' .. tenant
  answer[#answer + 1] = table.concat(redis.call('HKEYS', fields), '\0')
  answer[#answer + 1] = table.concat(redis.call('HVALS', fields), ' ')
  for j = 2, 1 + sets do
    answer[#answer + 1] = table.concat(redis.call('SMEMBERS', batch .. ':d:' .. ARGV[j] .. ':' .. tenant), ' ')
  end
end
return answer
