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
