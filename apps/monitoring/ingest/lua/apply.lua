-- Adds one flush of one writer to the open minutes of one shard, exactly once.
--
-- KEYS[1] hash: open minute -> id of its batch     KEYS[2] string: last sequence number of this writer
-- KEYS[3] hash: id of a sealed batch -> its minute
-- ARGV[1] prefix of the batch keys    ARGV[2] sequence number    ARGV[3] seconds to remember the writer
-- ARGV[4] number of records; then for each record:
--   minute, batch id to use when the minute has none, tenant,
--   n, n * (field, delta)  to add;   n, n * (field, value)  to keep the smaller;   n, n * (field, value)  to keep the larger;
--   n, n * (series, m, m * member)   sets
-- Returns 1 when applied, 0 when this sequence number had been applied before.
--
-- Atomic because a flush whose answer was lost is sent again with the same number, and because the batch of a
-- minute must not be sealed between two of its records. The batch keys are not declared: their names depend on the
-- batch id found here, but they carry the hash tag of KEYS, so they live in the same slot of a cluster.
--
-- A batch is added to by one run of the server only. One that another run began may be in the snapshots already: a crash
-- of the machine, or a replica that was behind, takes back the seal and not the commit. So it is sealed as it is.
local open, writer, sealed = KEYS[1], KEYS[2], KEYS[3]
local prefix, seq, ttl, records = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

local last = redis.call('GET', writer)
if last and tonumber(last) >= seq then
  return 0
end
redis.call('SET', writer, ARGV[2], 'EX', ttl)

local at = 5
local function take()
  local value = ARGV[at]
  at = at + 1
  return value
end

-- Who may not ask for it has all runs in one.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''

local function batch_of(minute, candidate)
  local known = redis.call('HGET', open, minute)
  if known and redis.call('GET', prefix .. known .. ':r') == run then
    return known
  end
  if known then
    redis.call('HSET', sealed, known, minute)
  end
  redis.call('HSET', open, minute, candidate)
  redis.call('SET', prefix .. candidate .. ':r', run)
  return candidate
end

local batches = {}
for _ = 1, records do
  local minute, candidate, tenant = take(), take(), take()
  local batch = batches[minute] or batch_of(minute, candidate)
  batches[minute] = batch
  redis.call('SADD', prefix .. batch, tenant)
  local fields = prefix .. batch .. ':f:' .. tenant
  for _ = 1, tonumber(take()) do
    local field, delta = take(), take()
    local answer = redis.pcall('HINCRBY', fields, field, delta)
    if type(answer) == 'table' and answer.err then
      if not string.find(answer.err, 'overflow', 1, true) then
        return answer
      end
      -- Beyond 64 bits a sum stays at their end: one absurd series must not cost the others their flush.
      redis.call('HSET', fields, field, string.sub(delta, 1, 1) == '-' and '-9223372036854775808' or '9223372036854775807')
    end
  end
  for _ = 1, tonumber(take()) do
    local field, value = take(), take()
    local known = redis.call('HGET', fields, field)
    if not known or tonumber(value) < tonumber(known) then
      redis.call('HSET', fields, field, value)
    end
  end
  for _ = 1, tonumber(take()) do
    local field, value = take(), take()
    local known = redis.call('HGET', fields, field)
    if not known or tonumber(value) > tonumber(known) then
      redis.call('HSET', fields, field, value)
    end
  end
  for _ = 1, tonumber(take()) do
    local set = prefix .. batch .. ':d:' .. take() .. ':' .. tenant
    for _ = 1, tonumber(take()) do
      redis.call('SADD', set, take())
    end
  end
end
return 1
