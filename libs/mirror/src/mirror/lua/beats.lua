-- KEYS seed online
-- ARGV from (ms, inclusive), rows to skip there, how many
-- Returns the seed, now in ms, ids and scores in the order of time; the seed alone without a guard.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
if not server.call('ZSCORE', KEYS[2], 'guard') then return {seed} end
local time = server.call('TIME')
return {
  seed,
  time[1] * 1000 + math.floor(time[2] / 1000),
  server.call('ZRANGE', KEYS[2], ARGV[1], '(9007199254740991', 'BYSCORE', 'LIMIT', ARGV[2], ARGV[3],
    'WITHSCORES'),
}
