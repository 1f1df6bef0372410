//! All rules, as SQL over the views. A select gives integration, type, id and name of each object, and then the columns of
//! its rule. It may name `:integration`, `:now` and `:idle_since`.

use super::{Insight, Needs, Severity};

/// All rules, in the order they are shown.
pub const INSIGHTS: &[Insight] = &[
    Insight {
        name: "users-without-mfa",
        title: "Active users without MFA",
        rule: "Users who may sign in and have no authenticator enrolled. Whoever knows the password of one of them may enrol \
               an authenticator of his own.",
        severity: Severity::High,
        columns: &["user name", "created", "last login"],
        needs: &[Needs::Type("user")],
        select: "SELECT integration, source_type, source_id, name, normal ->> 'username', normal ->> 'created', normal ->> 'last_login'
                 FROM entities
                 WHERE source_type = 'user' AND (:integration IS NULL OR integration = :integration)
                   AND normal ->> 'status' = 'active' AND normal ->> 'mfa_state' = 'not-enrolled'
                 ORDER BY name, source_id",
    },
    Insight {
        name: "users-in-bypass",
        title: "Users in bypass",
        rule: "Users who sign in without a second factor because somebody set them to bypass. It is meant for hours, and stays \
               for years.",
        severity: Severity::High,
        columns: &["user name", "last login"],
        needs: &[Needs::Type("user")],
        select: "SELECT integration, source_type, source_id, name, normal ->> 'username', normal ->> 'last_login'
                 FROM entities
                 WHERE source_type = 'user' AND (:integration IS NULL OR integration = :integration)
                   AND normal ->> 'mfa_state' = 'bypassed'
                 ORDER BY name, source_id",
    },
    Insight {
        name: "groups-in-bypass",
        title: "Groups in bypass",
        rule: "Groups whose members sign in without a second factor, whatever is set for each of them.",
        severity: Severity::High,
        columns: &["members"],
        needs: &[Needs::Type("group")],
        select: "SELECT e.integration, e.source_type, e.source_id, e.name,
                        (SELECT count(*) FROM relations r
                         WHERE r.integration = e.integration AND r.child_entity_type = 'connection'
                           AND r.child_source_type = e.source_type AND r.child_source_id = e.source_id AND r.privilege = 'member'
                           AND r.privilege_value)
                 FROM entities e
                 WHERE e.source_type = 'group' AND (:integration IS NULL OR e.integration = :integration)
                   AND e.normal ->> 'mfa_state' = 'bypassed'
                 ORDER BY e.name, e.source_id",
    },
    Insight {
        name: "bypass-codes-without-expiry",
        title: "Bypass codes that never expire",
        rule: "Codes that replace the second factor and have no end. Who finds one on paper gets in next year as well.",
        severity: Severity::High,
        columns: &["holder", "issued by", "created", "uses left"],
        needs: &[Needs::Type("bypass-code")],
        select: CODES_WITHOUT_EXPIRY,
    },
    Insight {
        name: "bypass-codes-with-unlimited-uses",
        title: "Bypass codes with unlimited uses",
        rule: "Codes that replace the second factor as often as somebody likes, until they expire.",
        severity: Severity::Medium,
        columns: &["holder", "issued by", "created", "expires"],
        needs: &[Needs::Type("bypass-code")],
        select: CODES_WITH_UNLIMITED_USES,
    },
    Insight {
        name: "idle-users",
        title: "Users idle for 90 days",
        rule: "Users who may sign in and did not within the last 90 days, or never as far as the vendor says. Those created \
               within the last 90 days who never signed in are left out.",
        severity: Severity::Medium,
        columns: &["user name", "last login", "created"],
        needs: &[Needs::Type("user")],
        select: "SELECT integration, source_type, source_id, name, normal ->> 'username', normal ->> 'last_login', normal ->> 'created'
                 FROM entities
                 WHERE source_type = 'user' AND (:integration IS NULL OR integration = :integration)
                   AND normal ->> 'status' = 'active'
                   AND coalesce(normal ->> 'last_login', normal ->> 'created', '') < :idle_since
                 ORDER BY normal ->> 'last_login', name, source_id",
    },
    Insight {
        name: "administrators-without-phishing-resistant-factor",
        title: "Administrators without a phishing-resistant factor",
        rule: "Active administrators who own no authenticator that resists phishing (a security key or a passkey). Their session \
               opens everybody's MFA.",
        severity: Severity::High,
        columns: &["e-mail", "last login"],
        needs: &[Needs::Type("administrator"), Needs::Type("webauthn-credential")],
        select: "SELECT a.integration, a.source_type, a.source_id, a.name, a.normal -> 'emails' ->> 0, a.normal ->> 'last_login'
                 FROM entities a
                 WHERE a.source_type = 'administrator' AND (:integration IS NULL OR a.integration = :integration)
                   AND a.normal ->> 'status' = 'active'
                   AND NOT EXISTS (
                       SELECT 1 FROM relations r
                       JOIN entities d ON d.integration = r.integration AND d.entity_type = r.child_entity_type
                           AND d.source_type = r.child_source_type AND d.source_id = r.child_source_id
                       WHERE r.integration = a.integration AND r.parent_entity_type = 'identity'
                         AND r.parent_source_type = a.source_type AND r.parent_source_id = a.source_id
                         AND r.privilege = 'owns' AND r.privilege_value AND d.normal ->> 'phishing_resistant' = 1
                   )
                 ORDER BY a.name, a.source_id",
    },
    Insight {
        name: "idle-administrators",
        title: "Administrators idle for 90 days",
        rule: "Active administrators who did not sign in within the last 90 days, or never as far as the vendor says.",
        severity: Severity::High,
        columns: &["e-mail", "last login", "created"],
        needs: &[Needs::Type("administrator")],
        select: "SELECT integration, source_type, source_id, name, normal -> 'emails' ->> 0, normal ->> 'last_login', normal ->> 'created'
                 FROM entities
                 WHERE source_type = 'administrator' AND (:integration IS NULL OR integration = :integration)
                   AND normal ->> 'status' = 'active'
                   AND coalesce(normal ->> 'last_login', normal ->> 'created', '') < :idle_since
                 ORDER BY normal ->> 'last_login', name, source_id",
    },
    Insight {
        name: "number-of-owners",
        title: "Too few or too many Owners",
        rule: "Active administrators with the role Owner, where an account has fewer than two of them (nobody is left when one is \
               away) or more than five (each of them can do everything). Where the edition has no roles, every \
               administrator is one; where there is no Owner at all, the account is named.",
        severity: Severity::Medium,
        columns: &["e-mail", "owners altogether"],
        needs: &[Needs::Type("administrator")],
        select: OWNERS,
    },
    Insight {
        name: "applications-open-to-all",
        title: "Applications open to all users",
        rule: "Applications that every user of the account may reach, those who join later included.",
        severity: Severity::Medium,
        columns: &["type", "last used"],
        needs: &[Needs::Type("application")],
        select: "SELECT a.integration, a.source_type, a.source_id, a.name, a.normal ->> 'application_type',
                        (SELECT u.last_success FROM usages u
                         WHERE u.integration = a.integration AND u.resource_source_type = a.source_type AND u.resource_source_id = a.source_id
                           AND u.identity_source_id IS NULL)
                 FROM entities a JOIN relations r ON r.integration = a.integration
                     AND r.child_entity_type = 'resource' AND r.child_source_type = a.source_type AND r.child_source_id = a.source_id
                 WHERE a.source_type = 'application' AND (:integration IS NULL OR a.integration = :integration)
                   AND r.parent_source_type = 'all-users' AND r.privilege = 'access' AND r.privilege_value
                 ORDER BY a.name, a.source_id",
    },
    Insight {
        name: "unused-applications",
        title: "Applications unused within the window of the log",
        rule: "Applications that nobody signed in to within the time that the log was read for. Where no log was read, nothing is \
               found, because nobody knows.",
        severity: Severity::Low,
        columns: &["log read from", "log read to"],
        needs: &[Needs::Type("application"), Needs::Log],
        select: "SELECT u.integration, u.application_source_type, u.application_source_id, u.application, u.window_from, u.window_to
                 FROM application_usage u
                 WHERE (:integration IS NULL OR u.integration = :integration) AND NOT u.is_deleted
                   AND u.last_success IS NULL AND u.window_to IS NOT NULL
                 ORDER BY u.application, u.application_source_id",
    },
    Insight {
        name: "service-accounts-with-write-grants",
        title: "Service accounts with write grants",
        rule: "Keys for programs that may do more than read: a grant that does not end in `read`. Whoever has such a key changes \
               who gets in.",
        severity: Severity::High,
        columns: &["grants"],
        needs: &[Needs::Type("service-account")],
        select: "SELECT s.integration, s.source_type, s.source_id, s.name, group_concat(r.privilege, ', ' ORDER BY r.privilege)
                 FROM entities s JOIN relations r ON r.integration = s.integration
                     AND r.parent_entity_type = 'identity' AND r.parent_source_type = s.source_type AND r.parent_source_id = s.source_id
                 WHERE s.source_type = 'service-account' AND (:integration IS NULL OR s.integration = :integration)
                   AND r.child_source_type = 'account' AND r.privilege_value AND r.privilege NOT LIKE '%read'
                 GROUP BY s.integration, s.source_type, s.source_id, s.name
                 ORDER BY s.name, s.source_id",
    },
    Insight {
        name: "shared-phones",
        title: "Phones shared by several users",
        rule: "Phones that more than one user owns: nobody can tell who of them approved a sign-in.",
        severity: Severity::Medium,
        columns: &["users", "their names"],
        needs: &[Needs::Type("phone")],
        select: "SELECT p.integration, p.source_type, p.source_id, p.name, s.users,
                        (SELECT group_concat(n.name, ', ') FROM (
                             SELECT e.name FROM relations o
                             JOIN entities e ON e.integration = o.integration AND e.entity_type = 'identity'
                                 AND e.source_type = o.parent_source_type AND e.source_id = o.parent_source_id
                             WHERE o.integration = p.integration AND o.child_entity_type = 'resource'
                               AND o.child_source_type = p.source_type AND o.child_source_id = p.source_id AND o.privilege = 'owns'
                               AND o.privilege_value
                             ORDER BY e.name LIMIT 5) n)
                 FROM (
                     SELECT integration, child_source_type, child_source_id, count(*) AS users FROM relations
                     WHERE child_entity_type = 'resource' AND child_source_type = 'phone' AND privilege = 'owns'
                       AND privilege_value AND (:integration IS NULL OR integration = :integration)
                     GROUP BY integration, child_source_type, child_source_id HAVING count(*) > 1
                 ) s
                 JOIN entities p ON p.integration = s.integration AND p.entity_type = 'resource'
                     AND p.source_type = s.child_source_type AND p.source_id = s.child_source_id
                 ORDER BY s.users DESC, p.name, p.source_id",
    },
];

