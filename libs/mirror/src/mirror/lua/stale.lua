-- KEYS seed online versions intake doubt
-- ARGV fresh limit in ms, auto-offline limit in ms, how many to skip, how many
-- Returns the seed, now in ms, end of the last silence, end of the first of its doubt, newest
-- beat, online, fresh, ids and scores (first who is deactivated), their status versions; the seed
-- alone where a guard is missing.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
if not server.call('ZSCORE', KEYS[2], 'guard') or server.call('HEXISTS', KEYS[3], 'guard') == 0 then
  return {seed}
end
local time = server.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local barred = server.call('ZCOUNT', KEYS[2], BARRED, BARRED)
local skip, many, found = tonumber(ARGV[3]), tonumber(ARGV[4]), {}
if skip < barred then
  found = server.call('ZRANGE', KEYS[2], BARRED, BARRED, 'BYSCORE', 'LIMIT', skip, many,
    'WITHSCORES')
end
if #found < many * 2 then
  local old = server.call('ZRANGE', KEYS[2], '-inf', string.format('(%.0f', now - tonumber(ARGV[2])),
    'BYSCORE', 'LIMIT', math.max(0, skip - barred), many - #found / 2, 'WITHSCORES')
  for i = 1, #old do found[#found + 1] = old[i] end
end
local fields = {}
for i = 1, #found, 2 do fields[#fields + 1] = found[i] .. ':o' end
return {
  seed,
  now,
  server.call('GET', KEYS[4]),
  server.call('GET', KEYS[5]),
  newest_beat(KEYS[2]) or false,
  server.call('ZCARD', KEYS[2]) - 1,
  server.call('ZCOUNT', KEYS[2], string.format('(%.0f', now - tonumber(ARGV[1])),
    '(' .. BARRED),
  found,
  #fields > 0 and server.call('HMGET', KEYS[3], unpack(fields)) or {},
}
