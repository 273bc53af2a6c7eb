-- Beats of mitras that are online and active; nobody else is touched, no beat makes anyone younger.
-- KEYS seed online available deactivated intake
-- ARGV gap in ms, then pairs: ms (Valkey's clock, when the beat was received), id
-- Returns the seed and a digit per pair: 0 offline, 1 recorded, 2 deactivated; nil without a seed.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
local ids, newest = {}, 0
for i = 2, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i + 1]
  local at = tonumber(ARGV[i])
  if at > newest then newest = at end
end
local barred = server.call('SMISMEMBER', KEYS[4], unpack(ids))
local scores = server.call('ZMSCORE', KEYS[2], unpack(ids))
local outcome, beats = {}, {}
for i = 1, #ids do
  if barred[i] == 1 then
    outcome[i] = 2
  elseif scores[i] then
    outcome[i] = 1
    beats[#beats + 1] = ARGV[2 * i]
    beats[#beats + 1] = ids[i]
  else
    outcome[i] = 0
  end
end
if #beats > 0 then
  server.call('ZADD', KEYS[2], 'XX', 'GT', unpack(beats))
  server.call('ZADD', KEYS[3], 'XX', 'GT', unpack(beats))
end
local last, ended = 0, 0
local known = server.call('GET', KEYS[5])
if known then
  local space = string.find(known, ' ', 1, true)
  last, ended = tonumber(string.sub(known, 1, space - 1)), tonumber(string.sub(known, space + 1))
end
if newest > last then
  if newest - last > tonumber(ARGV[1]) then ended = newest end
  server.call('SET', KEYS[5], string.format('%.0f %.0f', newest, ended))
end
return {seed, table.concat(outcome)}
