//! All rules, as SQL over the views. They use only the normal form, no vendor's terms. A select returns integration, source
//! type, key and name of each object, and then the columns of its rule. It may use the parameters `:integration`, `:now`
//! and `:idle_since`.

use super::{Insight, Needs, Severity};

/// What counts as a user, as the alias `e`: a person who does not administer the source system.
macro_rules! is_user {
    () => {
        "e.entity_type = 'identity' AND coalesce(e.normal ->> 'kind', 'human') = 'human'
         AND NOT coalesce(e.normal ->> 'is_privileged', 0)"
    };
}

/// What counts as an administrator: a person who administers the source system.
macro_rules! is_administrator {
    () => {
        "e.entity_type = 'identity' AND coalesce(e.normal ->> 'kind', 'human') = 'human'
         AND coalesce(e.normal ->> 'is_privileged', 0)"
    };
}

/// The condition that `e` belongs to the integration in question; null means all.
macro_rules! of_integration {
    () => {
        " AND (:integration IS NULL OR e.integration = :integration)"
    };
}

/// Objects `e` that fulfil `$is`, with these columns, in this order.
macro_rules! select {
    ($columns:expr, $is:expr, $order:literal) => {
        concat!(
            "SELECT e.integration, e.source_type, e.source_id, e.name, ",
            $columns,
            " FROM entities e WHERE ",
            $is,
            of_integration!(),
            " ORDER BY ",
            $order
        )
    };
}

const USERS: Needs = Needs::Objects(
    "identity",
    "coalesce(normal ->> 'kind', 'human') = 'human' AND NOT coalesce(normal ->> 'is_privileged', 0)",
);
const ADMINISTRATORS: Needs = Needs::Objects(
    "identity",
    "coalesce(normal ->> 'kind', 'human') = 'human' AND normal ->> 'is_privileged' = 1",
);
const SERVICE_ACCOUNTS: Needs = Needs::Objects("identity", "normal ->> 'kind' = 'service'");
const GROUPS: Needs = Needs::Objects("connection", "normal ->> 'kind' = 'group'");
const BYPASS_CODES: Needs = Needs::Objects("resource", "normal ->> 'kind' = 'bypass-code'");
const AUTHENTICATORS: Needs = Needs::Objects("resource", "normal ->> 'kind' = 'authenticator'");
const PHISHING_RESISTANT: Needs = Needs::Objects("resource", "normal ->> 'phishing_resistant' = 1");
const APPLICATIONS: Needs = Needs::Objects("resource", "normal ->> 'kind' = 'application'");

