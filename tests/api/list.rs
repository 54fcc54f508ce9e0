//! List: its contents and order, filters, and pages.

use serde_json::{Value, json};

use crate::helpers::{Answer, Call, NOW, TestApp, body, with};

/// The event formats of API Gateway.
type Form = fn(&Call) -> Value;

const FORMS: [(&str, Form); 2] = [("HTTP API", Call::event), ("REST API", Call::rest_event)];

async fn list(app: &TestApp, query: &str) -> Answer {
    app.call(Call::list(query)).await
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_array().unwrap().iter().map(|entity| entity["id"].as_str().unwrap().to_owned()).collect()
}

/// The query of the next page, if the response links to one.
fn next(answer: &Answer) -> Option<String> {
    let link = answer.headers.get("link")?;
    let target = link.strip_prefix("<?").and_then(|link| link.strip_suffix(">; rel=\"next\""));
    Some(target.unwrap_or_else(|| panic!("{link} is a relative reference to the next page")).to_owned())
}

/// The pages from `query` to the last one.
async fn pages(app: &TestApp, query: &str, form: Form) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut query = Some(query.to_owned());
    while let Some(this) = query {
        let answer = app.invoke_at(NOW, &form(&Call::list(&this)).to_string()).await;
        query = next(&answer);
        pages.push(ids(&answer));
    }
    pages
}

/// Invites `count` people, a millisecond apart. Returns the identifiers, newest first.
async fn invite_many(app: &TestApp, count: i64) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.insert(0, app.invite_at(NOW + n, &body(&format!("person{n}@example.com"))).await);
    }
    ids
}

#[tokio::test]
async fn a_list_holds_invitations_in_every_status_newest_first() {
    let app = TestApp::start().await;
    assert_eq!(list(&app, "").await.text, "[]", "there are no invitations yet");
    let expired = app.invite_at(NOW - 3, &with(body("late@example.com"), json!({ "expiresAt": NOW }))).await;
    let accepted = app.invite_at(NOW - 2, &body("ada@example.com")).await;
    let revoked = app.invite_at(NOW - 1, &body("sorry@example.com")).await;
    let pending = app.invite(&body("new@example.com")).await;
    assert_eq!(app.call(Call::accept(&accepted, "ada")).await.status, 200);
    assert_eq!(app.call(Call::revoke(&revoked)).await.status, 200);

    let answer = list(&app, "").await;
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(ids(&answer), [&pending, &revoked, &accepted, &expired].map(String::as_str));
    let statuses: Vec<Value> = answer.json().as_array().unwrap().iter().map(|each| each["status"].clone()).collect();
    assert_eq!(statuses, ["Pending", "Revoked", "Accepted", "Expired"]);
    let mut entities = Vec::new();
    for id in [&pending, &revoked, &accepted, &expired] {
        entities.push(app.call(Call::get(id)).await.text);
    }
    assert_eq!(answer.text, format!("[{}]", entities.join(",")), "each entry is equal to the response to a get");
}

