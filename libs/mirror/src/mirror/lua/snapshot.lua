-- The beacon as last told; an older one never replaces a newer one, unless that lies in the future
-- (the clock went back), and it dies by its own age.
-- KEYS snapshot
-- ARGV ms when it was computed, JSON, life in ms
local known = server.call('GET', KEYS[1])
if known then
  local at, time = tonumber(string.match(known, '^(%d+) ')), server.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if at and at >= tonumber(ARGV[1]) and at <= now then return 0 end
end
server.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PXAT',
  string.format('%.0f', tonumber(ARGV[1]) + tonumber(ARGV[3])))
return 1
