-- The views: what others read. Their names and columns stay; new ones may come. Times are RFC 3339 in UTC.
--
-- Who has access to what:
--   SELECT parent_source_id, privilege, child_source_id FROM relations;
-- Who can reach application X, and through what:
--   SELECT identity, through FROM application_access WHERE application = 'X' AND can_sign_in;
-- When was each application last used, and within which time do we know:
--   SELECT application, last_success, window_from, window_to FROM application_usage;
-- What changed in the last run:
--   SELECT kind, source_type, name, fields FROM changes WHERE run = (SELECT max(run) FROM runs);
-- Which version of the connector read what:
--   SELECT run, stream, version, digest, pages FROM run_connector;

-- Everything that is there. `normal` and `attributes` are JSON objects.
CREATE VIEW entities AS
    SELECT i.name AS integration, e.entity_type, e.source_type, e.source_id, e.name,
           e.normal, e.attributes, e.stream, e.first_seen_run AS first_run
    FROM entity e JOIN integration i ON i.id = e.integration_id
    WHERE e.gone_run IS NULL;

-- Who is or has what. `privilege_value` is 1 where it grants, 0 where it denies.
CREATE VIEW relations AS
    SELECT i.name AS integration,
           r.parent_entity_type, r.parent_source_type, r.parent_source_id,
           r.privilege, r.privilege_value,
           r.child_entity_type, r.child_source_type, r.child_source_id,
           r.attributes, r.stream, r.first_seen_run AS first_run
    FROM relation r JOIN integration i ON i.id = r.integration_id
    WHERE r.gone_run IS NULL;

-- The last use of each resource: by an identity, or by anybody where `identity_source_id` is null.
CREATE VIEW usages AS
    SELECT i.name AS integration, u.resource_source_type, u.resource_source_id,
           u.resource_name, nullif(u.identity_source_type, '') AS identity_source_type,
           nullif(u.identity_source_id, '') AS identity_source_id, u.identity_name,
           u.last_success, u.last_attempt, u.last_attempt_result, u.last_attempt_vendor
    FROM usage u JOIN integration i ON i.id = u.integration_id;

-- Every run. `outcome` is `complete`, `partial`, or null where it runs or was interrupted.
CREATE VIEW runs AS
    SELECT r.id AS run, i.name AS integration, r.started_at, r.finished_at, r.outcome, r.account,
           r.connector_version, r.connector_digest, r.requests,
           (SELECT sum(s.retries) FROM run_stream s WHERE s.run_id = r.id) AS retries,
           (SELECT sum(s.waited_seconds) FROM run_stream s WHERE s.run_id = r.id) AS waited_seconds,
           (SELECT count(*) FROM problem p WHERE p.run_id = r.id) AS problems,
           (SELECT count(*) FROM change c WHERE c.run_id = r.id) AS changes
    FROM run r JOIN integration i ON i.id = r.integration_id;

-- How each stream of each run ended: `complete`, `incomplete` or `skipped`, why, the permission that is missing, and what
-- to do.
CREATE VIEW run_streams AS
    SELECT run_id AS run, stream, state, reason, permission, hint, started_at, ended_at, pages, total, retries,
           waited_seconds, window_from, window_to
    FROM run_stream;

-- What each run found other than the runs before it. `fields` is a JSON array of objects with `field`, `from` and `to`.
-- Of a relation, `source_type` is `parent > child`, `source_id` and `name` are `parent privilege child`. A run without `run_finished_at`
-- may find more: who asks for what came after a run he knows remembers only finished ones.
CREATE VIEW changes AS
    SELECT c.run_id AS run, r.started_at AS run_started_at, i.name AS integration, c.kind, c.object,
           e.source_type, e.source_id, e.name, c.fields, r.finished_at AS run_finished_at
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

-- Which version of the connector read what: run, stream, digest.
CREATE VIEW run_connector AS
    SELECT i.name AS integration, p.run_id AS run, p.stream, c.name AS connector, c.version, c.digest,
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

