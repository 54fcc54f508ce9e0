//! The invariant of the whole table after any sequence of operations.
//!
//! | row | has to |
//! |---|---|
//! | invitation | have keys, index keys and a time to live that agree with its attributes |
//! | pending invitation | own the standing of its invitee, or be named by a member's standing, unless it has expired and the standing is deleted or belongs to a newer invitation; and be the only unexpired one of its invitee |
//! | accepted invitation | have a member's standing and a membership with its roles for the user who accepted |
//! | revoked invitation | neither own a standing nor be named by one |
//! | pending standing | have its pending invitation, and expire with it |
//! | member's standing | have a membership for each of its users, and have no `ttl`; and name its pending invitation, if any |
//! | membership | have a member's standing, and no `ttl` |
//! | recipient rate limit | not be over the limit, and expire when its last send leaves the window |
//! | idempotency record | name the invitation of its response, and either be complete or have a lease |

use std::collections::BTreeSet;

use organization_invitations::config::Config;
use serde_json::Value;

use super::rows::kind;

/// Checks the whole table as of `now`. `departed` are users who accepted and are no longer members.
#[track_caller]
pub fn assert_holds(config: &Config, rows: &[Value], now: i64, departed: &[&str]) {
    let violations = violations(config, rows, now, departed);
    let concerned = rows.iter().filter(|row| !matches!(kind(row), "CONNECTOR" | "ROLE" | "USER" | "ORGANIZATION"));
    let rows = || concerned.map(Value::to_string).collect::<Vec<_>>().join("\n");
    assert!(violations.is_empty(), "{}\n{}", violations.join("\n"), rows());
}

fn violations(config: &Config, rows: &[Value], now: i64, departed: &[&str]) -> Vec<String> {
    let (retention, limit) = (config.retention_seconds, config.message_rate.limit);
    let table = Table { rows, departed, retention, limit };
    let window_seconds = i64::try_from(config.message_rate.window.as_secs()).unwrap();
    let mut violations = Vec::new();
    for row in rows {
        let mut expect = |holds: bool, rule: &str| {
            if !holds {
                violations.push(format!("{} {}: {rule}", row["pk"], row["sk"]));
            }
        };
        match kind(row) {
            "INVITATION" => table.judge_invitation(row, now, &mut expect),
            "ORG" => table.judge_standing(row, &mut expect),
            "MEMBER" => table.judge_membership(row, &mut expect),
            "IDEMPOTENCY" => judge_record(row, &mut expect),
            "SENDS" => table.judge_sends(row, now, window_seconds, &mut expect),
            _ => {}
        }
    }
    violations
}

struct Table<'a> {
    rows: &'a [Value],
    departed: &'a [&'a str],
    retention: i64,
    limit: usize,
}

