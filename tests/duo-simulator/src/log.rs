//! The authentication log, version 2. Section 3.3 and 4.15 of the reference.

use serde_json::{Value, json};

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
pub(crate) fn page(tenant: &Tenant, parameters: &Parameters<'_>, now: i64) -> Result<Value, Failure> {
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
    let mut next_offset = Value::Null;
    for index in order {
        let Some(event) = tenant.event(index).filter(matches) else { continue };
        if events.len() as u64 == limit {
            next_offset = json!([tenant.event_time(index).to_string(), tenant.event_txid(index)]);
            break;
        }
        events.push(event);
    }
    let total = end - first;
    let metadata = json!({ "next_offset": next_offset, "total_objects": total });
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
    use super::*;
    use crate::options::TenantOptions;

    fn ask(tenant: &Tenant, query: &str) -> Result<Value, Failure> {
        page(tenant, &Parameters(&crate::authentication::parameters(query)), tenant.now_ms())
    }

    #[test]
    fn a_walk_sees_each_event_once_in_both_orders() {
        let tenant = Tenant::new(&TenantOptions { users: 200, ..TenantOptions::default() });
        let (from, to) = (tenant.now_ms() - RETENTION_MS, tenant.now_ms() - DELAY_MS);
        let mut walks = Vec::new();
        for sort in ["ts:asc", "ts:desc"] {
            let mut seen = Vec::new();
            let mut cursor = String::new();
            loop {
                let answer =
                    ask(&tenant, &format!("mintime={from}&maxtime={to}&limit=70&sort={sort}{cursor}"))
                        .unwrap();
                let events = answer["response"]["authlogs"].as_array().unwrap();
                seen.extend(events.iter().map(|event| event["txid"].as_str().unwrap().to_owned()));
                let Some([time, txid]) =
                    answer["response"]["metadata"]["next_offset"].as_array().map(Vec::as_slice)
                else {
                    break;
                };
                cursor = format!("&next_offset={},{}", time.as_str().unwrap(), txid.as_str().unwrap());
            }
            walks.push(seen);
        }
        assert_eq!(walks[0].len(), 600);
        walks[1].reverse();
        assert_eq!(walks[0], walks[1]);
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
    }
}
