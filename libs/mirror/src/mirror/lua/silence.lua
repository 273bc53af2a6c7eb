-- Stands before the scripts that bring beats, or ask for the newest.

local BARRED = '9007199254740991'

-- Returns the newest beat of whoever may beat, nil where nobody is online.
local function newest_beat(online)
  return server.call('ZRANGE', online, '(' .. BARRED, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, 1,
    'WITHSCORES')[2]
end

-- Notes the end of a silence of everybody: somebody was online, and between her beat and this one
-- nobody was heard for too long, so beats were lost, or went to Postgres. Silences whose graces
-- follow each other without a break are of one doubt, which began with the first of them.
local function end_silence(intake, doubt, before, at, longest, grace)
  if not before or before == '0' or at - before <= longest then return end
  local last = server.call('GET', intake)
  if not last or at - last > longest + grace then server.call('SET', doubt, at) end
  server.call('SET', intake, at)
end
