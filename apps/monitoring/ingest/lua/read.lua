-- Reads what a batch holds of some tenants, as texts: one answer of a few long texts is parsed ten times as fast as one
-- of many short ones.
--
-- KEYS[1] set: the tenants of the batch; its name is the prefix of the batch's other keys
-- ARGV[1] number of series that have a set of members; ARGV[2..] those series; then the tenants
-- Returns for each tenant: the names of its fields with NUL in between, their values with a blank in between, and for
-- each series its members with a blank in between. A missing key is an empty text. NUL is in no name: recording takes it
-- out of label values.
local batch, sets = KEYS[1], tonumber(ARGV[1])
local call, concat = redis.call, table.concat
local fields, members = batch .. ':f:', {}
for i = 1, sets do
  members[i] = batch .. ':d:' .. ARGV[1 + i] .. ':'
end
local answer, size = {}, 0
for i = 2 + sets, #ARGV do
  local tenant = ARGV[i]
  local key = fields .. tenant
  answer[size + 1] = concat(call('HKEYS', key), '\0')
  answer[size + 2] = concat(call('HVALS', key), ' ')
  size = size + 2
  for j = 1, sets do
    size = size + 1
    answer[size] = concat(call('SMEMBERS', members[j] .. tenant), ' ')
  end
end
return answer
