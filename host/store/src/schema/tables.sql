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
    -- Null while it runs, and after a crash: the next run resumes at its checkpoints, if it has the same scope and
    -- starts within a day.
    finished_at       TEXT,
    -- The selected streams.
    scope             TEXT NOT NULL,
    outcome           TEXT CHECK (outcome IN ('complete', 'partial')),
    account           TEXT,
    connector_version TEXT NOT NULL,
    connector_digest  TEXT NOT NULL,
    -- Requests sent, failed ones included. A crash loses those since the last page.
    requests          INTEGER NOT NULL DEFAULT 0,
    -- 1 where it was interrupted, and a later run started over instead of resuming it.
    abandoned         INTEGER NOT NULL DEFAULT 0 CHECK (abandoned IN (0, 1))
) STRICT;

CREATE INDEX run_integration ON run (integration_id);

-- Each version of a connector that read a page.
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
    -- The version of that cursor, as declared by the connector that returned it. No connector with another version gets it.
    cursor_version INTEGER NOT NULL DEFAULT 0,
    -- Where the next run of an incremental stream begins.
    bookmark       TEXT,
    -- 1 where it began at the beginning, so that unseen objects are removed; 0 where it reads what came after a bookmark.
    whole          INTEGER NOT NULL CHECK (whole IN (0, 1)),
    -- Objects that it no longer saw and that are kept, because they were too many at once: a second run must agree.
    held           INTEGER,
    -- 1 where no earlier run read the stream completely: there is no earlier read to compare with.
    baseline       INTEGER NOT NULL DEFAULT 1 CHECK (baseline IN (0, 1)),
    pages          INTEGER NOT NULL DEFAULT 0,
    -- The number of objects in the stream, by the vendor's word.
    total          INTEGER,
    -- Repeated calls, and the time spent waiting before them and for the vendor's rate limit.
    retries        INTEGER NOT NULL DEFAULT 0,
    waited_seconds REAL NOT NULL DEFAULT 0,
    -- The time that the usages of a log stream cover once it is complete, including earlier runs.
    window_from    TEXT,
    window_to      TEXT,
    PRIMARY KEY (run_id, stream)
) STRICT, WITHOUT ROWID;

-- Each page, and the connector that read it: another connector may take over in the middle of a run.
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
    -- The rows it saw, as Roaring bitmaps of their numbers: an unchanged object costs one bit. Null once a later run has
    -- finished, or the stream started over.
    seen_entities  BLOB,
    seen_relations BLOB,
    -- 1 where the connector was rolled back later, and the stream was read again.
    distrusted     INTEGER NOT NULL DEFAULT 0 CHECK (distrusted IN (0, 1))
) STRICT;

CREATE INDEX run_page_stream ON run_page (run_id, stream);

-- The kinds of entities of an integration. An entity belongs to the integration of its kind.
CREATE TABLE kind (
    id             INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integration,
    entity_type    TEXT NOT NULL CHECK (entity_type IN ('identity', 'connection', 'resource')),
    source_type    TEXT NOT NULL,
    UNIQUE (source_type, entity_type, integration_id)
) STRICT;

-- The streams of an integration, as entities and relations refer to them.
CREATE TABLE stream (
    id             INTEGER PRIMARY KEY,
    integration_id INTEGER NOT NULL REFERENCES integration,
    name           TEXT NOT NULL,
    UNIQUE (name, integration_id)
) STRICT;

-- What relations say, and of which kinds of entities. The kinds are here so that relations are found and counted by kind
-- without a look at the entities.
CREATE TABLE privilege (
    id             INTEGER PRIMARY KEY,
    name           TEXT NOT NULL,
    parent_kind_id INTEGER NOT NULL REFERENCES kind,
    child_kind_id  INTEGER NOT NULL REFERENCES kind,
    UNIQUE (name, parent_kind_id, child_kind_id)
) STRICT;

CREATE INDEX privilege_parent ON privilege (parent_kind_id);
CREATE INDEX privilege_child ON privilege (child_kind_id);

-- An entity that no stream has yielded has no stream, and no values: a relation or a usage refers to it. It is not present.
-- Nor is one that a complete run no longer saw. A row is never deleted, so that a number always means the same entity.
CREATE TABLE entity (
    id             INTEGER PRIMARY KEY,
    kind_id        INTEGER NOT NULL REFERENCES kind,
    -- The stream it comes from, the only one that can mark it as removed.
    stream_id      INTEGER REFERENCES stream,
    -- The connector that first read it as it is now.
    connector_id   INTEGER REFERENCES connector,
    first_seen_run INTEGER REFERENCES run,
    -- The complete run that no longer saw it.
    gone_run       INTEGER REFERENCES run,
    source_id      TEXT NOT NULL,
    name           TEXT,
    -- What a search looks at beside name and key: user name and e-mail addresses, one a line.
    search         TEXT,
    -- The normal fields, a JSON object.
    normal         TEXT,
    -- The vendor's own fields, a JSON object.
    attributes     TEXT,
    UNIQUE (kind_id, source_id),
    CHECK (stream_id IS NULL OR (connector_id IS NOT NULL AND first_seen_run IS NOT NULL AND name IS NOT NULL
                                 AND search IS NOT NULL AND normal IS NOT NULL AND attributes IS NOT NULL))
) STRICT;

-- Has what the counts of a run need, so that they read no entity: `gone_run` too, which SQLite looks up otherwise.
CREATE INDEX entity_stream ON entity (stream_id, kind_id, first_seen_run, gone_run)
    WHERE stream_id IS NOT NULL AND gone_run IS NULL;