/// All rules, in the order they are shown.
pub const INSIGHTS: &[Insight] = &[
    Insight {
        name: "users-without-mfa",
        title: "Active users without MFA",
        rule: "Users who may sign in and have no authenticator enrolled. An attacker who knows the password of one \
               of them can enroll an authenticator.",
        severity: Severity::High,
        columns: &["user name", "created", "last login"],
        needs: &[USERS],
        select: select!(
            "e.normal ->> 'username', e.normal ->> 'created', e.normal ->> 'last_login'",
            concat!(
                is_user!(),
                " AND e.normal ->> 'status' = 'active' AND e.normal ->> 'mfa_state' = 'not-enrolled'"
            ),
            "e.name, e.source_id"
        ),
    },
    Insight {
        name: "users-in-bypass",
        title: "Users in bypass",
        rule: "Users who sign in without a second factor because an administrator set them to bypass. Bypass is \
               meant for hours; it often stays for years.",
        severity: Severity::High,
        columns: &["user name", "last login"],
        needs: &[USERS],
        select: select!(
            "e.normal ->> 'username', e.normal ->> 'last_login'",
            concat!(is_user!(), " AND e.normal ->> 'mfa_state' = 'bypassed'"),
            "e.name, e.source_id"
        ),
    },
    Insight {
        name: "groups-in-bypass",
        title: "Groups in bypass",
        rule: "Groups whose members sign in without a second factor, whatever is set for each member.",
        severity: Severity::High,
        columns: &["members"],
        needs: &[GROUPS],
        select: select!(
            "(SELECT count(*) FROM relations r
              WHERE r.integration = e.integration AND r.child_entity_type = 'connection'
                AND r.child_source_type = e.source_type AND r.child_source_id = e.source_id
                AND r.privilege = 'member' AND r.privilege_value)",
            "e.entity_type = 'connection' AND e.normal ->> 'mfa_state' = 'bypassed'",
            "e.name, e.source_id"
        ),
    },
    Insight {
        name: "bypass-codes-without-expiry",
        title: "Bypass codes that never expire",
        rule: "Codes that replace the second factor and never expire: a code that leaks keeps working.",
        severity: Severity::High,
        columns: &["holder", "issued by", "created", "uses left"],
        needs: &[BYPASS_CODES],
        select: CODES_WITHOUT_EXPIRY,
    },
    Insight {
        name: "bypass-codes-with-unlimited-uses",
        title: "Bypass codes with unlimited uses",
        rule: "Codes that replace the second factor any number of times until they expire.",
        severity: Severity::Medium,
        columns: &["holder", "issued by", "created", "expires"],
        needs: &[BYPASS_CODES],
        select: CODES_WITH_UNLIMITED_USES,
    },
    Insight {
        name: "idle-users",
        title: "Users idle for 90 days",
        rule: "Users who may sign in and did not sign in within the last 90 days. Users who were created within the \
               last 90 days and never signed in are left out.",
        severity: Severity::Medium,
        columns: &["user name", "last login", "created"],
        needs: &[USERS],
        select: select!(
            "e.normal ->> 'username', e.normal ->> 'last_login', e.normal ->> 'created'",
            concat!(
                is_user!(),
                " AND e.normal ->> 'status' = 'active'
                 AND coalesce(e.normal ->> 'last_login', e.normal ->> 'created', '') < :idle_since"
            ),
            "e.normal ->> 'last_login', e.name, e.source_id"
        ),
    },
    Insight {
        name: "administrators-without-phishing-resistant-factor",
        title: "Administrators without a phishing-resistant factor",
        rule: "Active administrators who own no phishing-resistant authenticator (a security key or a passkey). A \
               stolen session of an administrator opens the MFA of all users.",
        severity: Severity::High,
        columns: &["e-mail", "last login"],
        needs: &[ADMINISTRATORS, PHISHING_RESISTANT],
        select: select!(
            "e.normal -> 'emails' ->> 0, e.normal ->> 'last_login'",
            concat!(
                is_administrator!(),
                " AND e.normal ->> 'status' = 'active'
                 AND NOT EXISTS (
                     SELECT 1 FROM relations r
                     JOIN entities d ON d.integration = r.integration AND d.entity_type = r.child_entity_type
                         AND d.source_type = r.child_source_type AND d.source_id = r.child_source_id
                     WHERE r.integration = e.integration AND r.parent_entity_type = 'identity'
                       AND r.parent_source_type = e.source_type AND r.parent_source_id = e.source_id
                       AND r.privilege = 'owns' AND r.privilege_value AND d.normal ->> 'phishing_resistant' = 1
                 )"
            ),
            "e.name, e.source_id"
        ),
    },
    Insight {
        name: "idle-administrators",
        title: "Administrators idle for 90 days",
        rule: "Active administrators who did not sign in within the last 90 days, or never signed in.",
        severity: Severity::High,
        columns: &["e-mail", "last login", "created"],
        needs: &[ADMINISTRATORS],
        select: select!(
            "e.normal -> 'emails' ->> 0, e.normal ->> 'last_login', e.normal ->> 'created'",
            concat!(
                is_administrator!(),
                " AND e.normal ->> 'status' = 'active'
                 AND coalesce(e.normal ->> 'last_login', e.normal ->> 'created', '') < :idle_since"
            ),
            "e.normal ->> 'last_login', e.name, e.source_id"
        ),
    },
    Insight {
        name: "number-of-owners",
        title: "Too few or too many owners",
        rule: "Active administrators with a role that gives unlimited control, where there are fewer than two of \
               them (none is left when one is away) or more than five (each of them can change everything). Where \
               no administrator has a role, all of them count. Where no owner is left, the account is listed.",
        severity: Severity::Medium,
        columns: &["e-mail", "number of owners"],
        needs: &[ADMINISTRATORS],
        select: OWNERS,
    },
    Insight {
        name: "applications-open-to-all",
        title: "Applications open to all users",
        rule: "Applications that every user of the account can reach, including users who join later.",
        severity: Severity::Medium,
        columns: &["type", "last used"],
        needs: &[APPLICATIONS],
        select: select!(
            "e.normal ->> 'application_type',
             (SELECT u.last_success FROM usages u
              WHERE u.integration = e.integration AND u.resource_source_type = e.source_type
                AND u.resource_source_id = e.source_id AND u.identity_source_id IS NULL)",
            "e.entity_type = 'resource' AND e.normal ->> 'kind' = 'application'
             AND EXISTS (
                 SELECT 1 FROM relations r
                 JOIN entities c ON c.integration = r.integration AND c.entity_type = 'connection'
                     AND c.source_type = r.parent_source_type AND c.source_id = r.parent_source_id
                 WHERE r.integration = e.integration AND r.child_entity_type = 'resource'
                   AND r.child_source_type = e.source_type AND r.child_source_id = e.source_id
                   AND r.parent_entity_type = 'connection' AND r.privilege = 'access' AND r.privilege_value
                   AND c.normal ->> 'kind' = 'everyone'
             )",
            "e.name, e.source_id"
        ),
    },
    Insight {
        name: "unused-applications",
        title: "Applications unused within the window of the log",
        rule: "Applications that no identity signed in to within the time that the log covers. Where no log was \
               read, the rule finds nothing.",
        severity: Severity::Low,
        columns: &["log read from", "log read to"],
        needs: &[APPLICATIONS, Needs::Log],
        select: "SELECT u.integration, u.application_source_type, u.application_source_id, u.application, u.window_from,
                        u.window_to
                 FROM application_usage u
                 WHERE (:integration IS NULL OR u.integration = :integration) AND NOT u.is_deleted
                   AND u.last_success IS NULL AND u.window_to IS NOT NULL
                 ORDER BY u.application, u.application_source_id",
    },
    Insight {
        name: "service-accounts-with-write-grants",
        title: "Service accounts with write grants",
        rule: "Keys of programs that may change the source system. Such a key is enough to change who has access.",
        severity: Severity::High,
        columns: &["grants"],
        needs: &[SERVICE_ACCOUNTS],
        select: select!(
            "(SELECT group_concat(r.privilege, ', ' ORDER BY r.privilege) FROM relations r
              WHERE r.integration = e.integration AND r.parent_entity_type = 'identity'
                AND r.parent_source_type = e.source_type AND r.parent_source_id = e.source_id
                AND r.child_entity_type = 'resource' AND r.privilege_value)",
            "e.entity_type = 'identity' AND e.normal ->> 'kind' = 'service' AND e.normal ->> 'is_privileged' = 1",
            "e.name, e.source_id"
        ),
    },
    Insight {
        name: "shared-authenticators",
        title: "Authenticators shared by several users",
        rule: "Authenticators that more than one identity owns: a sign-in can't be attributed to one of them.",
        severity: Severity::Medium,
        columns: &["owners", "their names"],
        needs: &[AUTHENTICATORS],
        select: SHARED,
    },
];

