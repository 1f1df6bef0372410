//! The authentication log, version 2. Section 3.3 and 4.15 of the reference.

use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::paging::Parameters;
use crate::tenant::Tenant;

const DEFAULT_LIMIT: u64 = 100;
const MOST: u64 = 1000;
/// "Intentional two minute delay in availability."
const DELAY_MS: i64 = 120_000;
const RETENTION_MS: i64 = 180 * 86_400_000;
/// A client that computes its window a moment before we do asks for a moment too much.
const RETENTION_GRACE_MS: i64 = 3_600_000;

/// Names of the filters, and where an event has the value.
const FILTERS: [(&str, &str); 6] = [
    ("applications", "/application/key"),
    ("users", "/user/key"),
    ("results", "/result"),
    ("event_types", "/event_type"),
    ("factors", "/factor"),
    ("reasons", "/reason"),
];

/// One page of the log; `now` is the server's clock in milliseconds.
pub(crate) fn page(
    tenant: &Tenant,
    parameters: &Parameters<'_>,
    now: i64,
    null_next_offset: bool,
) -> Result<Value, Failure> {
    let time = |name: &str| -> Result<i64, Failure> {
        let text = parameters.get(name).ok_or_else(|| Failure::missing_parameter(name))?;
        text.parse().ok().filter(|time| *time >= 0).ok_or_else(|| Failure::invalid_parameter(name))
    };
    let (from, to) = (time("mintime")?, time("maxtime")?);
    if from >= to || from < now - RETENTION_MS - RETENTION_GRACE_MS {
        return Err(Failure::invalid_parameter("mintime"));
    }
    let descending = match parameters.get("sort") {
        None | Some("ts:desc") => true,
        Some("ts:asc") => false,
        Some(_) => return Err(Failure::invalid_parameter("sort")),
    };
    let limit = parameters.number("limit", 1)?.unwrap_or(DEFAULT_LIMIT).min(MOST);
    let first = tenant.first_event_at(from);
    let end = tenant.first_event_at(to.min(now - DELAY_MS)).max(first);
    let start = match cursor(parameters)? {
        // The event that the cursor names is the next one.
        Some((at, txid)) => Some(
            tenant
                .event_of(&txid)
                .filter(|index| (first..end).contains(index) && tenant.event_time(*index) == at)
                .ok_or_else(|| Failure::invalid_parameter("next_offset"))?,
        ),
        None => None,
    };
    let filters: Vec<_> = FILTERS
        .iter()
        .map(|(name, pointer)| (parameters.all(name), *pointer))
        .filter(|(values, _)| !values.is_empty())
        .collect();
    let matches = |event: &Value| {
        filters.iter().all(|(values, pointer)| {
            event.pointer(pointer).and_then(Value::as_str).is_some_and(|value| values.contains(&value))
        })
    };

    let order: Box<dyn Iterator<Item = u64>> = match (descending, start) {
        (true, start) => Box::new((first..start.map_or(end, |start| start + 1)).rev()),
        (false, start) => Box::new(start.unwrap_or(first)..end),
    };
    let mut events = Vec::new();
    let mut next_offset = None;
    for index in order {
        let Some(event) = tenant.event(index).filter(matches) else { continue };
        if events.len() as u64 == limit {
            next_offset = Some(json!([tenant.event_time(index).to_string(), tenant.event_txid(index)]));
            break;
        }
        events.push(event);
    }
    let mut metadata = Map::new();
    if let Some(next_offset) = next_offset {
        metadata.insert("next_offset".to_owned(), next_offset);
    } else if null_next_offset {
        metadata.insert("next_offset".to_owned(), Value::Null);
    }
    // How many match would take a look at all of them; the field may be missing, so it is not made up.
    if filters.is_empty() {
        metadata.insert("total_objects".to_owned(), (end - first).into());
    }
    Ok(json!({ "stat": "OK", "response": { "authlogs": events, "metadata": metadata } }))
}