impl<'a> Table<'a> {
    /// A row of the tenant of `row`. The rows are in the order of their keys.
    fn of_same_tenant(&self, row: &Value, sk: &str) -> Option<&'a Value> {
        let key = (row["pk"].to_string(), Value::from(sk).to_string());
        let position = self.rows.binary_search_by_key(&key, |row| (row["pk"].to_string(), row["sk"].to_string()));
        position.ok().map(|position| &self.rows[position])
    }

    fn judge_invitation(&self, row: &Value, now: i64, expect: &mut impl FnMut(bool, &str)) {
        let (pk, id, organization) = (text(row, "pk"), text(row, "id"), text(row, "organizationId"));
        let invitee = text(row, "invitee").to_ascii_lowercase();
        let expires_at = number(row, "expiresAt");
        expect(text(row, "sk") == format!("INVITATION#{id}"), "the key names the identifier");
        expect(
            i64::from_str_radix(&id[..9], 36) == Ok(number(row, "createdAt")),
            "the identifier begins with the creation time",
        );
        expect(row["organizationKey"] == format!("{pk}#ORG#{organization}"), "index key of the organization");
        expect(row["inviteeKey"] == format!("{pk}#INVITEE#{invitee}"), "index key of the invitee");
        let inviter_key = row["inviterId"].as_str().map(|inviter| format!("{pk}#INVITER#{inviter}"));
        expect(row["inviterKey"].as_str() == inviter_key.as_deref(), "index key of the inviter");
        expect(number(row, "ttl") == seconds(expires_at) + self.retention, "time to live: expiry and retention");

        let standing = self.of_same_tenant(row, &format!("ORG#{organization}#INVITEE#{invitee}"));
        let owns_standing =
            standing.is_some_and(|standing| standing["invitationId"] == id || standing["pendingInvitationId"] == id);
        let has_expired = expires_at <= now;
        let user = row["acceptedUserId"].as_str();
        expect((row["status"] == "Accepted") == user.is_some(), "has an accepting user if and only if it is accepted");
        match text(row, "status") {
            "Pending" => {
                expect(owns_standing || has_expired, "pending with the standing of its invitee");
                let is_rival = |other: &&Value| {
                    other["inviteeKey"] == row["inviteeKey"]
                        && other["organizationKey"] == row["organizationKey"]
                        && other["status"] == "Pending"
                        && number(other, "expiresAt") > now
                };
                let rivals = self.rows.iter().filter(|other| kind(other) == "INVITATION").filter(is_rival).count();
                expect(rivals <= 1, "the only pending one of its invitee");
            }
            "Accepted" if self.departed.iter().any(|departed| Some(*departed) == user) => {}
            "Accepted" => {
                let is_member = standing.is_some_and(|standing| standing["state"] == "member");
                expect(is_member, "accepted with a member's standing");
                let membership = self.of_same_tenant(row, &format!("MEMBER#{organization}#{}", user.unwrap_or("?")));
                expect(membership.is_some(), "accepted with a membership");
                let roles = |list: Option<&Value>| -> BTreeSet<String> {
                    list.and_then(Value::as_array).into_iter().flatten().map(Value::to_string).collect()
                };
                let given: BTreeSet<String> =
                    row["organizationRoles"].as_array().unwrap().iter().map(|role| role["id"].to_string()).collect();
                let had = roles(membership.map(|membership| &membership["organizationRoleIds"]));
                expect(given.is_subset(&had), "accepted with its roles");
            }
            "Revoked" => expect(!owns_standing, "revoked without the standing"),
            _ => expect(false, "a status that can be stored"),
        }
        expect(number(row, "updatedAt") >= number(row, "createdAt"), "changed after its creation");
    }

    fn judge_standing(&self, row: &Value, expect: &mut impl FnMut(bool, &str)) {
        let (_, rest) = text(row, "sk").split_once('#').unwrap();
        let (organization, invitee) = rest.split_once("#INVITEE#").unwrap();
        expect(invitee == invitee.to_ascii_lowercase(), "a normalized address");
        let mut judge_pending = |id: &str, expires_at: &str| {
            let invitation = self.of_same_tenant(row, &format!("INVITATION#{}", text(row, id)));
            let Some(invitation) = invitation else { return expect(false, "pending with its invitation") };
            expect(invitation["status"] == "Pending", "pending with a pending invitation");
            expect(invitation["organizationId"] == organization, "of the invitation's organization");
            expect(text(invitation, "invitee").eq_ignore_ascii_case(invitee), "of the invitation's invitee");
            expect(invitation["expiresAt"] == row[expires_at], "expires with its invitation");
        };
        if row["state"] == "pending" {
            judge_pending("invitationId", "expiresAt");
            expect(number(row, "ttl") == seconds(number(row, "expiresAt")), "time to live: the expiry");
        } else {
            if !row["pendingInvitationId"].is_null() {
                judge_pending("pendingInvitationId", "pendingExpiresAt");
            }
            expect(row["state"] == "member", "either pending or a member");
            expect(row["ttl"].is_null() && row["expiresAt"].is_null(), "a member's standing lasts");
            expect(row["invitationId"].is_null(), "a member's standing belongs to no invitation");
            for user in members(row) {
                let membership = format!("MEMBER#{organization}#{user}");
                expect(self.of_same_tenant(row, &membership).is_some(), "a member with a membership");
            }
        }
    }

    fn judge_membership(&self, row: &Value, expect: &mut impl FnMut(bool, &str)) {
        let (organization, user) = (text(row, "organizationId"), text(row, "userId"));
        expect(text(row, "sk") == format!("MEMBER#{organization}#{user}"), "the key names organization and user");
        expect(row["ttl"].is_null(), "a membership lasts");
        expect(row["joinedAt"].is_i64(), "has a joining time");
        let prefix = format!("ORG#{organization}#");
        let mut standings = self.rows.iter().filter(|other| other["pk"] == row["pk"]);
        expect(
            standings.any(|other| {
                text(other, "sk").starts_with(&prefix)
                    && other["state"] == "member"
                    && members(other).any(|member| member == user)
            }),
            "a membership with a member's standing",
        );
    }

    fn judge_sends(&self, row: &Value, now: i64, window_seconds: i64, expect: &mut impl FnMut(bool, &str)) {
        let sends: Vec<i64> = row["sends"].as_array().unwrap().iter().map(|send| send.as_i64().unwrap()).collect();
        expect(sends.is_sorted(), "sends in order");
        let first_within = sends.partition_point(|send| *send <= now - window_seconds * 1000);
        expect(sends.len() - first_within <= self.limit, "no more sends than the limit");
        // DynamoDB ignores a time to live that is more than five years in the past.
        let expires = number(row, "ttl");
        let latest = sends.last().copied().unwrap_or_default();
        expect(expires >= seconds(latest) + window_seconds, "time to live: not before the last send leaves the window");
        expect(expires <= seconds(latest.max(now)) + window_seconds, "time to live: at most one window from now");
        expect(expires > now / 1000 - 5 * 365 * 86_400, "a time to live that is honoured");
    }
}

/// The users of a member's standing.
fn members(standing: &Value) -> impl Iterator<Item = &str> {
    let others = standing["otherUserIds"].as_array().into_iter().flatten();
    others.chain([&standing["userId"]]).map(|user| user.as_str().unwrap())
}

fn judge_record(row: &Value, expect: &mut impl FnMut(bool, &str)) {
    let answer: Value = serde_json::from_str(text(row, "answer")).unwrap();
    expect(answer["id"] == row["invitationId"], "the response is of the invitation");
    expect(format!("TENANT#{}", text(&answer, "tenantId")) == row["pk"], "the response is of the tenant");
    expect(number(row, "keptUntil") == number(&answer, "createdAt") + 86_400_000, "kept for 24 hours");
    expect(number(row, "ttl") == seconds(number(row, "keptUntil")), "time to live: as long as it is kept");
    match text(row, "state") {
        "done" => expect(row["runsUntil"].is_null(), "done without a lease"),
        "started" => expect(row["runsUntil"].is_i64(), "started with a lease"),
        _ => expect(false, "either started or done"),
    }
}

#[track_caller]
fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_else(|| panic!("{row} has a text {name}"))
}

#[track_caller]
fn number(row: &Value, name: &str) -> i64 {
    row[name].as_i64().unwrap_or_else(|| panic!("{row} has a whole number {name}"))
}

/// Whole seconds, rounded up.
fn seconds(millis: i64) -> i64 {
    (millis + 999).div_euclid(1000)
}
