-- Compare-and-set of facts, each by (pg_epoch, version); then the kept answer, recomputed.
-- KEYS online available deactivated load versions seed intake doubt
-- ARGV longest silence and grace in ms, then per fact, facts of one mitra together: id, fact, epoch,
--   version, value, beat
--   fact o: value 1|0, beat in ms (0: none)   a: value 1|0   l: value load/capacity
-- Equal versions carry equal values, so an equal one is written again: that heals drift.
-- Returns per fact 0 refused as older, 1 newer, 2 the same, 3 healed; per mitra in order 1 where the
-- kept answer lacked her and 2 where it held her wrongly although no fact had changed; and the value
-- held before for each 1 and 3 in order ('' for none).
local ONLINE, AVAILABLE, DEACTIVATED, LOAD, VERSIONS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local SEED, INTAKE, DOUBT = KEYS[6], KEYS[7], KEYS[8]
local LONGEST, GRACE = tonumber(ARGV[1]), tonumber(ARGV[2])

local function compare(stored, epoch, version)
  if not stored then return 1, true end
  local dot = string.find(stored, '.', 1, true)
  local e, v = tonumber(string.sub(stored, 1, dot - 1)), tonumber(string.sub(stored, dot + 1))
  if epoch ~= e then return epoch > e and 1 or -1 end
  if version == v then return 0 end
  return version > v and 1 or -1
end

-- A beat that comes with a fact ends a silence as any other does; into a mirror that is only being
-- seeded, beats come in no order.
local newest
local function hear(beat)
  if not newest then
    newest = server.call('EXISTS', SEED) == 1 and newest_beat(ONLINE) or '0'
  end
  end_silence(INTAKE, DOUBT, newest, tonumber(beat), LONGEST, GRACE)
  if tonumber(beat) > tonumber(newest) and newest ~= '0' then newest = beat end
end

-- Each writes a value and returns the one before.
local write = {}

function write.o(id, value, beat)
  local before = server.call('ZSCORE', ONLINE, id) and '1' or '0'
  if value == '1' then
    hear(beat)
    server.call('ZADD', ONLINE, 'GT', beat, id)
  elseif before == '1' then
    server.call('ZREM', ONLINE, id)
  end
  return before
end

function write.a(id, value)
  if value == '0' then return server.call('SADD', DEACTIVATED, id) == 1 and '1' or '0' end
  return server.call('SREM', DEACTIVATED, id) == 1 and '0' or '1'
end

function write.l(id, value)
  local before = server.call('HGET', LOAD, id)
  if before ~= value then server.call('HSET', LOAD, id, value) end
  return before or ''
end

-- Returns 1 where the kept answer lacked her, 2 where it held her wrongly, else 0.
-- known: whether operators' leave was ever told. load: if it was told just now. wish: unless only
-- the load was told; otherwise the score says whether she is deactivated.
local function recompute(id, known, load, wish, beat)
  local score = server.call('ZSCORE', ONLINE, id)
  local barred = score == BARRED
  if score and wish then
    barred = server.call('SISMEMBER', DEACTIVATED, id) == 1
    if barred and score ~= BARRED then
      -- Online, but with no life in it: not reachable, first among the stale, and no beat counts.
      server.call('ZADD', ONLINE, BARRED, id)
    elseif not barred and score == BARRED then
      score = beat or '0'
      hear(score)
      server.call('ZADD', ONLINE, score, id)
    end
  end
  local wanted = false
  if score and known and not barred then
    load = load or server.call('HGET', LOAD, id)
    local slash = load and string.find(load, '/', 1, true)
    if slash
      and tonumber(string.sub(load, 1, slash - 1)) < tonumber(string.sub(load, slash + 1)) then
      wanted = score
    end
  end
  if wanted then return server.call('ZADD', AVAILABLE, wanted, id) end
  return 2 * server.call('ZREM', AVAILABLE, id)
end

local facts, answers, held = {}, {}, {}
local i, n = 3, #ARGV
while i <= n do
  local id, quiet, load, wish, beat = ARGV[i], true, nil, false, nil
  local stored = server.call('HMGET', VERSIONS, id .. ':o', id .. ':a', id .. ':l')
  local versions = {o = stored[1], a = stored[2], l = stored[3]}
  while i <= n and ARGV[i] == id do
    local fact, epoch, version = ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
    local order, unknown = compare(versions[fact], epoch, version)
    if order < 0 then
      facts[#facts + 1] = 0
    else
      local value = ARGV[i + 4]
      local before = write[fact](id, value, ARGV[i + 5])
      if fact == 'l' then load = value else wish = true end
      if fact == 'o' then beat = ARGV[i + 5] end
      if order > 0 then
        local stamp = ARGV[i + 2] .. '.' .. ARGV[i + 3]
        server.call('HSET', VERSIONS, id .. ':' .. fact, stamp)
        versions[fact] = stamp
        facts[#facts + 1], quiet = 1, false
        held[#held + 1] = unknown and '' or before
      elseif before ~= value then
        facts[#facts + 1], quiet = 3, false
        held[#held + 1] = before
      else
        facts[#facts + 1] = 2
      end
    end
    i = i + 6
  end
  local wrong = recompute(id, versions.a, load, wish, beat)
  answers[#answers + 1] = quiet and wrong or 0
end
return {table.concat(facts), table.concat(answers), held}
