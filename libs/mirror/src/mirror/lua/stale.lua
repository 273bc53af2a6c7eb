-- KEYS seed online versions intake
-- ARGV fresh limit in ms, auto-offline limit in ms, how many
-- Returns the seed, now in ms, end of the last silence, newest beat (id, score) and the
-- guard, online, fresh, ids
-- and scores, their status versions; the seed alone where a guard is missing.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
if not server.call('ZSCORE', KEYS[2], 'guard') or server.call('HEXISTS', KEYS[3], 'guard') == 0 then
  return {seed}
end
local time = server.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = server.call('ZRANGE', KEYS[2], '-inf', string.format('(%.0f', now - tonumber(ARGV[2])),
  'BYSCORE', 'LIMIT', 0, ARGV[3], 'WITHSCORES')
local fields = {}
for i = 1, #found, 2 do fields[#fields + 1] = found[i] .. ':o' end
return {
  seed,
  now,
  server.call('GET', KEYS[4]),
  server.call('ZRANGE', KEYS[2], -2, -1, 'WITHSCORES'),
  server.call('ZCARD', KEYS[2]) - 1,
  server.call('ZCOUNT', KEYS[2], string.format('(%.0f', now - tonumber(ARGV[1])), '(+inf'),
  found,
  #fields > 0 and server.call('HMGET', KEYS[3], unpack(fields)) or {},
}