-- A number of its own lets the bitmaps of pages and the changes of runs name a relation.
CREATE TABLE relation (
    id              INTEGER PRIMARY KEY,
    parent_id       INTEGER NOT NULL REFERENCES entity,
    privilege_id    INTEGER NOT NULL REFERENCES privilege,
    child_id        INTEGER NOT NULL REFERENCES entity,
    -- 1 grants, 0 is an explicit deny.
    privilege_value INTEGER NOT NULL CHECK (privilege_value IN (0, 1)),
    stream_id       INTEGER NOT NULL REFERENCES stream,
    connector_id    INTEGER NOT NULL REFERENCES connector,
    first_seen_run  INTEGER NOT NULL REFERENCES run,
    gone_run        INTEGER REFERENCES run,
    -- The vendor's own fields, a JSON object.
    attributes      TEXT NOT NULL,
    UNIQUE (parent_id, privilege_id, child_id)
) STRICT;

CREATE INDEX relation_stream ON relation (stream_id, privilege_id, first_seen_run, gone_run)
    WHERE gone_run IS NULL;

-- The changes that a run found, at most one row for each object. The first complete run of a stream records none.
CREATE TABLE change (
    run_id    INTEGER NOT NULL REFERENCES run,
    object    TEXT NOT NULL CHECK (object IN ('entity', 'relation')),
    -- The `id` of the entity or the relation.
    object_id INTEGER NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('added', 'changed', 'removed')),
    -- Of a changed object: a JSON array of objects with `field`, `from` and `to`.
    fields    TEXT,
    PRIMARY KEY (run_id, object, object_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
    resource_id         INTEGER NOT NULL REFERENCES entity,
    -- 0 for "by any identity".
    identity_id         INTEGER NOT NULL,
    -- Their names at the time of the last attempt: all that is known of a deleted one.
    resource_name       TEXT,
    identity_name       TEXT,
    last_success        TEXT,
    last_attempt        TEXT,
    last_attempt_result TEXT,
    last_attempt_vendor TEXT,
    stream_id           INTEGER NOT NULL REFERENCES stream,
    last_seen_run       INTEGER NOT NULL REFERENCES run,
    PRIMARY KEY (resource_id, identity_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE problem (
    run_id    INTEGER NOT NULL REFERENCES run,
    stream    TEXT NOT NULL,
    source_id TEXT,
    field     TEXT,
    message   TEXT NOT NULL
) STRICT;

-- A problem that is read twice counts once.
CREATE UNIQUE INDEX problem_run
    ON problem (run_id, stream, coalesce(source_id, ''), coalesce(field, ''), message);

-- The source types that each stream yields, selected or not, by the manifest of the connector that began the last run. Where
-- one of these streams was not read, the absence of a type means nothing.
CREATE TABLE stream_type (
    integration_id INTEGER NOT NULL REFERENCES integration,
    entity_type    TEXT NOT NULL,
    source_type    TEXT NOT NULL,
    stream         TEXT NOT NULL,
    PRIMARY KEY (integration_id, source_type, stream)
) STRICT, WITHOUT ROWID;

-- The values of a usage before a run wrote it, until the run ends. A usage keeps the latest time of all, so this is the only
-- way to undo what a rolled-back connector reported. `last_seen_run` is null where there was no usage.
CREATE TABLE usage_before (
    run_id              INTEGER NOT NULL REFERENCES run,
    -- The stream that wrote it.
    by_stream_id        INTEGER NOT NULL REFERENCES stream,
    resource_id         INTEGER NOT NULL REFERENCES entity,
    identity_id         INTEGER NOT NULL,
    resource_name       TEXT,
    identity_name       TEXT,
    last_success        TEXT,
    last_attempt        TEXT,
    last_attempt_result TEXT,
    last_attempt_vendor TEXT,
    stream_id           INTEGER REFERENCES stream,
    last_seen_run       INTEGER REFERENCES run,
    PRIMARY KEY (run_id, by_stream_id, resource_id, identity_id)
) STRICT, WITHOUT ROWID;

-- The number of pages that each connector read, for runs whose rows in `run_page` were deleted: only those of the last few
-- runs are kept.
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

-- What SQLite's planner assumes: rows of an index, and rows for each value of its first column, of the first two, and so on.
-- The same in each store, so that a query has the same plan in each: a few kinds, streams and privileges with many objects.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('integration', 'sqlite_autoindex_integration_1', '1 1'),
    ('kind', 'sqlite_autoindex_kind_1', '20 1 1 1'),
    ('stream', 'sqlite_autoindex_stream_1', '20 1 1'),
    ('privilege', 'sqlite_autoindex_privilege_1', '40 4 2 1'),
    ('privilege', 'privilege_parent', '40 4'),
    ('privilege', 'privilege_child', '40 4'),
    ('entity', 'sqlite_autoindex_entity_1', '300000 30000 1'),
    ('entity', 'entity_stream', '300000 30000 20000 20000 20000'),
    ('entity', 'entity_browse', '300000 30000 2 1 1 1 1'),
    ('entity', 'entity_state', '300000 30000 30000 10000 5000 5000 5000 5000 10 1 1 1'),
    ('relation', 'sqlite_autoindex_relation_1', '600000 4 2 1'),
    ('relation', 'relation_child', '600000 30000 20 1 1 1'),
    ('relation', 'relation_stream', '600000 60000 50000 50000 50000'),
    ('usage', 'sqlite_autoindex_usage_1', '100000 500 1');