/// Owners where there are too few or too many, and the account where there is none.
const OWNERS: &str = "
    WITH administrator AS (
        SELECT a.integration, a.source_type, a.source_id, a.name, a.normal -> 'emails' ->> 0 AS email,
               coalesce(a.normal ->> 'status', '') = 'active' AS is_active,
               EXISTS (SELECT 1 FROM relations r WHERE r.integration = a.integration
                           AND r.parent_entity_type = 'identity' AND r.parent_source_type = a.source_type AND r.parent_source_id = a.source_id
                           AND r.privilege = 'assigned' AND r.privilege_value
                           AND r.child_source_type = 'admin-role' AND r.child_source_id = 'Owner') AS is_owner,
               EXISTS (SELECT 1 FROM relations r WHERE r.integration = a.integration
                           AND r.child_entity_type = 'connection' AND r.child_source_type = 'admin-role'
                           AND r.privilege = 'assigned' AND r.privilege_value) AS has_roles
        FROM entities a
        WHERE a.source_type = 'administrator' AND (:integration IS NULL OR a.integration = :integration)
    ), owner AS (
        SELECT *, is_active AND (is_owner OR NOT has_roles) AS counts FROM administrator
    ), counted AS (
        SELECT *, sum(counts) OVER (PARTITION BY integration) AS owners FROM owner
    )
    SELECT integration, source_type, source_id, name, email, owners FROM counted WHERE counts AND owners NOT BETWEEN 2 AND 5
    UNION ALL
    SELECT none.integration, 'account', coalesce(c.source_id, none.integration), coalesce(c.name, none.integration), NULL, 0
    FROM (SELECT DISTINCT integration FROM counted WHERE owners = 0) none
    LEFT JOIN entities c ON c.integration = none.integration AND c.source_type = 'account'
    ORDER BY 4, 3";