#[tokio::test]
async fn filters_combine_and_ignore_the_case_of_the_invitee() {
    let app = TestApp::start().await;
    app.add_organization("other").await;
    app.add_user("bob", None).await;
    let mut invited = Vec::new();
    for (organization, inviter, invitee) in [
        ("acme", json!("ada"), "X@Example.com"),
        ("acme", json!("bob"), "y@example.com"),
        ("other", json!("ada"), "x@example.com"),
        ("other", json!("bob"), "x+1@example.com"),
        ("acme", json!(null), "z@example.com"),
    ] {
        let changes = json!({ "organizationId": organization, "inviterId": inviter });
        invited.push(app.invite_at(NOW + i64::try_from(invited.len()).unwrap(), &with(body(invitee), changes)).await);
    }
    for (query, expected, reason) in [
        ("", &[4, 3, 2, 1, 0][..], "no filter"),
        ("organizationId=&inviterId=&invitee=", &[4, 3, 2, 1, 0], "an empty filter is ignored"),
        ("organizationId=acme", &[4, 1, 0], "one organization"),
        ("inviterId=ada", &[2, 0], "one inviter"),
        ("invitee=x@example.com", &[2, 0], "one invitee, in any case of the stored address"),
        ("invitee=X%40EXAMPLE.COM", &[2, 0], "one invitee, in any case of the filter"),
        ("invitee=x%2B1@example.com", &[3], "a plus sign has to be encoded"),
        ("invitee=x+1@example.com", &[], "a plus sign alone is a space"),
        ("organizationId=acme&inviterId=ada", &[0], "organization and inviter"),
        ("inviterId=bob&organizationId=other", &[3], "in any order"),
        ("organizationId=other&invitee=x@example.com", &[2], "organization and invitee"),
        ("inviterId=ada&invitee=x@example.com", &[2, 0], "inviter and invitee"),
        ("organizationId=acme&inviterId=ada&invitee=X@example.com", &[0], "all three"),
        (
            "organizationId=acme&inviterId=bob&invitee=x@example.com",
            &[],
            "each filter alone matches, all together do not",
        ),
        ("organizationId=ACME", &[], "identifiers are case-sensitive"),
        ("organizationId=acm", &[], "a prefix of an identifier does not match"),
        ("invitee=example.com", &[], "a part of an address does not match"),
        ("organizationId=nowhere", &[], "an unknown organization"),
        ("organizationid=other&status=Pending&limit=1&sort=asc&=&&a", &[4, 3, 2, 1, 0], "unknown keys are ignored"),
        (
            "x=1&x=2&page=1&page=2",
            &[4, 3, 2, 1, 0],
            "duplicate unknown keys are ignored, and so is page without page_size",
        ),
    ] {
        let expected: Vec<&str> = expected.iter().map(|index: &usize| invited[*index].as_str()).collect();
        for (form_name, form) in FORMS {
            let answer = app.invoke_at(NOW, &form(&Call::list(query)).to_string()).await;
            assert_eq!(ids(&answer), expected, "{form_name}, {query}: {reason}");
        }
    }
}

#[tokio::test]
async fn a_filter_with_an_impossible_identifier_matches_nothing() {
    let app = TestApp::start().await;
    app.invite(&body("someone@example.com")).await;
    let too_long = format!("organizationId={}", "x".repeat(2000));
    let long_address = format!("invitee={}@example.com", "x".repeat(300));
    for (query, reason) in [
        ("organizationId=acme%23INVITEE", "the separator of keys"),
        ("inviterId=a%00b", "a control character"),
        ("invitee=%F0%9F%92%A9@example.com", "not ASCII"),
        ("invitee=%FF%FE", "not UTF-8"),
        ("organizationId=%", "a broken encoding"),
        (&too_long, "longer than a key of DynamoDB"),
        (&long_address, "longer than an address"),
    ] {
        assert_eq!(ids(&list(&app, query).await), [""; 0], "{reason}");
        assert_eq!(ids(&list(&app, &format!("{query}&page_size=5")).await), [""; 0], "{reason}, paged");
    }
}

#[tokio::test]
async fn pages_hold_each_invitation_once_and_link_to_the_next_until_the_end() {
    let app = TestApp::start().await;
    let newest_first = invite_many(&app, 7).await;
    for (size, lengths) in
        [(1, &[1; 7][..]), (2, &[2, 2, 2, 1]), (3, &[3, 3, 1]), (6, &[6, 1]), (7, &[7]), (8, &[7]), (100, &[7])]
    {
        for (name, form) in FORMS {
            let pages = pages(&app, &format!("page_size={size}"), form).await;
            assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{name}, {size}");
            assert_eq!(pages.concat(), newest_first, "{name}, {size}");
        }
    }
    let unpaged = list(&app, "").await;
    assert_eq!((ids(&unpaged), next(&unpaged)), (newest_first, None), "without page_size, the list is complete");
}

