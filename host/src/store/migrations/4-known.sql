-- What is known and what is not: which streams yield what, what a run was before it was taken back, and views that say so.

-- 1 where it was interrupted, and a later run began anew instead of going on with it.
ALTER TABLE run ADD COLUMN abandoned INTEGER NOT NULL DEFAULT 0 CHECK (abandoned IN (0, 1));

-- Which streams yield which source types, selected or not, by the manifest of the connector that began the last run. Where
-- one of them was not read, that there is nothing of a type means nothing.
CREATE TABLE stream_type (
    integration_id INTEGER NOT NULL REFERENCES integration,
    source_type    TEXT NOT NULL,
    stream         TEXT NOT NULL,
    PRIMARY KEY (integration_id, source_type, stream)
) STRICT, WITHOUT ROWID;

DROP VIEW usage_window;

-- The time that the usages of an integration cover: what the last complete run of each log stream says.
CREATE VIEW usage_window AS
    SELECT i.id AS integration_id, i.name AS integration, span.stream, span.window_from, span.window_to
    FROM (
        -- Columns beside `max` are those of the row that has it.
        SELECT r.integration_id, s.stream, max(s.run_id), s.window_from, s.window_to
        FROM run_stream s JOIN run r ON r.id = s.run_id
        WHERE s.state = 'complete' AND s.window_to IS NOT NULL
        GROUP BY r.integration_id, s.stream
    ) span JOIN integration i ON i.id = span.integration_id;

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

DROP VIEW changes;

-- What each run found other than the runs before it. `fields` is a JSON array of objects with `field`, `from` and `to`.
-- Of a relation, `type` is `parent > child`, `id` and `name` are `parent privilege child`. A run without `run_finished_at`
-- may find more: who asks for what came after a run he knows remembers only finished ones.
CREATE VIEW changes AS
    SELECT c.run_id AS run, r.started_at AS run_started_at, i.name AS integration, c.kind, c.object,
           e.source_type AS type, e.source_id AS id, e.name, c.fields, r.finished_at AS run_finished_at
    FROM change c
    JOIN run r ON r.id = c.run_id
    JOIN integration i ON i.id = r.integration_id
    JOIN entity e ON c.object = 'entity' AND e.id = c.object_id
    UNION ALL
    SELECT c.run_id, r.started_at, i.name, c.kind, c.object,
           o.parent_source_type || ' > ' || o.child_source_type,
           o.parent_source_id || ' ' || o.privilege || ' ' || o.child_source_id,
           coalesce(p.name, o.parent_source_id) || ' ' || o.privilege || ' ' || coalesce(k.name, o.child_source_id),
           c.fields, r.finished_at
    FROM change c
    JOIN run r ON r.id = c.run_id
    JOIN integration i ON i.id = r.integration_id
    JOIN relation o ON c.object = 'relation' AND o.id = c.object_id
    LEFT JOIN entity p ON p.integration_id = o.integration_id AND p.entity_type = o.parent_entity_type
        AND p.source_type = o.parent_source_type AND p.source_id = o.parent_source_id
    LEFT JOIN entity k ON k.integration_id = o.integration_id AND k.entity_type = o.child_entity_type
        AND k.source_type = o.child_source_type AND k.source_id = o.child_source_id;

DROP VIEW application_access;

-- Who reaches which application, and through what: a row for each way. `through` is the group or "all users"; null
-- where the access is direct. `can_sign_in` is 0 where the identity or the group is disabled, locked or in the trash.
CREATE VIEW application_access AS
    SELECT i.name AS integration,
           application.source_id AS application_id, application.name AS application,
           identity.source_type AS identity_type, identity.source_id AS identity_id, identity.name AS identity,
           identity.normal ->> 'username' AS username,
           identity.normal ->> 'status' AS identity_status,
           identity.normal ->> 'mfa_state' AS mfa_state,
           way.through_type AS through_type, way.through_id AS through_id,
           coalesce(through.name, way.through_id) AS through,
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
        AND usage.identity_source_type = way.identity_type AND usage.identity_source_id = way.identity_id
    -- Through a group that is gone leads nothing; one that was never read may well be there.
    WHERE through.gone_run IS NULL;

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

DROP VIEW run_connector;

-- Which version of the connector read what: run, stream, digest.
CREATE VIEW run_connector AS
    SELECT i.name AS integration, p.run_id, p.stream, c.name AS connector, c.version, c.digest,
           p.pages, p.distrusted_pages, p.first_page_at, p.last_page_at
    FROM (
        SELECT run_id, stream, connector_id, count(*) AS pages, sum(distrusted) AS distrusted_pages,
               min(committed_at) AS first_page_at, max(committed_at) AS last_page_at
        FROM run_page GROUP BY run_id, stream, connector_id
        UNION ALL
        SELECT run_id, stream, connector_id, pages, distrusted_pages, first_page_at, last_page_at FROM run_reader
    ) p
    JOIN connector c ON c.id = p.connector_id
    JOIN run r ON r.id = p.run_id
    JOIN integration i ON i.id = r.integration_id;
