-- The views: what other programs read. Their names and columns stay; new ones may come. Times are RFC 3339 in UTC.
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

-- Every present entity. `normal` and `attributes` are JSON objects.
CREATE VIEW entities AS
    SELECT i.name AS integration, k.entity_type, k.source_type, e.source_id, e.name,
           e.normal, e.attributes, (SELECT s.name FROM stream s WHERE s.id = e.stream_id) AS stream,
           e.first_seen_run AS first_run
    FROM kind k
    JOIN integration i ON i.id = k.integration_id
    JOIN entity e ON e.kind_id = k.id
    WHERE e.stream_id IS NOT NULL AND e.gone_run IS NULL;

-- Who is or has what. `privilege_value` is 1 where it grants, 0 where it denies.
CREATE VIEW relations AS
    SELECT i.name AS integration,
           parent_kind.entity_type AS parent_entity_type, parent_kind.source_type AS parent_source_type,
           parent.source_id AS parent_source_id,
           p.name AS privilege, r.privilege_value,
           child_kind.entity_type AS child_entity_type, child_kind.source_type AS child_source_type,
           child.source_id AS child_source_id,
           r.attributes, (SELECT s.name FROM stream s WHERE s.id = r.stream_id) AS stream,
           r.first_seen_run AS first_run
    FROM privilege p
    JOIN kind parent_kind ON parent_kind.id = p.parent_kind_id
    JOIN kind child_kind ON child_kind.id = p.child_kind_id
    JOIN integration i ON i.id = parent_kind.integration_id
    JOIN relation r ON r.privilege_id = p.id
    -- Both ends always have a row: SQLite leaves out the outer join of an end whose key is not used. The kind is that of the
    -- privilege: the condition lets a key find the entity.
    LEFT JOIN entity parent ON parent.id = r.parent_id AND parent.kind_id = p.parent_kind_id
    LEFT JOIN entity child ON child.id = r.child_id AND child.kind_id = p.child_kind_id
    WHERE r.gone_run IS NULL;

-- The last use of each resource: by one identity, or by any where `identity_source_id` is null.
CREATE VIEW usages AS
    SELECT i.name AS integration, k.source_type AS resource_source_type, resource.source_id AS resource_source_id,
           u.resource_name, identity_kind.source_type AS identity_source_type,
           identity.source_id AS identity_source_id, u.identity_name,
           u.last_success, u.last_attempt, u.last_attempt_result, u.last_attempt_vendor
    FROM usage u
    JOIN entity resource ON resource.id = u.resource_id
    JOIN kind k ON k.id = resource.kind_id
    JOIN integration i ON i.id = k.integration_id
    LEFT JOIN entity identity ON identity.id = u.identity_id
    LEFT JOIN kind identity_kind ON identity_kind.id = identity.kind_id;

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

-- The changes that each run found. `fields` is a JSON array of objects with `field`, `from` and `to`. Of a relation,
-- `source_type` is `parent > child`, `source_id` and `name` are `parent privilege child`. A run without `run_finished_at` may
-- find more changes: a program that asks for the changes since a run remembers the last finished one.
CREATE VIEW changes AS
    SELECT c.run_id AS run, r.started_at AS run_started_at, i.name AS integration, c.kind, c.object,
           k.source_type, e.source_id, e.name, c.fields, r.finished_at AS run_finished_at
    FROM change c
    JOIN run r ON r.id = c.run_id
    JOIN integration i ON i.id = r.integration_id
    JOIN entity e ON c.object = 'entity' AND e.id = c.object_id
    JOIN kind k ON k.id = e.kind_id
    UNION ALL
    SELECT c.run_id, r.started_at, i.name, c.kind, c.object,
           parent_kind.source_type || ' > ' || child_kind.source_type,
           parent.source_id || ' ' || p.name || ' ' || child.source_id,
           coalesce(parent.name, parent.source_id) || ' ' || p.name || ' ' || coalesce(child.name, child.source_id),
           c.fields, r.finished_at
    FROM change c
    JOIN run r ON r.id = c.run_id
    JOIN integration i ON i.id = r.integration_id
    JOIN relation o ON c.object = 'relation' AND o.id = c.object_id
    JOIN privilege p ON p.id = o.privilege_id
    JOIN kind parent_kind ON parent_kind.id = p.parent_kind_id
    JOIN kind child_kind ON child_kind.id = p.child_kind_id
    JOIN entity parent ON parent.id = o.parent_id
    JOIN entity child ON child.id = o.child_id;

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
    SELECT integration, source_type, source_id, name,
           normal ->> 'username'    AS username,
           normal -> 'emails' ->> 0 AS email,
           normal ->> 'kind'        AS kind,
           normal ->> 'status'      AS status,
           normal ->> 'mfa_state'   AS mfa_state,
           normal ->> 'last_login'  AS last_login
    FROM entities WHERE entity_type = 'identity';

CREATE VIEW connection AS
    SELECT integration, source_type, source_id, name,
           normal ->> 'kind'      AS kind,
           normal ->> 'status'    AS status,
           normal ->> 'mfa_state' AS mfa_state
    FROM entities WHERE entity_type = 'connection';

CREATE VIEW resource AS
    SELECT integration, source_type, source_id, name,
           normal ->> 'kind' AS kind
    FROM entities WHERE entity_type = 'resource';