/// The cursor: time and transaction, joined by a comma or as two parameters.
fn cursor(parameters: &Parameters<'_>) -> Result<Option<(i64, String)>, Failure> {
    let invalid = || Failure::invalid_parameter("next_offset");
    let given = parameters.all("next_offset");
    let (time, txid) = match given.as_slice() {
        [] => return Ok(None),
        [joined] => joined.split_once(',').ok_or_else(invalid)?,
        [time, txid] => (*time, *txid),
        _ => return Err(invalid()),
    };
    Ok(Some((time.parse().map_err(|_| invalid())?, txid.to_owned())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::options::TenantOptions;

    fn ask(tenant: &Tenant, query: &str) -> Result<Value, Failure> {
        page(tenant, &Parameters(&crate::authentication::parameters(query)), tenant.now_ms(), false)
    }

    fn txids(answer: &Value) -> impl Iterator<Item = String> {
        let events = answer["response"]["authlogs"].as_array().unwrap();
        events.iter().map(|event| event["txid"].as_str().unwrap().to_owned())
    }

    /// What a walk along the cursors sees; `repeated` sends a cursor as two parameters.
    fn walk(tenant: &Tenant, query: &str, repeated: bool) -> Vec<String> {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let answer = ask(tenant, &format!("{query}{cursor}")).unwrap();
            seen.extend(txids(&answer));
            let metadata = &answer["response"]["metadata"];
            let Some(next) = metadata.get("next_offset") else { return seen };
            let [time, txid] = [0, 1].map(|part| next[part].as_str().unwrap());
            cursor = if repeated {
                format!("&next_offset={time}&next_offset={txid}")
            } else {
                format!("&next_offset={time}%2C{txid}")
            };
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_walk_sees_each_event_of_its_window_once_in_both_orders(
            events in 0_u64..300,
            limit in 1_u64..150,
            start in 0_i64..180,
            days in 1_i64..180,
            repeated in any::<bool>(),
        ) {
            let options = TenantOptions { events: Some(events), ..TenantOptions::default() };
            let tenant = Tenant::new(&options);
            let from = tenant.now_ms() - RETENTION_MS + start * 86_400_000;
            let to = from + days * 86_400_000;
            let end = to.min(tenant.now_ms() - DELAY_MS);
            let expected: Vec<_> = (0..events)
                .filter(|index| (from..end).contains(&tenant.event_time(*index)))
                .map(|index| tenant.event_txid(index))
                .collect();
            let query = format!("mintime={from}&maxtime={to}&limit={limit}");
            let ascending = walk(&tenant, &format!("{query}&sort=ts:asc"), repeated);
            prop_assert_eq!(&ascending, &expected);
            let mut descending = walk(&tenant, &query, repeated);
            descending.reverse();
            prop_assert_eq!(&descending, &expected);
        }
    }

    #[test]
    fn nothing_of_the_last_two_minutes_is_served() {
        // An event every 2.6 seconds.
        let tenant = Tenant::new(&TenantOptions { events: Some(6_000_000), ..TenantOptions::default() });
        let now = tenant.now_ms();
        let newest = ask(&tenant, &format!("mintime={}&maxtime={now}&limit=1", now - 600_000)).unwrap();
        let time = newest["response"]["authlogs"][0]["timestamp"].as_i64().unwrap();
        assert!((now / 1000 - 125..=now / 1000 - 120).contains(&time), "{time} {now}");
        let none = ask(&tenant, &format!("mintime={}&maxtime={now}", now - 60_000)).unwrap();
        assert_eq!(none["response"], json!({ "authlogs": [], "metadata": { "total_objects": 0 } }));
    }

    #[test]
    fn the_last_page_says_null_only_where_it_is_told_to() {
        let tenant = Tenant::new(&TenantOptions { events: Some(5), ..TenantOptions::default() });
        let now = tenant.now_ms();
        let parameters = [
            ("mintime".to_owned(), (now - RETENTION_MS).to_string()),
            ("maxtime".to_owned(), now.to_string()),
        ];
        for null in [false, true] {
            let answer = page(&tenant, &Parameters(&parameters), now, null).unwrap();
            let next = answer["response"]["metadata"].get("next_offset");
            assert_eq!(next, null.then_some(&Value::Null));
        }
    }

    #[test]
    fn windows_and_cursors_are_checked() {
        let tenant = Tenant::new(&TenantOptions::default());
        let now = tenant.now_ms();
        let refused = |query: String| ask(&tenant, &query).unwrap_err();
        assert_eq!(refused(format!("maxtime={now}")), Failure::missing_parameter("mintime"));
        assert_eq!(refused(format!("mintime={now}&maxtime={now}")), Failure::invalid_parameter("mintime"));
        let old = now - 181 * 86_400_000;
        assert_eq!(refused(format!("mintime={old}&maxtime={now}")), Failure::invalid_parameter("mintime"));
        let from = now - 86_400_000;
        assert_eq!(refused(format!("mintime={from}")), Failure::missing_parameter("maxtime"));
        for (query, name) in [
            (format!("mintime=x&maxtime={now}"), "mintime"),
            (format!("mintime={from}&maxtime=x"), "maxtime"),
            (format!("mintime={from}&maxtime={now}&limit=0"), "limit"),
            (format!("mintime={from}&maxtime={now}&sort=asc"), "sort"),
        ] {
            assert_eq!(refused(query), Failure::invalid_parameter(name));
        }
        for cursor in ["x", "1,2", "1532951895000,af0ba235-0b33-23c8-bc23-a31aa0231de8"] {
            let refusal = refused(format!("mintime={from}&maxtime={now}&next_offset={cursor}"));
            assert_eq!(refusal, Failure::invalid_parameter("next_offset"));
        }
    }

    #[test]
    fn filters_narrow() {
        let tenant = Tenant::new(&TenantOptions { users: 200, ..TenantOptions::default() });
        let (from, to) = (tenant.now_ms() - RETENTION_MS, tenant.now_ms());
        let answer =
            ask(&tenant, &format!("mintime={from}&maxtime={to}&limit=1000&results=denied&results=fraud"))
                .unwrap();
        let events = answer["response"]["authlogs"].as_array().unwrap();
        assert!(!events.is_empty() && events.len() < 600);
        assert!(events.iter().all(|event| event["result"] != "success"));
        assert_eq!(answer["response"]["metadata"], json!({}));
        let query = format!("mintime={from}&maxtime={to}&results=denied&results=fraud");
        let walked = walk(&tenant, &format!("{query}&limit=7&sort=ts:desc"), false);
        assert_eq!(walked, txids(&answer).collect::<Vec<_>>());
        let both = ask(&tenant, &format!("{query}&factors=duo_push")).unwrap();
        for event in both["response"]["authlogs"].as_array().unwrap() {
            assert!(event["factor"] == "duo_push" && event["result"] != "success", "{event}");
        }
    }
}