const SHARED: &str = "
    SELECT e.integration, e.source_type, e.source_id, e.name, s.owners,
           (SELECT group_concat(n.name, ', ') FROM (
                SELECT i.name FROM relations o
                JOIN entities i ON i.integration = o.integration AND i.entity_type = 'identity'
                    AND i.source_type = o.parent_source_type AND i.source_id = o.parent_source_id
                WHERE o.integration = e.integration AND o.child_entity_type = 'resource'
                  AND o.child_source_type = e.source_type AND o.child_source_id = e.source_id
                  AND o.privilege = 'owns' AND o.privilege_value
                ORDER BY i.name LIMIT 5) n)
    FROM (
        SELECT integration, child_source_type, child_source_id, count(*) AS owners FROM relations
        WHERE child_entity_type = 'resource' AND parent_entity_type = 'identity' AND privilege = 'owns'
          AND privilege_value AND (:integration IS NULL OR integration = :integration)
        GROUP BY integration, child_source_type, child_source_id HAVING count(*) > 1
    ) s
    JOIN entities e ON e.integration = s.integration AND e.entity_type = 'resource'
        AND e.source_type = s.child_source_type AND e.source_id = s.child_source_id
        AND e.normal ->> 'kind' = 'authenticator'
    ORDER BY s.owners DESC, e.name, e.source_id";

