-- The tables: what the program keeps. They may change with each release; other programs read the views (`views.sql`).
-- Times are RFC 3339 in UTC.

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
    connector_digest  TEXT NOT NULL,
    -- Requests sent, those that failed included. Like those of a stream, without what a crash cut off.
    requests          INTEGER NOT NULL DEFAULT 0,
    -- 1 where it was interrupted, and a later run began anew instead of resuming it.
    abandoned         INTEGER NOT NULL DEFAULT 0 CHECK (abandoned IN (0, 1))
) STRICT;

CREATE INDEX run_integration ON run (integration_id);

-- Every version of a connector that read anything.
CREATE TABLE connector (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    version TEXT NOT NULL,
    -- SHA-256 of the component.
    digest  TEXT NOT NULL,
    UNIQUE (digest, version, name)
) STRICT;

CREATE TABLE run_stream (
    run_id         INTEGER NOT NULL REFERENCES run,
    stream         TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('running', 'complete', 'incomplete', 'skipped')),
    -- Why it is incomplete or skipped, the permission that is missing, and what to do about it.
    reason         TEXT,
    permission     TEXT,
    hint           TEXT,
    started_at     TEXT NOT NULL,
    ended_at       TEXT,
    -- The checkpoint: where the next page begins. Null before the first page and after the last one.
    cursor         TEXT,
    -- The version of that cursor, as the connector that gave it declares. No other version is given it.
    cursor_version INTEGER NOT NULL DEFAULT 0,
    -- Where the next run of an incremental stream begins.
    bookmark       TEXT,
    -- 1 where it began at the beginning, so that what it did not see is gone; 0 where it reads what came after a
    -- bookmark.
    whole          INTEGER NOT NULL CHECK (whole IN (0, 1)),
    -- 1 where no run before it read the stream completely: there is nothing to be other than.
    baseline       INTEGER NOT NULL DEFAULT 1 CHECK (baseline IN (0, 1)),
    pages          INTEGER NOT NULL DEFAULT 0,
    -- How many objects the vendor says the stream has.
    total          INTEGER,
    -- Calls that were made again, and the time spent waiting for that and for the vendor's rate limit.
    retries        INTEGER NOT NULL DEFAULT 0,
    waited_seconds REAL NOT NULL DEFAULT 0,
    -- The time that the usages of a log stream cover once it is complete, earlier runs included.
    window_from    TEXT,
    window_to      TEXT,
    PRIMARY KEY (run_id, stream)
) STRICT, WITHOUT ROWID;

-- Every page, and which connector read it: one may take over from another in the middle of a run.
CREATE TABLE run_page (
    id             INTEGER PRIMARY KEY,
    run_id         INTEGER NOT NULL REFERENCES run,
    stream         TEXT NOT NULL,
    connector_id   INTEGER NOT NULL REFERENCES connector,
    committed_at   TEXT NOT NULL,
    entities       INTEGER NOT NULL,
    relations      INTEGER NOT NULL,
    usages         INTEGER NOT NULL,
    problems       INTEGER NOT NULL,
    -- Which rows it saw, as Roaring bitmaps of their keys: an object that did not change costs a bit, not a row. Null
    -- once the stream is complete.
    seen_entities  BLOB,
    seen_relations BLOB,
    -- 1 where the connector was rolled back later, so that the stream was read again.
    distrusted     INTEGER NOT NULL DEFAULT 0 CHECK (distrusted IN (0, 1))
) STRICT;

CREATE INDEX run_page_stream ON run_page (run_id, stream);

CREATE TABLE entity (
    -- Never used again: bitmaps and changes name it.
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
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
    -- Which connector read it first as it is now.
    connector_id   INTEGER NOT NULL REFERENCES connector,
    first_seen_run INTEGER NOT NULL REFERENCES run,
    -- The complete run that no longer saw it.
    gone_run       INTEGER REFERENCES run,
    -- What a search looks at: name, key, user name and e-mail addresses, one a line. A generated column would not make
    -- `entity_browse` a covering index.
    search         TEXT NOT NULL,
    UNIQUE (integration_id, entity_type, source_type, source_id)
) STRICT;

