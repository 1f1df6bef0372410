-- What is kept of every integration. Times are RFC 3339 in UTC.
--
-- Who has access to what:
--   SELECT parent_source_id, privilege, child_source_id FROM relation WHERE gone_run IS NULL;
-- Who can reach application X, and through what:
--   SELECT identity, through FROM application_access WHERE application = 'X' AND can_sign_in;
-- When was each application last used, and within which time do we know:
--   SELECT application, last_success, window_from, window_to FROM application_usage;
-- Which version of the connector read what:
--   SELECT run_id, stream, version, digest, pages FROM run_connector;
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

-- Every version of a connector that read anything.
CREATE TABLE connector (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    version TEXT NOT NULL,
    -- SHA-256 of the component.
    digest  TEXT NOT NULL,
    UNIQUE (digest, version, name)
) STRICT;

-- Every page, and which connector read it: one may take over from another in the middle of a run.
CREATE TABLE run_page (
    id           INTEGER PRIMARY KEY,
    run_id       INTEGER NOT NULL REFERENCES run,
    stream       TEXT NOT NULL,
    connector_id INTEGER NOT NULL REFERENCES connector,
    committed_at TEXT NOT NULL,
    entities     INTEGER NOT NULL,
    relations    INTEGER NOT NULL,
    usages       INTEGER NOT NULL,
    problems     INTEGER NOT NULL,
    -- 1 where the connector was rolled back later, so that the stream was read again.
    distrusted   INTEGER NOT NULL DEFAULT 0 CHECK (distrusted IN (0, 1))
) STRICT;

CREATE INDEX run_page_stream ON run_page (run_id, stream);

CREATE TABLE run_stream (
    run_id      INTEGER NOT NULL REFERENCES run,
    stream      TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('running', 'complete', 'incomplete', 'skipped')),
    -- Why it is incomplete or skipped.
    reason      TEXT,
    -- The checkpoint: where the next page begins. Null before the first page and after the last one.
    cursor      TEXT,
    -- The version of that cursor, as the connector that gave it declares. No other version is given it.
    cursor_version INTEGER NOT NULL DEFAULT 0,
    -- Where the next run of an incremental stream begins.
    bookmark    TEXT,
    -- 1 where it began at the beginning, so that what it did not see is gone; 0 where it reads what came after a
    -- bookmark.
    whole       INTEGER NOT NULL CHECK (whole IN (0, 1)),
    pages       INTEGER NOT NULL DEFAULT 0,
    -- How many objects the vendor says the stream has.
    total       INTEGER,
    -- The time that the usages of a log stream cover once it is complete, earlier runs included.
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
    -- Which connector read it last.
    connector_id   INTEGER NOT NULL REFERENCES connector,
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
    connector_id       INTEGER NOT NULL REFERENCES connector,
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

CREATE INDEX problem_run ON problem (run_id);

-- Which version of the connector read what: run, stream, digest.
CREATE VIEW run_connector AS
    SELECT i.name AS integration, p.run_id, p.stream, c.name AS connector, c.version, c.digest,
           count(*) AS pages, sum(p.distrusted) AS distrusted_pages, min(p.committed_at) AS first_page_at, max(p.committed_at) AS last_page_at
    FROM run_page p
    JOIN connector c ON c.id = p.connector_id
    JOIN run r ON r.id = p.run_id
    JOIN integration i ON i.id = r.integration_id
    GROUP BY p.run_id, p.stream, p.connector_id;

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

CREATE VIEW resource AS
    SELECT i.name AS integration, e.source_type, e.source_id, e.name,
           e.normal ->> 'kind' AS kind
    FROM entity e JOIN integration i ON i.id = e.integration_id
    WHERE e.entity_type = 'resource' AND e.gone_run IS NULL;

