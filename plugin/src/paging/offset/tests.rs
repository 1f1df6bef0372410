use super::*;
use crate::api::Total;

fn metadata(next_offset: Field<NextOffset>) -> Metadata {
    Metadata { next_offset, ..Metadata::default() }
}

fn parsed(text: &str) -> Cursor {
    Cursor::at(&Position::At(text.into()), Some("legacy")).unwrap()
}

#[test]
fn a_cursor_reads_what_it_writes() {
    for text in [
        "v3:offset=0",
        "v3:offset=9223372036854775807",
        "v3:offset=0;list=legacy",
        "v3:offset=300;trail=1.DU7,2.DU3,64.DUx;total=951",
        "v3:offset=300;overlap=299;list=legacy;trail=1.DU7;total=0;seen=9.ff;before=8.0;steps=2;sweeps=1;changed;moved;hole;\
         keyless;doubt;told",
    ] {
        assert_eq!(parsed(text).to_string(), text);
    }
    assert_eq!(parsed("v3:offset=300;trail=1.DU7").begins(), 299);
    assert!(Cursor::at(&Position::At("v3:offset=0;list=legacy".into()), None).is_err());
    assert_eq!(Cursor::at(&Position::Beginning, None).unwrap().begins(), 0);
}

#[test]
fn a_cursor_of_another_version_is_refused() {
    for text in [
        "",
        "300",
        "v3",
        "v3:",
        "v3:offset=",
        "v3:offset=-1",
        "v3:offset=+1",
        "v3:offset=01",
        "v3:offset=1 ",
        "v3:offset=1;anchor=DU1",
        "v3:offset=1;list=",
        "v3:offset=1;list=other",
        "v3:offset=1;list=legacy;list=legacy",
        "v3:offset=1;trail=2.DU1",
        "v3:offset=1;trail=1.",
        "v3:offset=1;trail=1.a=b",
        "v3:offset=1;overlap=2",
        "v3:offset=1;doubt;moved",
        "v3:offset=1;seen=1",
        "v3:offset=1;seen=0.0",
        "v3:offset=1;seen=1.FF",
        "v3:offset=1;moved;changed",
        "v3:list=legacy;offset=1",
        "v1:offset=300",
        "v10:offset=3",
        "v3:offset=9223372036854775808",
    ] {
        let error = Cursor::at(&Position::At(text.into()), Some("legacy")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidPosition, "{text}");
    }
    let error = Cursor::at(&Position::After("v3:offset=300".into()), None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidPosition);
}

#[test]
fn the_vendor_says_where_the_next_page_begins() {
    let here = parsed("v3:offset=300");
    let next = |next: i64| {
        let next_offset = metadata(Field::Value(NextOffset::Number(next)));
        bare(&more(here.next("/p", &next_offset, &[Some("a"), Some("b")], 300)))
    };
    assert_eq!(next(302), "v3:offset=302;trail=1.b,2.a");
    // Fewer objects than the distance to the next page: the next page begins with the last one, which has a known place.
    assert_eq!(next(400), "v3:offset=400;trail=99.b,100.a;hole");
}

#[test]
fn a_walk_in_circles_is_an_error_and_not_the_end() {
    let here = parsed("v3:offset=301;trail=1.a");
    for next_offset in [
        Field::Value(NextOffset::Number(300)),
        Field::Value(NextOffset::Number(0)),
        Field::Value(NextOffset::Number(-1)),
        Field::Value(NextOffset::Opaque("1,b".into())),
        Field::Malformed("a list"),
    ] {
        let error = here.next("/p", &metadata(next_offset.clone()), &[Some("a")], 300).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unexpected, "{next_offset:?}");
        assert!(error.message.contains("`/p`") && error.message.contains("300"), "{}", error.message);
    }
}

/// The step after the last page of a list of `total` objects. The page begins at `cursor` and has these `keys`.
fn last(cursor: &str, keys: &[&str], total: Option<i64>) -> Result<Step, Error> {
    let total_objects = total.map_or(Field::Missing, |total| Field::Value(Total(total)));
    let keys: Vec<_> = keys.iter().copied().map(Some).collect();
    parsed(cursor).next("/p", &Metadata { total_objects, ..Metadata::default() }, &keys, 300)
}