-- Who reaches which application, and through what: a row for each path. An application is a resource whose kind is
-- `application`. `through` is the group or another connection; null where the access is direct. `can_sign_in` is 0 where
-- the identity or the connection is disabled, locked or about to be deleted. One select for each, so that SQLite starts from
-- whichever key is asked for.
CREATE VIEW application_access AS
    SELECT i.name AS integration,
           application_kind.source_type AS application_source_type, application.source_id AS application_source_id,
           application.name AS application,
           identity_kind.source_type AS identity_source_type, identity.source_id AS identity_source_id,
           identity.name AS identity,
           identity.normal ->> 'username' AS username,
           identity.normal ->> 'status' AS identity_status,
           identity.normal ->> 'mfa_state' AS mfa_state,
           through_kind.source_type AS through_source_type, through.source_id AS through_source_id,
           coalesce(through.name, through.source_id) AS through,
           through.normal ->> 'status' AS through_status,
           identity.normal ->> 'status' = 'active'
               AND coalesce(through.normal ->> 'status', 'active') = 'active' AS can_sign_in,
           usage.last_success AS last_success
    FROM kind application_kind
    JOIN integration i ON i.id = application_kind.integration_id
    JOIN entity application ON application.kind_id = application_kind.id
        AND application.stream_id IS NOT NULL AND application.gone_run IS NULL
        AND application.normal ->> 'kind' = 'application'
    JOIN privilege grants ON grants.child_kind_id = application.kind_id AND grants.name = 'access'
    JOIN relation access ON access.privilege_id = grants.id AND access.child_id = application.id
        AND access.privilege_value AND access.gone_run IS NULL
    JOIN kind through_kind ON through_kind.id = grants.parent_kind_id AND through_kind.entity_type = 'connection'
    -- A connection that was removed gives no access; one that was never read may exist.
    JOIN entity through ON through.id = access.parent_id AND through.gone_run IS NULL
    JOIN privilege member ON member.child_kind_id = through_kind.id AND member.name = 'member'
    JOIN relation membership ON membership.privilege_id = member.id AND membership.child_id = access.parent_id
        AND membership.privilege_value AND membership.gone_run IS NULL
    JOIN kind identity_kind ON identity_kind.id = member.parent_kind_id AND identity_kind.entity_type = 'identity'
    JOIN entity identity ON identity.id = membership.parent_id AND identity.kind_id = identity_kind.id
        AND identity.stream_id IS NOT NULL AND identity.gone_run IS NULL
    LEFT JOIN usage ON usage.resource_id = application.id AND usage.identity_id = identity.id
    WHERE application_kind.entity_type = 'resource'
    UNION ALL
    SELECT i.name, application_kind.source_type, application.source_id, application.name,
           identity_kind.source_type, identity.source_id, identity.name,
           identity.normal ->> 'username', identity.normal ->> 'status', identity.normal ->> 'mfa_state',
           NULL, NULL, NULL, NULL, identity.normal ->> 'status' = 'active',
           usage.last_success
    FROM kind application_kind
    JOIN integration i ON i.id = application_kind.integration_id
    JOIN entity application ON application.kind_id = application_kind.id
        AND application.stream_id IS NOT NULL AND application.gone_run IS NULL
        AND application.normal ->> 'kind' = 'application'
    JOIN privilege grants ON grants.child_kind_id = application.kind_id AND grants.name = 'access'
    JOIN relation access ON access.privilege_id = grants.id AND access.child_id = application.id
        AND access.privilege_value AND access.gone_run IS NULL
    JOIN kind identity_kind ON identity_kind.id = grants.parent_kind_id AND identity_kind.entity_type = 'identity'
    JOIN entity identity ON identity.id = access.parent_id AND identity.kind_id = identity_kind.id
        AND identity.stream_id IS NOT NULL AND identity.gone_run IS NULL
    LEFT JOIN usage ON usage.resource_id = application.id AND usage.identity_id = identity.id
    WHERE application_kind.entity_type = 'resource';

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
    SELECT i.name AS integration, k.source_type AS application_source_type,
           application.source_id AS application_source_id, application.name AS application,
           0 AS is_deleted, usage.last_success, usage.last_attempt, usage.last_attempt_result,
           span.window_from, span.window_to
    FROM kind k
    JOIN integration i ON i.id = k.integration_id
    JOIN entity application ON application.kind_id = k.id
    LEFT JOIN usage ON usage.resource_id = application.id AND usage.identity_id = 0
    LEFT JOIN usage_window span ON span.integration_id = i.id
    WHERE k.entity_type = 'resource' AND application.normal ->> 'kind' = 'application'
      AND application.stream_id IS NOT NULL AND application.gone_run IS NULL
    UNION ALL
    SELECT i.name, k.source_type, application.source_id, coalesce(usage.resource_name, application.source_id),
           1, usage.last_success, usage.last_attempt, usage.last_attempt_result, span.window_from, span.window_to
    FROM usage
    JOIN entity application ON application.id = usage.resource_id
    JOIN kind k ON k.id = application.kind_id
    JOIN integration i ON i.id = k.integration_id
    LEFT JOIN usage_window span ON span.integration_id = i.id
    WHERE usage.identity_id = 0 AND (application.stream_id IS NULL OR application.gone_run IS NOT NULL);
