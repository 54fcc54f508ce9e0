//! Log lines in CloudWatch's embedded metric format.
//!
//! The format is one small JSON object, which this module defines itself. The only maintained crate that supports
//! several sets of dimensions (`metrique-writer-format-emf` 0.1.26) adds 46 packages, enables unwanted features of
//! `tracing-subscriber`, and made the function's binary 0.6 MB larger than this module does.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{
    Line,
    statistics::{RequestStatistics, Tally},
};
use crate::domain::{
    ids::{InvitationId, TenantId},
    timestamp::Timestamp,
};

/// The namespace of the metrics.
pub const NAMESPACE: &str = "OrganizationInvitations";

/// A line with its metrics. The members that `_aws` names are metrics and dimensions, the others are for queries.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Embedded<'a> {
    /// The level that Lambda's `ApplicationLogLevel` filters by.
    level: &'static str,
    function: &'a str,
    operation: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation_id: Option<&'a str>,
    status: u16,
    /// The number of items by outcome, for a request that has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<&'a BTreeMap<&'static str, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    duration: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dynamo_db_duration: Option<f64>,
    dynamo_db_calls: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ses_duration: Option<f64>,
    ses_calls: u64,
    retries: u64,
    cold_start: bool,
    /// The function's version, only in the first line of a process.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(rename = "Requests")]
    requests: u64,
    #[serde(rename = "Duration")]
    duration_metric: f64,
    #[serde(rename = "DynamoDbDuration", skip_serializing_if = "Option::is_none")]
    dynamo_db_metric: Option<f64>,
    #[serde(rename = "SesDuration", skip_serializing_if = "Option::is_none")]
    ses_metric: Option<f64>,
    #[serde(rename = "UnreadableRows", skip_serializing_if = "Option::is_none")]
    unreadable_rows: Option<u64>,
    #[serde(rename = "_aws")]
    metadata: Metadata,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: Timestamp,
    #[serde(rename = "CloudWatchMetrics")]
    directives: Vec<Directive>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: &'static [&'static [&'static str]],
    metrics: Vec<Metric>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl<'a> Embedded<'a> {
    pub(super) fn new(line: &'a Line<'_>, function: &'a str, cold_start: bool) -> Self {
        let RequestStatistics { dynamodb, ses, retries, .. } = &line.statistics;
        let unreadable_rows = (line.statistics.unreadable_rows > 0).then_some(line.statistics.unreadable_rows);
        // Without calls the time is absent, because a zero would lower the averages.
        let time = |tally: &Tally| (tally.calls > 0).then(|| millis(tally.time));
        let (dynamo_db_time, ses_time) = (time(dynamodb), time(ses));
        Self {
            level: line.level().as_str(),
            function,
            operation: line.operation,
            outcome: line.outcome(),
            request_id: line.request_id,
            trace_id: line.trace_id(),
            tenant: line.tenant.map(TenantId::as_str),
            invitation_id: line.invitation_id().map(InvitationId::as_str),
            status: line.outcome.status,
            results: Some(&line.statistics.items.outcomes).filter(|outcomes| !outcomes.is_empty()),
            code: line.outcome.code,
            cause: line.cause(),
            duration: millis(line.duration),
            dynamo_db_duration: dynamo_db_time,
            dynamo_db_calls: dynamodb.calls,
            ses_duration: ses_time,
            ses_calls: ses.calls,
            retries: *retries,
            cold_start,
            version: cold_start.then_some(env!("CARGO_PKG_VERSION")),
            requests: line.requests(),
            duration_metric: millis(line.duration),
            dynamo_db_metric: dynamo_db_time,
            ses_metric: ses_time,
            unreadable_rows,
            metadata: Metadata {
                timestamp: line.at,
                directives: directives(dynamo_db_time.is_some(), ses_time.is_some(), unreadable_rows.is_some()),
            },
        }
    }
}

/// The metrics and their dimensions: durations by operation, the number of requests also by outcome, unreadable rows by
/// function. Every combination of values is a billed metric, so that tenants are distinguished only in the log.
fn directives(calls_dynamodb: bool, calls_ses: bool, is_unreadable: bool) -> Vec<Directive> {
    const TIME: &str = "Milliseconds";
    let directive = |dimensions, metrics| Directive { namespace: NAMESPACE, dimensions, metrics };
    let times = [("Duration", true), ("DynamoDbDuration", calls_dynamodb), ("SesDuration", calls_ses)];
    let times = times.into_iter().filter(|(_, is_present)| *is_present);
    let times = times.map(|(name, _)| Metric { name, unit: TIME }).collect();
    let count = |name| vec![Metric { name, unit: "Count" }];
    let unreadable = is_unreadable.then(|| directive(&[&["function"]], count("UnreadableRows")));
    let by_outcome: &[&[&str]] = &[&["function", "outcome"], &["function", "operation", "outcome"]];
    let always = [directive(&[&["function", "operation"]], times), directive(by_outcome, count("Requests"))];
    always.into_iter().chain(unreadable).collect()
}

/// A duration in milliseconds, with three decimals.
fn millis(duration: Duration) -> f64 {
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}