#[tokio::test]
async fn every_filter_is_kept_in_the_links_of_the_pages() {
    let app = TestApp::start().await;
    app.add_organization("other").await;
    let mut all: Vec<(String, Value)> = Vec::new();
    for n in 0..12_i64 {
        let organization = if n % 3 == 0 { "other" } else { "acme" };
        let inviter = if n % 2 == 0 { json!("string") } else { json!("ada") };
        let address = if n % 3 == 0 { format!("p{n}@example.com") } else { format!("P{n}@Example.com") };
        let changes = json!({ "organizationId": organization, "inviterId": inviter });
        let id = app.invite_at(NOW + n, &with(body(&address), changes)).await;
        all.insert(0, (id, json!([organization, inviter])));
    }
    // The same invitee several times: each invitation is revoked before the next.
    for n in 12..15 {
        let id = app.invite_at(NOW + n, &body("Again@example.com")).await;
        assert_eq!(app.call_at(NOW + n, Call::revoke(&id)).await.status, 200);
        all.insert(0, (id, json!(["acme", "ada", "again"])));
    }
    for (query, fits) in [
        ("organizationId=acme", (|it| it[0] == "acme") as fn(&Value) -> bool),
        ("inviterId=ada", |it| it[1] == "ada"),
        ("organizationId=other&inviterId=string", |it| it[0] == "other" && it[1] == "string"),
        ("organizationId=acme&inviterId=string", |it| it[0] == "acme" && it[1] == "string"),
        ("invitee=aGAIN@example.com", |it| it[2] == "again"),
        ("invitee=again@example.com&organizationId=acme&inviterId=ada&other=%26%3D", |it| it[2] == "again"),
    ] {
        let expected: Vec<&String> = all.iter().filter(|(_, it)| fits(it)).map(|(id, _)| id).collect();
        assert!(expected.len() >= 2, "{query} has several pages");
        for (name, form) in FORMS {
            let pages = pages(&app, &format!("{query}&page_size=1"), form).await;
            assert!(pages.iter().all(|page| page.len() == 1), "{name}, {query}: {pages:?}");
            assert_eq!(pages.concat().iter().collect::<Vec<_>>(), expected, "{name}, {query}");
        }
    }
}

#[tokio::test]
async fn a_page_size_is_a_whole_number_from_1_to_100() {
    let app = TestApp::start().await;
    for size in ["1", "2", "99", "100"] {
        assert_eq!(list(&app, &format!("page_size={size}")).await.status, 200, "{size}");
    }
    for (size, reason) in [
        ("0", "below"),
        ("101", "above"),
        ("-1", "negative"),
        ("%2B5", "a sign"),
        ("1.5", "a fraction"),
        ("1e1", "an exponent"),
        ("", "nothing"),
        ("%20", "a space"),
        ("ten", "a word"),
        ("99999999999999999999999", "larger than any integer type"),
        ("%D9%A1", "a digit of another script"),
        ("5;", "a number with a suffix"),
    ] {
        for (name, form) in FORMS {
            let call = Call::list(&format!("page_size={size}"));
            let answer = app.invoke_at(NOW, &form(&call).to_string()).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "guard.invalid_pagination"), "{name}: {reason}");
        }
    }
    list(&app, "page_size=0&organizationId=%23").await.assert_error(400, "guard.invalid_pagination");
    for query in ["page_size=2&page=1", "page=1&page_size=2", "page_size=2&page="] {
        list(&app, query).await.assert_error(400, "guard.invalid_pagination");
    }
}