-- Who reaches which application, and through what: a row for each way. An application is a resource whose kind is
-- `application`. `through` is the group or another connection; null where the access is direct. `can_sign_in` is 0 where
-- the identity or the connection is disabled, locked or about to be deleted.
CREATE VIEW application_access AS
    SELECT i.name AS integration,
           application.source_type AS application_source_type, application.source_id AS application_source_id,
           application.name AS application,
           identity.source_type AS identity_source_type, identity.source_id AS identity_source_id,
           identity.name AS identity,
           identity.normal ->> 'username' AS username,
           identity.normal ->> 'status' AS identity_status,
           identity.normal ->> 'mfa_state' AS mfa_state,
           way.through_type AS through_source_type, way.through_id AS through_source_id,
           coalesce(through.name, way.through_id) AS through,
           through.normal ->> 'status' AS through_status,
           identity.normal ->> 'status' = 'active'
               AND coalesce(through.normal ->> 'status', 'active') = 'active' AS can_sign_in,
           usage.last_success AS last_success
    FROM (
        SELECT access.integration_id, access.child_source_type AS application_type,
               access.child_source_id AS application_id,
               member.parent_source_type AS identity_type, member.parent_source_id AS identity_id,
               access.parent_source_type AS through_type, access.parent_source_id AS through_id
        FROM relation access JOIN relation member
            ON member.integration_id = access.integration_id
            AND member.child_entity_type = access.parent_entity_type
            AND member.child_source_type = access.parent_source_type
            AND member.child_source_id = access.parent_source_id
        WHERE access.privilege = 'access' AND access.privilege_value AND access.gone_run IS NULL
          AND access.child_entity_type = 'resource' AND access.parent_entity_type = 'connection'
          AND member.privilege = 'member' AND member.privilege_value AND member.gone_run IS NULL
          AND member.parent_entity_type = 'identity'
        UNION ALL
        SELECT integration_id, child_source_type, child_source_id, parent_source_type, parent_source_id, NULL, NULL
        FROM relation
        WHERE privilege = 'access' AND privilege_value AND gone_run IS NULL
          AND child_entity_type = 'resource' AND parent_entity_type = 'identity'
    ) way
    JOIN integration i ON i.id = way.integration_id
    JOIN entity application
        ON application.integration_id = way.integration_id AND application.entity_type = 'resource'
        AND application.source_type = way.application_type AND application.source_id = way.application_id
        AND application.gone_run IS NULL AND application.normal ->> 'kind' = 'application'
    JOIN entity identity
        ON identity.integration_id = way.integration_id AND identity.entity_type = 'identity'
        AND identity.source_type = way.identity_type AND identity.source_id = way.identity_id
        AND identity.gone_run IS NULL
    LEFT JOIN entity through
        ON through.integration_id = way.integration_id AND through.entity_type = 'connection'
        AND through.source_type = way.through_type AND through.source_id = way.through_id
    LEFT JOIN usage
        ON usage.integration_id = way.integration_id
        AND usage.resource_source_type = way.application_type AND usage.resource_source_id = way.application_id
        AND usage.identity_source_type = way.identity_type AND usage.identity_source_id = way.identity_id
    -- A connection that was removed gives no access; one that was never read may exist.
    WHERE through.gone_run IS NULL;

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

-- The last use of each application by any identity. Without `last_success` no identity signed in within the window;
-- without a window nothing is known. `is_deleted` is 1 for an application that only the log still names.
CREATE VIEW application_usage AS
    SELECT i.name AS integration, application.source_type AS application_source_type,
           application.source_id AS application_source_id, application.name AS application,
           0 AS is_deleted, usage.last_success, usage.last_attempt, usage.last_attempt_result,
           span.window_from, span.window_to
    FROM entity application
    JOIN integration i ON i.id = application.integration_id
    LEFT JOIN usage
        ON usage.integration_id = application.integration_id
        AND usage.resource_source_type = application.source_type
        AND usage.resource_source_id = application.source_id
        AND usage.identity_source_type = '' AND usage.identity_source_id = ''
    LEFT JOIN usage_window span ON span.integration_id = application.integration_id
    WHERE application.entity_type = 'resource' AND application.normal ->> 'kind' = 'application'
      AND application.gone_run IS NULL
    UNION ALL
    SELECT i.name, usage.resource_source_type, usage.resource_source_id,
           coalesce(usage.resource_name, usage.resource_source_id),
           1, usage.last_success, usage.last_attempt, usage.last_attempt_result, span.window_from, span.window_to
    FROM usage
    JOIN integration i ON i.id = usage.integration_id
    LEFT JOIN usage_window span ON span.integration_id = usage.integration_id
    WHERE usage.identity_source_type = ''
      AND NOT EXISTS (
          SELECT 1 FROM entity application
          WHERE application.integration_id = usage.integration_id AND application.entity_type = 'resource'
            AND application.source_type = usage.resource_source_type
            AND application.source_id = usage.resource_source_id AND application.gone_run IS NULL
      );