fn more(step: Result<Step, Error>) -> String {
    match step.unwrap().progress {
        Progress::More(cursor) => cursor,
        Progress::Done(_) => panic!("the list is complete"),
    }
}

/// The cursor without the sums of the objects that were seen.
fn bare(cursor: &str) -> String {
    let parts = cursor.split(';').filter(|part| !part.starts_with("seen=") && !part.starts_with("before="));
    parts.collect::<Vec<_>>().join(";")
}

/// Walks through a list of one page to its end. `keys` gives the keys for each sweep, and `total` is `total_objects`.
fn walk(total: Option<i64>, keys: impl Fn(u32) -> Vec<&'static str>) -> Result<Step, Error> {
    let mut cursor = "v3:offset=0".to_owned();
    for _ in 0..10 {
        let here = parsed(&cursor);
        let begins = usize::try_from(here.begins()).unwrap();
        let keys = keys(here.sweeps);
        match last(&cursor, keys.get(begins..).unwrap_or_default(), total)? {
            Step { progress: Progress::More(next), .. } => cursor = next,
            done => return Ok(done),
        }
    }
    panic!("the walk does not end: {cursor}");
}

#[test]
fn a_list_that_is_the_same_twice_is_complete_and_tells_both_numbers() {
    let step = walk(Some(540), |_| vec!["a", "b", "c"]).unwrap();
    assert_eq!(step.progress, Progress::Done(None));
    let remark = step.remark.unwrap();
    assert!(remark.contains("has 3 objects in two reads") && remark.contains("540"), "{remark}");
    // The first walk misses an object; the second sees as many as Duo says.
    let step = walk(Some(3), |sweep| if sweep == 0 { vec!["a", "b"] } else { vec!["a", "b", "c"] }).unwrap();
    assert_eq!((step.progress, step.remark), (Progress::Done(None), None));
    // Each walk sees different objects.
    let walks = [vec!["a", "b"], vec!["a", "c"], vec!["a", "d"]];
    let error = walk(Some(3), |sweep| walks[sweep as usize].clone()).unwrap_err();
    assert_eq!(error.message, "could not read all of `/p`: it ended after 2 objects, and Duo says it has 3");
    assert!(error.remedy.unwrap().contains("Duo Support"));
    assert_eq!(walk(Some(0), |_| vec![]).unwrap().remark, None);
}

#[test]
fn a_list_that_never_says_how_many_objects_it_has_is_not_complete() {
    for keys in [vec![], vec!["a", "b"]] {
        let error = walk(None, |_| keys.clone()).unwrap_err();
        assert!(error.message.contains("no answer says in `metadata`"), "{}", error.message);
    }
}

#[test]
fn an_object_without_a_key_keeps_the_list_from_being_complete_and_its_page_is_kept() {
    let page = Metadata { total_objects: Field::Value(Total(2)), ..Metadata::default() };
    let first = parsed("v3:offset=0").next("/p", &page, &[Some("a"), None], 300);
    let cursor = more(first);
    assert_eq!(bare(&cursor), "v3:offset=2;total=2;keyless;doubt");
    let error = parsed(&cursor).next("/p", &page, &[], 300).unwrap_err();
    assert!(error.message.contains("objects without a key"), "{}", error.message);
}

#[test]
fn an_empty_page_before_the_end_is_asked_again_and_leaves_a_hole() {
    let page = |next| Metadata {
        next_offset: Field::Value(NextOffset::Number(next)),
        total_objects: Field::Value(Total(4)),
    };
    let mut sweep = "v3:offset=0".to_owned();
    for sweeps in 0..2 {
        let first = more(parsed(&sweep).next("/p", &page(2), &[Some("a"), Some("b")], 2));
        let asked_again = more(parsed(&first).next("/p", &page(3), &[], 2));
        assert_eq!(parsed(&asked_again), Cursor { doubt: true, ..parsed(&first) });
        let on = more(parsed(&asked_again).next("/p", &page(3), &[], 2));
        assert!(on.ends_with(";hole"), "{on}");
        let end = more(last(&on, &["d"], Some(4)));
        let ended = last(&end, &[], Some(4));
        if sweeps == 0 {
            sweep = more(ended);
            assert_eq!(bare(&sweep), "v3:offset=0;sweeps=1");
        } else {
            let error = ended.unwrap_err();
            assert!(error.message.ends_with("after 3 objects, and Duo says it has 4"), "{}", error.message);
        }
    }
}