-- Who reaches which application, and through what: a row for each way. `through` is the group or "all users"; null
-- where the access is direct. `can_sign_in` is 0 where the identity or the group is disabled, locked or in the trash.
CREATE VIEW application_access AS
    SELECT i.name AS integration,
           application.source_id AS application_id, application.name AS application,
           identity.source_type AS identity_type, identity.source_id AS identity_id, identity.name AS identity,
           identity.normal ->> 'username' AS username,
           identity.normal ->> 'status' AS identity_status,
           identity.normal ->> 'mfa_state' AS mfa_state,
           through.source_type AS through_type, through.source_id AS through_id, through.name AS through,
           through.normal ->> 'status' AS through_status,
           identity.normal ->> 'status' = 'active'
               AND coalesce(through.normal ->> 'status', 'active') = 'active' AS can_sign_in,
           usage.last_success AS last_success
    FROM (
        SELECT access.integration_id, access.child_source_id AS application_id,
               member.parent_source_type AS identity_type, member.parent_source_id AS identity_id,
               access.parent_source_type AS through_type, access.parent_source_id AS through_id
        FROM relation access JOIN relation member
            ON member.integration_id = access.integration_id
            AND member.child_entity_type = access.parent_entity_type
            AND member.child_source_type = access.parent_source_type
            AND member.child_source_id = access.parent_source_id
        WHERE access.privilege = 'access' AND access.privilege_value AND access.gone_run IS NULL
          AND access.child_entity_type = 'resource' AND access.child_source_type = 'application'
          AND access.parent_entity_type = 'connection'
          AND member.privilege = 'member' AND member.privilege_value AND member.gone_run IS NULL
          AND member.parent_entity_type = 'identity'
        UNION ALL
        SELECT integration_id, child_source_id, parent_source_type, parent_source_id, NULL, NULL
        FROM relation
        WHERE privilege = 'access' AND privilege_value AND gone_run IS NULL
          AND child_entity_type = 'resource' AND child_source_type = 'application'
          AND parent_entity_type = 'identity'
    ) way
    JOIN integration i ON i.id = way.integration_id
    JOIN entity application
        ON application.integration_id = way.integration_id AND application.entity_type = 'resource'
        AND application.source_type = 'application' AND application.source_id = way.application_id
        AND application.gone_run IS NULL
    JOIN entity identity
        ON identity.integration_id = way.integration_id AND identity.entity_type = 'identity'
        AND identity.source_type = way.identity_type AND identity.source_id = way.identity_id
        AND identity.gone_run IS NULL
    LEFT JOIN entity through
        ON through.integration_id = way.integration_id AND through.entity_type = 'connection'
        AND through.source_type = way.through_type AND through.source_id = way.through_id
    LEFT JOIN usage
        ON usage.integration_id = way.integration_id
        AND usage.resource_source_type = 'application' AND usage.resource_source_id = way.application_id
        AND usage.identity_source_type = way.identity_type AND usage.identity_source_id = way.identity_id;

-- The time that the usages of an integration cover.
CREATE VIEW usage_window AS
    SELECT i.id AS integration_id, i.name AS integration, s.stream, s.window_from, s.window_to
    FROM run_stream s JOIN run r ON r.id = s.run_id JOIN integration i ON i.id = r.integration_id
    WHERE s.run_id = (
        SELECT max(s2.run_id) FROM run_stream s2 JOIN run r2 ON r2.id = s2.run_id
        WHERE r2.integration_id = i.id AND s2.stream = s.stream
          AND s2.state = 'complete' AND s2.window_to IS NOT NULL
    );

-- The last use of each application by anybody. Without `last_success` nobody signed in within the window; without a
-- window nobody knows. `is_deleted` is 1 for what only the log still knows.
CREATE VIEW application_usage AS
    SELECT i.name AS integration, application.source_id AS application_id, application.name AS application,
           0 AS is_deleted, usage.last_success, usage.last_attempt, usage.last_attempt_result,
           span.window_from, span.window_to
    FROM entity application
    JOIN integration i ON i.id = application.integration_id
    LEFT JOIN usage
        ON usage.integration_id = application.integration_id AND usage.resource_source_type = 'application'
        AND usage.resource_source_id = application.source_id
        AND usage.identity_source_type = '' AND usage.identity_source_id = ''
    LEFT JOIN usage_window span ON span.integration_id = application.integration_id
    WHERE application.entity_type = 'resource' AND application.source_type = 'application'
      AND application.gone_run IS NULL
    UNION ALL
    SELECT i.name, usage.resource_source_id, coalesce(usage.resource_name, usage.resource_source_id),
           1, usage.last_success, usage.last_attempt, usage.last_attempt_result, span.window_from, span.window_to
    FROM usage
    JOIN integration i ON i.id = usage.integration_id
    LEFT JOIN usage_window span ON span.integration_id = usage.integration_id
    WHERE usage.resource_source_type = 'application' AND usage.identity_source_type = ''
      AND NOT EXISTS (
          SELECT 1 FROM entity application
          WHERE application.integration_id = usage.integration_id AND application.entity_type = 'resource'
            AND application.source_type = 'application' AND application.source_id = usage.resource_source_id
            AND application.gone_run IS NULL
      );
