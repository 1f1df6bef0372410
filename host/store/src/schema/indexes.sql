-- Indexes that only readers use. They are built when the first run of an empty store ends: building them once over all rows
-- takes a fraction of the time of keeping them up to date row by row.

-- A page of a list and a search read nothing else.
CREATE INDEX IF NOT EXISTS entity_browse ON entity (kind_id, name COLLATE NOCASE, source_id, search, stream_id, gone_run)
    WHERE stream_id IS NOT NULL AND gone_run IS NULL;

-- Objects by the normal fields that findings ask for: a finding and a chart read this index, and of `entity` only the rows that
-- they show.
CREATE INDEX IF NOT EXISTS entity_state ON entity (
    kind_id, normal ->> 'kind', normal ->> 'status', normal ->> 'mfa_state', normal ->> 'is_privileged',
    normal ->> 'factor', normal ->> 'phishing_resistant', normal ->> 'last_login', normal ->> 'created', stream_id, gone_run
) WHERE stream_id IS NOT NULL AND gone_run IS NULL;

-- From a child to its parents. By parent, the unique constraint serves. Has what a count of grants needs.
CREATE INDEX IF NOT EXISTS relation_child ON relation (privilege_id, child_id, parent_id, privilege_value, gone_run)
    WHERE gone_run IS NULL;

-- Lets this connection use them with the planner's assumptions.
ANALYZE sqlite_schema;