#[test]
fn a_list_that_ends_before_its_total_is_asked_again() {
    let cursor = more(last("v3:offset=0", &["a", "b"], Some(5)));
    assert_eq!(bare(&cursor), "v3:offset=2;trail=1.b,2.a;total=5;doubt");
    // An object that was created meanwhile is kept, and the end is requested again.
    let grown = last(&cursor, &["b", "c"], Some(5)).unwrap();
    assert_eq!(grown.seen, 1);
    assert!(bare(&more(Ok(grown))).ends_with(";total=5;doubt"));
    // The total was wrong, or objects were deleted: another walk decides.
    assert_eq!(bare(&more(last(&cursor, &["b"], Some(2)))), "v3:offset=0;sweeps=1");
}

#[test]
fn a_page_that_says_nothing_does_not_end_a_list_of_which_more_was_promised() {
    let cursor = more(last("v3:offset=300;trail=1.a;total=10000", &["a", "b"], None));
    assert_eq!(bare(&cursor), "v3:offset=301;trail=1.b,2.a;total=10000;doubt");
    assert_eq!(bare(&more(last(&cursor, &["b"], None))), "v3:offset=0;sweeps=1");
    let metadata = Metadata {
        next_offset: Field::Value(NextOffset::Number(600)),
        total_objects: Field::Value(Total(10000)),
    };
    let healed = parsed(&cursor).next("/p", &metadata, &[Some("b"), Some("c")], 300);
    assert_eq!(bare(&more(healed)), "v3:offset=600;trail=299.c,300.b;total=10000;hole");
}

#[test]
fn a_list_that_shrinks_while_it_is_read_is_complete() {
    // The total of the last page counts.
    let cursor = "v3:offset=300;trail=1.a;total=400;seen=300.0";
    assert_eq!(bare(&more(last(cursor, &["a", "b"], Some(301)))), "v3:offset=0;sweeps=1");
    let cursor = format!("{cursor};sweeps=1");
    assert_eq!(last(&cursor, &["a", "b"], Some(301)).unwrap().progress, Progress::Done(None));
}

#[test]
fn a_list_whose_order_changes_each_time_is_not_complete_and_its_last_page_is_kept() {
    let cursor = more(last("v3:offset=9;trail=1.a;total=10;sweeps=2;changed;moved", &["a", "b"], Some(10)));
    assert_eq!(bare(&cursor), "v3:offset=10;trail=1.b,2.a;total=10;sweeps=2;changed;moved;doubt");
    let error = last(&cursor, &["b"], Some(10)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    assert!(error.message.contains("changed each of the 3 times"), "{}", error.message);
    assert_eq!(error.remedy.as_deref(), Some("read the stream while fewer changes are made in Duo"));
}

#[test]
fn a_list_that_grows_all_the_time_is_walked_through_twice_and_is_complete() {
    // An object is created before the trail, or after it.
    for keys in [["x", "a", "b"], ["a", "b", "c"]] {
        let cursor = "v3:offset=300;trail=1.a;total=301";
        assert_eq!(bare(&more(last(cursor, &keys, Some(302)))), "v3:offset=0;sweeps=1", "{keys:?}");
        let second = last(&format!("{cursor};sweeps=1"), &keys, Some(302)).unwrap();
        assert_eq!(second.progress, Progress::Done(None), "{keys:?}");
    }
}

#[test]
fn what_was_read_and_moved_on_by_more_than_was_created_is_walked_through_until_it_holds() {
    let cursor = "v3:offset=300;trail=1.a;total=302;sweeps=1";
    assert_eq!(bare(&more(last(cursor, &["x", "a", "b"], Some(302)))), "v3:offset=0;sweeps=2");
}