#[tokio::test]
async fn a_known_parameter_may_occur_once() {
    let app = TestApp::start().await;
    let cursor = format!("cursor={}", "x".repeat(20));
    for (query, names, reason) in [
        ("organizationId=acme&organizationId=other", &["organizationId"][..], "two organizations"),
        ("inviterId=a&x=1&inviter%49d=a", &["inviterId"], "a duplicate with an encoded name"),
        ("invitee=&invitee=", &["invitee"], "a duplicate empty parameter"),
        ("page_size=1&page_size=1", &["page_size"], "a duplicate size is reported before an invalid one"),
        (
            &format!("page_size=1&{cursor}&{cursor}"),
            &["cursor"],
            "a duplicate cursor is reported before an invalid one",
        ),
        (
            "page_size=0&page_size=0&invitee=a&organizationId=a&invitee=b&organizationId=b&organizationId=c",
            &["organizationId", "invitee", "page_size"],
            "all duplicates at once, in the documented order",
        ),
    ] {
        for (form_name, form) in FORMS {
            let answer = app.invoke_at(NOW, &form(&Call::list(query)).to_string()).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "guard.invalid_input"), "{form_name}: {reason}");
            let issue = |name: &&str| json!({ "code": "invalid_type", "path": [name], "message": "Expected string, received array" });
            let issues: Vec<Value> = names.iter().map(issue).collect();
            assert_eq!(answer.json()["data"]["issues"], json!(issues), "{form_name}: {reason}");
            assert_eq!(
                answer.json()["details"].as_str().unwrap().lines().count(),
                names.len(),
                "{form_name}: {reason}"
            );
        }
    }
}

#[tokio::test]
async fn a_link_holds_the_known_parameters_only() {
    let app = TestApp::start().await;
    invite_many(&app, 3).await;
    let junk = format!("junk={}&organizationid=x&status=Pending", "x".repeat(9000));
    for (name, form) in FORMS {
        let query = format!("{junk}&page_size=1&organizationId=acme&invitee=&{junk}2");
        let answer = app.invoke_at(NOW, &form(&Call::list(&query)).to_string()).await;
        let next = next(&answer).unwrap();
        let mut keys: Vec<&str> = next.split('&').map(|pair| pair.split_once('=').unwrap().0).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["cursor", "invitee", "organizationId", "page_size"], "{name}");
        assert!(next.len() < 200, "{name}: {next}");
        assert_eq!(ids(&list(&app, &next).await).len(), 1, "{name}");
    }
}

#[tokio::test]
async fn the_error_for_an_invalid_page_names_its_cause() {
    let app = TestApp::start().await;
    for (query, message) in [
        ("page_size=0", "page_size has to be a whole number from 1 to 100."),
        ("page_size=2&page=1", "Pages go by cursor: page cannot be combined with page_size."),
        ("cursor=x", "A cursor needs a page_size."),
        ("page_size=2&cursor=x", "The cursor is not from a Link of this list."),
        ("include=delivery", "include=delivery needs a page_size."),
    ] {
        assert_eq!(list(&app, query).await.json()["message"], message, "{query}");
    }
}

