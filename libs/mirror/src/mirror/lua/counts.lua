-- KEYS seed online available
-- ARGV fresh limit in ms
-- Returns the seed, online, reachable, available: O(log N).
local seed = server.call('GET', KEYS[1])
if not seed then return false end
local time = server.call('TIME')
local floor = string.format('(%.0f', time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1]))
return {
  seed,
  server.call('ZCARD', KEYS[2]),
  server.call('ZCOUNT', KEYS[2], floor, '+inf'),
  server.call('ZCOUNT', KEYS[3], floor, '+inf'),
}