/// The owners, if there are too few or too many; the account, if there is no owner.
const OWNERS: &str = concat!(
    "WITH administrator AS (
        SELECT e.integration, e.source_type, e.source_id, e.name, e.normal -> 'emails' ->> 0 AS email,
               coalesce(e.normal ->> 'status', '') = 'active' AS is_active,
               EXISTS (SELECT 1 FROM relations r
                       JOIN entities c ON c.integration = r.integration AND c.entity_type = 'connection'
                           AND c.source_type = r.child_source_type AND c.source_id = r.child_source_id
                       WHERE r.integration = e.integration AND r.parent_entity_type = 'identity'
                         AND r.parent_source_type = e.source_type AND r.parent_source_id = e.source_id
                         AND r.child_entity_type = 'connection' AND r.privilege_value
                         AND c.normal ->> 'kind' = 'role' AND c.normal ->> 'is_privileged' = 1) AS is_owner
        FROM entities e WHERE ",
    is_administrator!(),
    of_integration!(),
    "), owner AS (
        SELECT a.*, a.is_active AND (a.is_owner OR NOT EXISTS (
                   SELECT 1 FROM relations r
                   JOIN entities c ON c.integration = r.integration AND c.entity_type = 'connection'
                       AND c.source_type = r.child_source_type AND c.source_id = r.child_source_id
                   WHERE r.integration = a.integration AND r.child_entity_type = 'connection'
                     AND r.privilege_value AND c.normal ->> 'kind' = 'role'
               )) AS counts
        FROM administrator a
    ), counted AS (
        SELECT *, sum(counts) OVER (PARTITION BY integration) AS owners FROM owner
    )
    SELECT integration, source_type, source_id, name, email, owners FROM counted
    WHERE counts AND owners NOT BETWEEN 2 AND 5
    UNION ALL
    SELECT none.integration, coalesce(c.source_type, 'account'), coalesce(c.source_id, none.integration),
           coalesce(c.name, none.integration), NULL, 0
    FROM (SELECT DISTINCT integration FROM counted WHERE owners = 0) none
    LEFT JOIN entities c ON c.integration = none.integration AND c.entity_type = 'resource'
        AND c.normal ->> 'kind' = 'account'
    ORDER BY 4, 3"
);

/// Bypass codes that fulfil `$which`, with their holder, and with `$last` as the last column.
macro_rules! codes {
    ($which:literal, $last:literal) => {
        select!(
            concat!(
                "(SELECT h.name FROM relations r
                  JOIN entities h ON h.integration = r.integration AND h.entity_type = r.parent_entity_type
                      AND h.source_type = r.parent_source_type AND h.source_id = r.parent_source_id
                  WHERE r.integration = e.integration AND r.child_entity_type = 'resource'
                    AND r.child_source_type = e.source_type AND r.child_source_id = e.source_id
                    AND r.privilege = 'holds' AND r.privilege_value LIMIT 1),
                 e.normal ->> 'issued_by', e.normal ->> 'created', e.normal ->> '",
                $last,
                "'"
            ),
            concat!("e.entity_type = 'resource' AND e.normal ->> 'kind' = 'bypass-code' AND ", $which),
            "e.normal ->> 'created', e.source_id"
        )
    };
}

const CODES_WITHOUT_EXPIRY: &str = codes!("e.normal ->> 'expires' = 'never'", "uses_left");
const CODES_WITH_UNLIMITED_USES: &str = codes!(
    "e.normal ->> 'uses_left' = 'unlimited' AND (e.normal ->> 'expires' IS NULL OR e.normal ->> 'expires' = 'never'
     OR e.normal ->> 'expires' > :now)",
    "expires"
);

/// The charts: a title, and a select of labels and numbers, the largest first.
pub(super) const CHARTS: &[(&str, &str)] = &[
    (
        "Users by status",
        concat!(
            "SELECT coalesce(e.normal ->> 'status', 'unknown'), count(*) FROM entities e WHERE ",
            is_user!(),
            of_integration!(),
            " GROUP BY 1 ORDER BY 2 DESC, 1"
        ),
    ),
    (
        "Users by MFA state",
        concat!(
            "SELECT coalesce(e.normal ->> 'mfa_state', 'unknown'), count(*) FROM entities e WHERE ",
            is_user!(),
            of_integration!(),
            " GROUP BY 1 ORDER BY 2 DESC, 1"
        ),
    ),
    (
        "Authenticators by factor",
        concat!(
            "SELECT coalesce(e.normal ->> 'factor', 'unknown')
                    || iif(e.normal ->> 'phishing_resistant' = 1, ' (phishing-resistant)', ''), count(*)
             FROM entities e WHERE e.entity_type = 'resource' AND e.normal ->> 'kind' = 'authenticator'",
            of_integration!(),
            " GROUP BY 1 ORDER BY 2 DESC, 1"
        ),
    ),
    (
        "Applications by last use",
        "SELECT CASE WHEN window_to IS NULL THEN 'not known' WHEN last_success IS NULL THEN 'not within the window'
                     WHEN last_success < :idle_since THEN 'more than 90 days ago' ELSE 'within 90 days' END, count(*)
         FROM application_usage
         WHERE NOT is_deleted AND (:integration IS NULL OR integration = :integration) GROUP BY 1 ORDER BY 2 DESC, 1",
    ),
];