CREATE INDEX entity_stream ON entity (integration_id, stream) WHERE gone_run IS NULL;
-- `search` and `gone_run` are in the index so that a search reads nothing else.
CREATE INDEX entity_browse
    ON entity (integration_id, source_type, name COLLATE NOCASE, source_id, search, gone_run) WHERE gone_run IS NULL;

CREATE TABLE relation (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
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
    -- What only this vendor has, a JSON object.
    attributes         TEXT NOT NULL,
    stream             TEXT NOT NULL,
    connector_id       INTEGER NOT NULL REFERENCES connector,
    first_seen_run     INTEGER NOT NULL REFERENCES run,
    gone_run           INTEGER REFERENCES run,
    UNIQUE (
        integration_id, parent_entity_type, parent_source_type, parent_source_id, privilege,
        child_entity_type, child_source_type, child_source_id
    )
) STRICT;

CREATE INDEX relation_child
    ON relation (integration_id, child_entity_type, child_source_type, child_source_id);
CREATE INDEX relation_stream ON relation (integration_id, stream) WHERE gone_run IS NULL;

-- What a run found other than the runs before it, a row for each object at most. The first complete run of a stream
-- has none.
CREATE TABLE change (
    run_id    INTEGER NOT NULL REFERENCES run,
    object    TEXT NOT NULL CHECK (object IN ('entity', 'relation')),
    -- The `id` of the entity or the relation.
    object_id INTEGER NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('added', 'changed', 'removed')),
    -- Of what changed: a JSON array of objects with `field`, `from` and `to`.
    fields    TEXT,
    PRIMARY KEY (run_id, object, object_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
    integration_id       INTEGER NOT NULL REFERENCES integration,
    resource_source_type TEXT NOT NULL,
    resource_source_id   TEXT NOT NULL,
    -- Blank for "by anybody".
    identity_source_type TEXT NOT NULL,
    identity_source_id   TEXT NOT NULL,
    -- What they were called at the time of the last attempt: all there is of what was deleted.
    resource_name        TEXT,
    identity_name        TEXT,
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

-- What is read twice is one problem.
CREATE UNIQUE INDEX problem_run
    ON problem (run_id, stream, coalesce(source_id, ''), coalesce(field, ''), message);

-- Which streams yield which source types, selected or not, by the manifest of the connector that began the last run. Where
-- one of them was not read, an empty list of objects means nothing.
CREATE TABLE stream_type (
    integration_id INTEGER NOT NULL REFERENCES integration,
    entity_type    TEXT NOT NULL,
    source_type    TEXT NOT NULL,
    stream         TEXT NOT NULL,
    PRIMARY KEY (integration_id, source_type, stream)
) STRICT, WITHOUT ROWID;

-- What a usage was before a run wrote it, until the run ends: a usage keeps the latest time of all, so that what a connector
-- said that was rolled back could not be undone otherwise. `last_seen_run` is null where there was none.
CREATE TABLE usage_before (
    run_id               INTEGER NOT NULL REFERENCES run,
    -- The stream that wrote it.
    by_stream            TEXT NOT NULL,
    integration_id       INTEGER NOT NULL REFERENCES integration,
    resource_source_type TEXT NOT NULL,
    resource_source_id   TEXT NOT NULL,
    identity_source_type TEXT NOT NULL,
    identity_source_id   TEXT NOT NULL,
    resource_name        TEXT,
    identity_name        TEXT,
    last_success         TEXT,
    last_attempt         TEXT,
    last_attempt_result  TEXT,
    last_attempt_vendor  TEXT,
    stream               TEXT,
    last_seen_run        INTEGER REFERENCES run,
    PRIMARY KEY (
        run_id, by_stream, integration_id, resource_source_type, resource_source_id, identity_source_type,
        identity_source_id
    )
) STRICT, WITHOUT ROWID;

-- How much each connector read of a run whose pages are no longer kept one by one: the pages of the last few runs are, with
-- the bitmaps of what the last one saw.
CREATE TABLE run_reader (
    run_id           INTEGER NOT NULL REFERENCES run,
    stream           TEXT NOT NULL,
    connector_id     INTEGER NOT NULL REFERENCES connector,
    pages            INTEGER NOT NULL,
    distrusted_pages INTEGER NOT NULL,
    first_page_at    TEXT NOT NULL,
    last_page_at     TEXT NOT NULL,
    PRIMARY KEY (run_id, stream, connector_id)
) STRICT, WITHOUT ROWID;
