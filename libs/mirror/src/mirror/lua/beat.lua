-- Beats after a silence, or the first of this process; while beats are heard all the time, plain
-- commands do the same for less (mirror.py).
-- KEYS seed online available deactivated intake
-- ARGV longest silence in ms, newest of the beats, then pairs: ms (Valkey's clock, when it was
--   received), id
-- Returns the seed and a digit per pair: 0 offline, 1 recorded, 2 deactivated; nil without a seed,
-- the seed alone where a guard is missing.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
local ids = {'guard'}
for i = 4, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local barred = server.call('SMISMEMBER', KEYS[4], unpack(ids))
if barred[1] == 0 or not server.call('ZSCORE', KEYS[2], 'guard')
  or not server.call('ZSCORE', KEYS[3], 'guard') then
  return {seed}
end
local newest = server.call('ZRANGE', KEYS[2], '(9007199254740991', '-inf', 'BYSCORE', 'REV',
  'LIMIT', 0, 1, 'WITHSCORES')
-- XX: no beat brings anyone online. GT: none makes her younger, or moves whoever is barred.
local moved = server.call('ZADD', KEYS[2], 'XX', 'GT', 'CH', unpack(ARGV, 3))
server.call('ZADD', KEYS[3], 'XX', 'GT', unpack(ARGV, 3))
-- Somebody was online and nobody was heard for too long: beats were lost, or went to Postgres.
if moved > 0 and #newest > 0 and newest[2] ~= '0' and ARGV[2] - newest[2] > tonumber(ARGV[1]) then
  server.call('SET', KEYS[5], ARGV[2])
end
local scores, digits = server.call('ZMSCORE', KEYS[2], unpack(ids, 2)), {}
for i = 2, #ids do
  digits[i - 1] = barred[i] == 1 and 2 or (scores[i - 1] and 1 or 0)
end
return {seed, table.concat(digits)}
