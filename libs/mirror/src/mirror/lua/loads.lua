-- KEYS seed online load
-- ARGV first and last rank
-- Returns the seed and load/capacity of each online in this range of ranks, the last of all being
-- the guard; the seed alone where a guard is missing.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
if not server.call('ZSCORE', KEYS[2], 'guard') or server.call('HEXISTS', KEYS[3], 'guard') == 0 then
  return {seed}
end
local ids = server.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2])
if #ids == 0 then return {seed, {}} end
return {seed, server.call('HMGET', KEYS[3], unpack(ids))}