/// Bypass codes that count, with who holds them.
macro_rules! codes {
    ($which:literal, $last:literal) => {
        concat!(
            "SELECT c.integration, c.source_type, c.source_id, c.name,
                    (SELECT h.name FROM relations r JOIN entities h ON h.integration = r.integration
                         AND h.entity_type = r.parent_entity_type AND h.source_type = r.parent_source_type AND h.source_id = r.parent_source_id
                     WHERE r.integration = c.integration AND r.child_entity_type = 'resource' AND r.child_source_type = c.source_type
                       AND r.child_source_id = c.source_id AND r.privilege = 'holds' AND r.privilege_value LIMIT 1),
                    c.normal ->> 'issued_by', c.normal ->> 'created', c.normal ->> '",
            $last,
            "'
             FROM entities c
             WHERE c.source_type = 'bypass-code' AND (:integration IS NULL OR c.integration = :integration) AND ",
            $which,
            " ORDER BY c.normal ->> 'created', c.source_id"
        )
    };
}

const CODES_WITHOUT_EXPIRY: &str = codes!("c.normal ->> 'expires' = 'never'", "uses_left");
const CODES_WITH_UNLIMITED_USES: &str = codes!(
    "c.normal ->> 'uses_left' = 'unlimited' AND (c.normal ->> 'expires' IS NULL OR c.normal ->> 'expires' = 'never' \
     OR c.normal ->> 'expires' > :now)",
    "expires"
);

