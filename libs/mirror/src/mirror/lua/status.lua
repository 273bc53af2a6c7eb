-- KEYS seed online deactivated load versions
-- ARGV id
-- Returns the seed, now in ms, last beat or nil, deactivated, load/capacity or nil, whether each
-- of the three facts is known.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
local time = server.call('TIME')
local id = ARGV[1]
return {
  seed,
  time[1] * 1000 + math.floor(time[2] / 1000),
  server.call('ZSCORE', KEYS[2], id),
  server.call('SISMEMBER', KEYS[3], id),
  server.call('HGET', KEYS[4], id),
  server.call('HMGET', KEYS[5], id .. ':o', id .. ':a', id .. ':l'),
}
