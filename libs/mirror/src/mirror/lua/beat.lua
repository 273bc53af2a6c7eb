-- Beats after a silence, or the first of this process; while beats are heard all the time, plain
-- commands do the same for less (mirror.py).
-- KEYS seed online available deactivated intake doubt
-- ARGV longest silence and grace in ms, newest of the beats, then pairs: ms (Valkey's clock, when it
--   was received), id
-- Returns the seed and a digit per pair: 0 offline, 1 recorded, 2 deactivated; nil without a seed,
-- the seed alone where a guard is missing.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
local ids = {'guard'}
for i = 5, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local barred = server.call('SMISMEMBER', KEYS[4], unpack(ids))
if barred[1] == 0 or not server.call('ZSCORE', KEYS[2], 'guard')
  or not server.call('ZSCORE', KEYS[3], 'guard') then
  return {seed}
end
local before = newest_beat(KEYS[2])
-- XX: no beat brings anyone online. GT: none makes her younger, or moves whoever is barred.
local moved = server.call('ZADD', KEYS[2], 'XX', 'GT', 'CH', unpack(ARGV, 4))
server.call('ZADD', KEYS[3], 'XX', 'GT', unpack(ARGV, 4))
if moved > 0 then
  end_silence(KEYS[5], KEYS[6], before, tonumber(ARGV[3]), tonumber(ARGV[1]), tonumber(ARGV[2]))
end
local scores, digits = server.call('ZMSCORE', KEYS[2], unpack(ids, 2)), {}
for i = 2, #ids do
  digits[i - 1] = barred[i] == 1 and 2 or (scores[i - 1] and 1 or 0)
end
return {seed, table.concat(digits)}
