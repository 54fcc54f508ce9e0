//! The lower bound: a Lambda function that does nothing.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json, value::RawValue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(respond)).await
}

async fn respond(_: LambdaEvent<Box<RawValue>>) -> Result<Value, Error> {
    Ok(json!({ "statusCode": 201, "body": "" }))
}
