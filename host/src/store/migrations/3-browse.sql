-- Looking around in what is there: pages of objects in the order of their names, found by part of a name.

-- What a stream that was not read is for want of, and what to do about it.
ALTER TABLE run_stream ADD COLUMN permission TEXT;
ALTER TABLE run_stream ADD COLUMN hint TEXT;

-- What an object is looked for by: name, key, user name, e-mails, one a line. Written with the object; a generated column
-- would not make the index below a covering one.
ALTER TABLE entity ADD COLUMN search TEXT NOT NULL DEFAULT '';
UPDATE entity SET search = concat_ws(char(10), name, source_id, normal ->> 'username', normal ->> 'emails');

-- `search` (and `gone_run`) are in the index so that looking through all names reads nothing else.
CREATE INDEX entity_browse
    ON entity (integration_id, source_type, name COLLATE NOCASE, source_id, search, gone_run) WHERE gone_run IS NULL;

DROP VIEW run_streams;

-- How each stream of each run ended: `complete`, `incomplete` or `skipped`, why, the permission that is missing, and what
-- to do.
CREATE VIEW run_streams AS
    SELECT run_id AS run, stream, state, reason, permission, hint, started_at, ended_at, pages, total, retries,
           waited_seconds, window_from, window_to
    FROM run_stream;