#[tokio::test]
async fn a_cursor_is_valid_only_for_its_own_list() {
    let app = TestApp::start().await;
    let newest_first = invite_many(&app, 4).await;
    let cursor_of = async |query: &str| {
        let next = next(&list(&app, query).await).unwrap();
        next.split('&').find_map(|pair| pair.strip_prefix("cursor=")).unwrap().to_owned()
    };
    let cursor = cursor_of("organizationId=acme&page_size=2").await;
    let of_all = cursor_of("page_size=2").await;
    let of_invitee = {
        assert_eq!(app.call(Call::revoke(&newest_first[0])).await.status, 200);
        app.invite_at(NOW + 9, &body("person3@example.com")).await;
        cursor_of("invitee=PERSON3@example.com&page_size=1").await
    };
    let mut changed = cursor.clone().into_bytes();
    changed[3] = if changed[3] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for (query, reason) in [
        (format!("page_size=2&cursor={cursor}"), "fewer filters"),
        (format!("organizationId=acme&inviterId=ada&page_size=2&cursor={cursor}"), "more filters"),
        (format!("organizationId=other&page_size=2&cursor={cursor}"), "another organization"),
        (format!("inviterId=acme&page_size=2&cursor={cursor}"), "another filter with the same value"),
        (format!("organizationId=acme&page_size=2&cursor={of_all}"), "a cursor of the list without filters"),
        (format!("invitee=person2@example.com&page_size=2&cursor={of_invitee}"), "another invitee"),
        (format!("organizationId=acme&page_size=2&cursor={changed}"), "a changed character"),
        (format!("organizationId=acme&page_size=2&cursor={}", &cursor[1..]), "the first character is missing"),
        (format!("organizationId=acme&page_size=2&cursor={cursor}A"), "an extra character at the end"),
        ("organizationId=acme&page_size=2&cursor=".to_owned(), "nothing"),
        (format!("organizationId=acme&page_size=2&cursor={}", newest_first[0]), "an identifier"),
        ("organizationId=acme&page_size=2&cursor=%00%FF".to_owned(), "not a text"),
        (format!("organizationId=acme&cursor={cursor}"), "a cursor without a page size"),
        (format!("organizationId=acme&page_size=0&cursor={cursor}"), "an invalid page size"),
    ] {
        let answer = list(&app, &query).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "guard.invalid_pagination"), "{reason}");
    }
    let elsewhere = Call::list(&format!("organizationId=acme&page_size=2&cursor={cursor}")).by("no-mail");
    app.call(elsewhere).await.assert_error(400, "guard.invalid_pagination");

    for (query, expected, reason) in [
        (format!("organizationId=acme&page_size=2&cursor={cursor}"), &newest_first[2..], "the list of the cursor"),
        (format!("page_size=1&organizationId=acme&x=y&cursor={cursor}"), &newest_first[2..3], "pages of another size"),
        (
            format!("invitee=person3@EXAMPLE.com&page_size=1&cursor={of_invitee}"),
            &newest_first[..1],
            "the same invitee in another case",
        ),
    ] {
        assert_eq!(ids(&list(&app, &query).await), expected, "{reason}");
    }
}

#[tokio::test]
async fn a_page_continues_after_a_deleted_invitation() {
    let app = TestApp::start().await;
    let newest_first = invite_many(&app, 5).await;
    for query in ["page_size=2", "organizationId=acme&page_size=2"] {
        let page = list(&app, query).await;
        let next = next(&page).unwrap();
        let last = newest_first.iter().position(|id| *id == ids(&page)[1]).unwrap();
        assert_eq!(app.call(Call::delete(&newest_first[last])).await.status, 204);
        let rest: Vec<_> = ids(&list(&app, &next).await);
        assert_eq!(rest, newest_first[last + 1..][..rest.len()], "{query}");
        assert!(!rest.is_empty(), "{query}");
    }
}

#[tokio::test]
async fn a_page_reads_only_the_rows_that_fill_it() {
    let app = TestApp::start_behind_proxy(&[]).await;
    for n in 0..40_i64 {
        let inviter = if n % 20 == 0 { "string" } else { "ada" };
        app.invite_at(NOW + n, &with(body(&format!("p{n}@example.com")), json!({ "inviterId": inviter }))).await;
    }
    for (query, rows, queries, reason) in [
        ("page_size=3", 4, 1, "one row more than the page, to know if there is a next page"),
        ("organizationId=acme&page_size=3", 4, 1, "the same with an index"),
        ("inviterId=string&page_size=1", 2, 1, "the same with a selective filter"),
        ("organizationId=acme&inviterId=string&page_size=1", 40, 4, "few matches among many rows take few queries"),
    ] {
        let (rows_before, queries_before) = (app.proxy().rows_read(), app.proxy().count("Query"));
        let answer = list(&app, query).await;
        assert!(next(&answer).is_some(), "{query}: {answer:?}");
        assert!(app.proxy().rows_read() - rows_before <= rows, "{query}: {reason}");
        assert!(app.proxy().count("Query") - queries_before <= queries, "{query}: {reason}");
    }
}
