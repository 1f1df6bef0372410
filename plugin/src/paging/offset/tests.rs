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
        "v2:offset=0",
        "v2:offset=9223372036854775807",
        "v2:offset=0;list=legacy",
        "v2:offset=300;trail=1.DU7,2.DU3,64.DUx;total=951",
        "v2:offset=300;overlap=299;list=legacy;trail=1.DU7;total=0;steps=2;sweeps=1;changed;moved;doubt;told",
    ] {
        assert_eq!(parsed(text).to_string(), text);
    }
    assert_eq!(parsed("v2:offset=300;trail=1.DU7").begins(), 299);
    assert!(Cursor::at(&Position::At("v2:offset=0;list=legacy".into()), None).is_err());
    assert_eq!(Cursor::at(&Position::Beginning, None).unwrap().begins(), 0);
}

#[test]
fn a_cursor_of_another_version_is_refused() {
    for text in [
        "",
        "300",
        "v2",
        "v2:",
        "v2:offset=",
        "v2:offset=-1",
        "v2:offset=+1",
        "v2:offset=01",
        "v2:offset=1 ",
        "v2:offset=1;anchor=DU1",
        "v2:offset=1;list=",
        "v2:offset=1;list=other",
        "v2:offset=1;list=legacy;list=legacy",
        "v2:offset=1;trail=2.DU1",
        "v2:offset=1;trail=1.",
        "v2:offset=1;trail=1.a=b",
        "v2:offset=1;overlap=2",
        "v2:offset=1;doubt;moved",
        "v2:offset=1;moved;changed",
        "v2:list=legacy;offset=1",
        "v1:offset=300",
        "v10:offset=3",
        "v2:offset=9223372036854775808",
    ] {
        let error = Cursor::at(&Position::At(text.into()), Some("legacy")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidPosition, "{text}");
    }
    let error = Cursor::at(&Position::After("v2:offset=300".into()), None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidPosition);
}

#[test]
fn the_vendor_says_where_the_next_page_begins() {
    let here = parsed("v2:offset=300");
    let next = |next_offset| here.next("/p", &metadata(next_offset), &[Some("a"), Some("b")], 300).unwrap();
    assert_eq!(next(Field::Missing).progress, Progress::Done(None));
    let more = |text: &str| Progress::More(text.into());
    assert_eq!(next(Field::Value(NextOffset::Number(302))).progress, more("v2:offset=302;trail=1.b,2.a"));
    // Fewer than there is room for: the place of the last one is known, the next page begins with it.
    assert_eq!(next(Field::Value(NextOffset::Number(400))).progress, more("v2:offset=400;trail=99.b,100.a"));
}

#[test]
fn a_walk_in_circles_is_an_error_and_not_the_end() {
    let here = parsed("v2:offset=301;trail=1.a");
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

/// A page with objects of these keys, of a list of `total`, that begins at `cursor`; the list ends with it.
fn last(cursor: &str, keys: &[&str], total: Option<i64>) -> Result<Step, Error> {
    let total_objects = total.map_or(Field::Missing, |total| Field::Value(Total(total)));
    let keys: Vec<_> = keys.iter().copied().map(Some).collect();
    parsed(cursor).next("/p", &Metadata { total_objects, ..Metadata::default() }, &keys, 300)
}

fn more(step: Result<Step, Error>) -> String {
    match step.unwrap().progress {
        Progress::More(cursor) => cursor,
        Progress::Done(_) => panic!("it believes it"),
    }
}

#[test]
fn a_list_that_ends_before_its_total_is_asked_again_and_is_then_not_complete() {
    let cursor = more(last("v2:offset=0", &["a", "b"], Some(5)));
    assert_eq!(cursor, "v2:offset=2;trail=1.b,2.a;total=5;doubt");
    let error = last(&cursor, &["b"], Some(5)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    assert_eq!(error.message, "could not read all of `/p`: it ended after 2 objects, and Duo says it has 5");
    assert!(error.remedy.unwrap().contains("Duo Support"));
    // What came meanwhile is kept, and the end asked for again.
    let grown = last(&cursor, &["b", "c"], Some(5)).unwrap();
    assert_eq!(grown.seen, 1);
    assert!(more(Ok(grown)).ends_with(";total=5;doubt"));
    // It was a slip, or two were deleted: one cheap walk more tells.
    assert_eq!(more(last(&cursor, &["b"], Some(2))), "v2:offset=0;sweeps=1");
}

#[test]
fn a_page_that_says_nothing_does_not_end_a_list_of_which_more_was_promised() {
    let cursor = more(last("v2:offset=300;trail=1.a;total=10000", &["a", "b"], None));
    assert_eq!(cursor, "v2:offset=301;trail=1.b,2.a;total=10000;doubt");
    let error = last(&cursor, &["b"], None).unwrap_err();
    assert!(
        error.message.ends_with("ended after 301 objects, and Duo says it has 10000"),
        "{}",
        error.message
    );
    let metadata = Metadata {
        next_offset: Field::Value(NextOffset::Number(600)),
        total_objects: Field::Value(Total(10000)),
    };
    let healed = parsed(&cursor).next("/p", &metadata, &[Some("b"), Some("c")], 300);
    assert_eq!(more(healed), "v2:offset=600;trail=299.c,300.b;total=10000");
}

#[test]
fn a_list_that_shrinks_while_it_is_read_is_complete() {
    // What the last page says counts.
    let cursor = "v2:offset=300;trail=1.a;total=400";
    assert_eq!(more(last(cursor, &["a", "b"], Some(301))), "v2:offset=0;sweeps=1");
    let cursor = format!("{cursor};sweeps=1");
    assert_eq!(last(&cursor, &["a", "b"], Some(301)).unwrap().progress, Progress::Done(None));
    // Nor is there anything to doubt where no page ever said how many there are.
    assert_eq!(last("v2:offset=300;trail=1.a", &["a"], None).unwrap().progress, Progress::Done(None));
}

#[test]
fn a_list_whose_order_changes_each_time_is_not_complete_and_its_last_page_is_kept() {
    let cursor = more(last("v2:offset=9;trail=1.a;total=10;sweeps=2;changed;moved", &["a", "b"], Some(10)));
    assert_eq!(cursor, "v2:offset=10;trail=1.b,2.a;total=10;sweeps=2;changed;moved;doubt");
    let error = last(&cursor, &["b"], Some(10)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unexpected);
    assert!(error.message.contains("changed each of the 3 times"), "{}", error.message);
    assert_eq!(error.remedy.as_deref(), Some("read it when less is changed in Duo"));
}

#[test]
fn a_list_that_grows_all_the_time_is_walked_through_twice_and_is_complete() {
    // One was created before the place, another one after it.
    for keys in [["x", "a", "b"], ["a", "b", "c"]] {
        let cursor = "v2:offset=300;trail=1.a;total=301";
        assert_eq!(more(last(cursor, &keys, Some(302))), "v2:offset=0;sweeps=1", "{keys:?}");
        let second = last(&format!("{cursor};sweeps=1"), &keys, Some(302)).unwrap();
        assert_eq!(second.progress, Progress::Done(None), "{keys:?}");
    }
}

#[test]
fn what_was_read_and_moved_on_by_more_than_was_created_is_walked_through_until_it_holds() {
    let cursor = "v2:offset=300;trail=1.a;total=302;sweeps=1";
    assert_eq!(more(last(cursor, &["x", "a", "b"], Some(302))), "v2:offset=0;sweeps=2");
}
