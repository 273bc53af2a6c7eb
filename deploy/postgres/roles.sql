-- Roles, schemas and grants of Temani. Run it inside the database, as its owner with the right to
-- create roles (a superuser locally), before the first migration; run it again at any time.
--
-- Per service X:
--   X_owner    owns schema X and everything in it; nobody logs in as it
--   X_migrate  logs in to migrate; acts as X_owner
--   X          logs in to serve; reads and writes the rows of its own schema, nothing else
-- A neighbour may enter a schema but finds nothing there except the functions granted to it.
-- Passwords are set elsewhere (ALTER ROLE ... PASSWORD).

-- Who creates a role here may act as it, also where the administrator is no superuser.
SET createrole_self_grant = 'set, inherit';

REVOKE ALL ON SCHEMA public FROM PUBLIC;

DO $roles$
DECLARE
  services constant text[] := ARRAY['auth', 'availability', 'pairing', 'chat', 'sweeper'];
  service text;
  neighbour text;
  role text;
BEGIN
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());

  FOREACH service IN ARRAY services LOOP
    FOREACH role IN ARRAY ARRAY[service || '_owner', service || '_migrate', service] LOOP
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
        EXECUTE format('CREATE ROLE %I', role);
      END IF;
    END LOOP;

    EXECUTE format('ALTER ROLE %I NOLOGIN', service || '_owner');
    EXECUTE format('GRANT %I TO %I', service || '_owner', service || '_migrate');
    EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I', service, service || '_owner');

    FOREACH role IN ARRAY ARRAY[service || '_migrate', service] LOOP
      EXECUTE format('ALTER ROLE %I LOGIN', role);
      EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
      EXECUTE format('ALTER ROLE %I SET search_path = %I', role, service);
      EXECUTE format('ALTER ROLE %I SET "TimeZone" = %L', role, 'UTC');
      EXECUTE format('ALTER ROLE %I SET lock_timeout = %L', role, '2s');
    END LOOP;

    -- No request works longer than this; whatever does is stuck, and must let go of its locks.
    -- (Migrations have no such limit: building an index takes as long as it takes.)
    EXECUTE format('ALTER ROLE %I SET statement_timeout = %L', service, '5s');
    EXECUTE format('ALTER ROLE %I SET transaction_timeout = %L', service, '10s');
    EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', service, '5s');

    -- Functions are private unless a migration grants them; tables never leave the service.
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC',
                   service || '_owner');
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I '
                   'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I',
                   service || '_owner', service, service);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I '
                   'GRANT USAGE ON SEQUENCES TO %I',
                   service || '_owner', service, service);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I '
                   'GRANT EXECUTE ON FUNCTIONS TO %I',
                   service || '_owner', service, service);
  END LOOP;

  FOREACH service IN ARRAY services LOOP
    FOREACH neighbour IN ARRAY services LOOP
      EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', service, neighbour);
      IF neighbour <> service THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', service, neighbour || '_owner');
      END IF;
    END LOOP;
  END LOOP;
END
$roles$;

RESET createrole_self_grant;
