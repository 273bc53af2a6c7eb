-- Beats of mitras that are online and active; nobody else is touched, no beat makes anyone younger.
-- KEYS seed online available deactivated intake
-- ARGV longest silence in ms, newest of the beats, then pairs: ms (Valkey's clock, when it was
--   received), id
-- Returns the seed and a digit per pair: 0 offline, 1 recorded, 2 deactivated; nil without a seed,
-- the seed alone where a guard is missing.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
local ids = {'guard'}
for i = 4, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local count = #ids - 1
local barred, refused = server.call('SMISMEMBER', KEYS[4], unpack(ids)), false
local newest = server.call('ZRANGE', KEYS[2], -2, -1, 'WITHSCORES')
if barred[1] == 0 or newest[#newest - 1] ~= 'guard'
  or not server.call('ZSCORE', KEYS[3], 'guard') then
  return {seed}
end
for i = 2, #ids do
  if barred[i] == 1 then refused = true end
end
local moved = 0
if not refused then
  moved = server.call('ZADD', KEYS[2], 'XX', 'GT', 'CH', unpack(ARGV, 3))
  server.call('ZADD', KEYS[3], 'XX', 'GT', unpack(ARGV, 3))
else
  local beats = {}
  for i = 2, #ids do
    if barred[i] == 0 then
      beats[#beats + 1] = ARGV[2 * i - 1]
      beats[#beats + 1] = ids[i]
    end
  end
  if #beats > 0 then
    moved = server.call('ZADD', KEYS[2], 'XX', 'GT', 'CH', unpack(beats))
    server.call('ZADD', KEYS[3], 'XX', 'GT', unpack(beats))
  end
end
-- Somebody was online and nobody was heard for too long: beats were lost, or went to Postgres.
-- (A score of 0: whoever was online was deactivated.)
if moved > 0 and #newest == 4 and newest[2] ~= '0'
  and ARGV[2] - newest[2] > tonumber(ARGV[1]) then
  server.call('SET', KEYS[5], ARGV[2])
end
-- If everybody grew younger then everybody is online: no need to ask for each.
if moved == count then return {seed, string.rep('1', count)} end
local scores, digits = server.call('ZMSCORE', KEYS[2], unpack(ids, 2)), {}
for i = 1, count do
  digits[i] = barred[i + 1] == 1 and 2 or (scores[i] and 1 or 0)
end
return {seed, table.concat(digits)}
