-- Compare-and-set of loads alone, as apply.lua does with all facts: this one is told so often that
-- it has a short way of its own.
-- KEYS online available load versions
-- ARGV per load: id, epoch, stamp epoch.version, value load/capacity, 1 when a slot is free else 0
-- Returns as apply.lua; for a newer load not what was held before but the load itself.
local call, ONLINE, AVAILABLE, LOAD, VERSIONS = server.call, KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- No number has a leading zero, so under one epoch the longer or the greater text is the newer.
local function is_newer(stored, epoch, stamp)
  local length = #epoch + 1
  if string.sub(stored, 1, length) == epoch .. '.' then
    return #stored > #stamp or #stored == #stamp and stored > stamp
  end
  return tonumber(string.match(stored, '^%d+')) > tonumber(epoch)
end

local facts, answers, held = {}, {}, {}
for i = 1, #ARGV, 5 do
  local id, stamp, value = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  local field, state, wrong = id .. ':l', 1, 0
  local stored = call('HGET', VERSIONS, field)
  if stored == stamp then
    state = 2
    local before = call('HGET', LOAD, id)
    if before ~= value then
      call('HSET', LOAD, id, value)
      state, held[#held + 1] = 3, before or ''
    end
  elseif stored and is_newer(stored, ARGV[i + 1], stamp) then
    state = 0
  else
    call('HSET', VERSIONS, field, stamp)
    call('HSET', LOAD, id, value)
    held[#held + 1] = value
  end
  if state > 0 then
    local score = ARGV[i + 4] == '1' and call('ZSCORE', ONLINE, id)
    if score and score ~= '9007199254740991' and call('HEXISTS', VERSIONS, id .. ':a') == 1 then
      wrong = call('ZADD', AVAILABLE, score, id)
    else
      wrong = 2 * call('ZREM', AVAILABLE, id)
    end
  end
  facts[#facts + 1], answers[#answers + 1] = state, state == 2 and wrong or 0
end
return {table.concat(facts), table.concat(answers), held}