/// Titles of charts, and what they count: a label and a number, the largest first.
pub(super) const CHARTS: &[(&str, &str)] = &[
    (
        "Users by status",
        "SELECT coalesce(normal ->> 'status', 'unknown'), count(*) FROM entities
         WHERE source_type = 'user' AND (:integration IS NULL OR integration = :integration) GROUP BY 1 ORDER BY 2 DESC, 1",
    ),
    (
        "Users by MFA state",
        "SELECT coalesce(normal ->> 'mfa_state', 'unknown'), count(*) FROM entities
         WHERE source_type = 'user' AND (:integration IS NULL OR integration = :integration) GROUP BY 1 ORDER BY 2 DESC, 1",
    ),
    (
        "Authenticators by factor",
        "SELECT coalesce(normal ->> 'factor', 'unknown')
                || iif(normal ->> 'phishing_resistant' = 1, ' (phishing-resistant)', ''), count(*)
         FROM entities
         WHERE entity_type = 'resource' AND normal ->> 'kind' = 'authenticator'
           AND (:integration IS NULL OR integration = :integration)
         GROUP BY 1 ORDER BY 2 DESC, 1",
    ),
    (
        "Applications by last use",
        "SELECT CASE WHEN window_to IS NULL THEN 'not known' WHEN last_success IS NULL THEN 'not within the window'
                     WHEN last_success < :idle_since THEN 'more than 90 days ago' ELSE 'within 90 days' END, count(*)
         FROM application_usage
         WHERE NOT is_deleted AND (:integration IS NULL OR integration = :integration) GROUP BY 1 ORDER BY 2 DESC, 1",
    ),
];
