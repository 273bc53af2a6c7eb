-- Beats of mitras that are online and active; nobody else is touched, no beat makes anyone younger.
-- KEYS seed online available deactivated intake
-- ARGV gap in ms, newest of the beats, then pairs: ms (Valkey's clock, when it was received), id
-- Returns the seed and a digit per pair: 0 offline, 1 recorded, 2 deactivated; nil without a seed.
local seed = server.call('GET', KEYS[1])
if not seed then return false end
local ids = {}
for i = 4, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local barred, beats, refused = server.call('SMISMEMBER', KEYS[4], unpack(ids)), nil, false
for i = 1, #ids do
  if barred[i] == 1 then refused = true end
end
if refused then
  beats = {}
  for i = 1, #ids do
    if barred[i] == 0 then
      beats[#beats + 1] = ARGV[2 * i + 1]
      beats[#beats + 1] = ids[i]
    end
  end
else
  beats = {unpack(ARGV, 3)}
end
local moved = 0
if #beats > 0 then
  moved = server.call('ZADD', KEYS[2], 'XX', 'GT', 'CH', unpack(beats))
  server.call('ZADD', KEYS[3], 'XX', 'GT', unpack(beats))
end
local outcome
if moved == #ids then
  -- Everybody grew younger, so everybody is online: no need to ask for each.
  outcome = string.rep('1', #ids)
else
  local scores, digits = server.call('ZMSCORE', KEYS[2], unpack(ids)), {}
  for i = 1, #ids do
    digits[i] = barred[i] == 1 and 2 or (scores[i] and 1 or 0)
  end
  outcome = table.concat(digits)
end
local newest, last, ended = tonumber(ARGV[2]), 0, 0
local known = server.call('GET', KEYS[5])
if known then
  local space = string.find(known, ' ', 1, true)
  last, ended = tonumber(string.sub(known, 1, space - 1)), tonumber(string.sub(known, space + 1))
end
if newest > last then
  if newest - last > tonumber(ARGV[1]) then ended = newest end
  server.call('SET', KEYS[5], string.format('%.0f %.0f', newest, ended))
end
return {seed, outcome}
