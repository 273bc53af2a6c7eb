-- A seeding starts: if everything is erased while it runs, this mark is, too.
-- KEYS seeding
-- ARGV seeding id, life in ms
server.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
