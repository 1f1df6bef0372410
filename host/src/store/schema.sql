-- What is kept of every integration. Times are RFC 3339 in UTC.
--
-- Who has access to what:
--   SELECT parent_source_id, privilege, child_source_id FROM relation WHERE gone_run IS NULL;
-- What changed in the last run:
--   SELECT * FROM entity WHERE (SELECT max(id) FROM run) IN (changed_run, gone_run);

CREATE TABLE integration (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    -- Name and title of the connector, as its manifest has them.
    connector TEXT NOT NULL,
    title     TEXT NOT NULL,
    -- The hosts it reads: another tenant's data never lands in the same integration.
    tenant    TEXT NOT NULL
) STRICT;

CREATE TABLE run (
    id                INTEGER PRIMARY KEY,
    integration_id    INTEGER NOT NULL REFERENCES integration,
    started_at        TEXT NOT NULL,
    -- Null while it runs, and after a crash: the next run goes on from its checkpoints, if it has the same scope
    -- and comes within a day.
    finished_at       TEXT,
    -- The selected streams.
    scope             TEXT NOT NULL,
    outcome           TEXT CHECK (outcome IN ('complete', 'partial')),
    account           TEXT,
    connector_version TEXT NOT NULL,
    connector_digest  TEXT NOT NULL
) STRICT;

CREATE TABLE run_stream (
    run_id      INTEGER NOT NULL REFERENCES run,
    stream      TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('running', 'complete', 'incomplete', 'skipped')),
    -- Why it is incomplete or skipped.
    reason      TEXT,
    -- The checkpoint: where the next page begins. Null before the first page and after the last one.
    cursor      TEXT,
    -- Where the next run of an incremental stream begins.
    bookmark    TEXT,
    -- 1 where it began at the beginning, so that what it did not see is gone; 0 where it reads what came after a
    -- bookmark.
    whole       INTEGER NOT NULL CHECK (whole IN (0, 1)),
    pages       INTEGER NOT NULL DEFAULT 0,
    -- How many objects the vendor says the stream has.
    total       INTEGER,
    -- The time span a log stream looked at.
    window_from TEXT,
    window_to   TEXT,
    PRIMARY KEY (run_id, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE entity (
    integration_id INTEGER NOT NULL REFERENCES integration,
    entity_type    TEXT NOT NULL CHECK (entity_type IN ('identity', 'connection', 'resource')),
    source_type    TEXT NOT NULL,
    source_id      TEXT NOT NULL,
    name           TEXT NOT NULL,
    -- The normal fields, a JSON object.
    normal         TEXT NOT NULL,
    -- What only this vendor has, a JSON object.
    attributes     TEXT NOT NULL,
    -- The stream it comes from, which alone can say that it is gone.
    stream         TEXT NOT NULL,
    first_seen_run INTEGER NOT NULL REFERENCES run,
    last_seen_run  INTEGER NOT NULL REFERENCES run,
    -- The last run in which name, fields or attributes were new or other than before.
    changed_run    INTEGER NOT NULL REFERENCES run,
    -- The complete run that no longer saw it.
    gone_run       INTEGER REFERENCES run,
    PRIMARY KEY (integration_id, entity_type, source_type, source_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE relation (
    integration_id     INTEGER NOT NULL REFERENCES integration,
    parent_entity_type TEXT NOT NULL,
    parent_source_type TEXT NOT NULL,
    parent_source_id   TEXT NOT NULL,
    privilege          TEXT NOT NULL,
    child_entity_type  TEXT NOT NULL,
    child_source_type  TEXT NOT NULL,
    child_source_id    TEXT NOT NULL,
    -- 1 grants, 0 is an explicit deny.
    privilege_value    INTEGER NOT NULL CHECK (privilege_value IN (0, 1)),
    attributes         TEXT NOT NULL,
    stream             TEXT NOT NULL,
    first_seen_run     INTEGER NOT NULL REFERENCES run,
    last_seen_run      INTEGER NOT NULL REFERENCES run,
    -- The last run in which it was new, came back, or was other than before.
    changed_run        INTEGER NOT NULL REFERENCES run,
    gone_run           INTEGER REFERENCES run,
    PRIMARY KEY (
        integration_id, parent_entity_type, parent_source_type, parent_source_id, privilege,
        child_entity_type, child_source_type, child_source_id
    )
) STRICT, WITHOUT ROWID;

CREATE INDEX relation_child
    ON relation (integration_id, child_entity_type, child_source_type, child_source_id);

CREATE TABLE usage (
    integration_id       INTEGER NOT NULL REFERENCES integration,
    resource_source_type TEXT NOT NULL,
    resource_source_id   TEXT NOT NULL,
    -- Blank for "by anybody".
    identity_source_type TEXT NOT NULL,
    identity_source_id   TEXT NOT NULL,
    last_success         TEXT,
    last_attempt         TEXT,
    last_attempt_result  TEXT,
    last_attempt_vendor  TEXT,
    stream               TEXT NOT NULL,
    last_seen_run        INTEGER NOT NULL REFERENCES run,
    PRIMARY KEY (
        integration_id, resource_source_type, resource_source_id, identity_source_type, identity_source_id
    )
) STRICT, WITHOUT ROWID;

CREATE TABLE problem (
    run_id    INTEGER NOT NULL REFERENCES run,
    stream    TEXT NOT NULL,
    source_id TEXT,
    field     TEXT,
    message   TEXT NOT NULL
) STRICT;

CREATE INDEX problem_run ON problem (run_id);

-- The fields that are asked for most, as columns.
CREATE VIEW identity AS
    SELECT i.name AS integration, e.source_type, e.source_id, e.name,
           e.normal ->> 'username'   AS username,
           e.normal -> 'emails' ->> 0 AS email,
           e.normal ->> 'kind'       AS kind,
           e.normal ->> 'status'     AS status,
           e.normal ->> 'mfa_state'  AS mfa_state,
           e.normal ->> 'last_login' AS last_login
    FROM entity e JOIN integration i ON i.id = e.integration_id
    WHERE e.entity_type = 'identity' AND e.gone_run IS NULL;

CREATE VIEW connection AS
    SELECT i.name AS integration, e.source_type, e.source_id, e.name,
           e.normal ->> 'kind'      AS kind,
           e.normal ->> 'status'    AS status,
           e.normal ->> 'mfa_state' AS mfa_state
    FROM entity e JOIN integration i ON i.id = e.integration_id
    WHERE e.entity_type = 'connection' AND e.gone_run IS NULL;
