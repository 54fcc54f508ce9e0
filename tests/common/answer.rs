//! The function's response to API Gateway.

use std::collections::BTreeMap;

use serde_json::Value;

/// A response, as API Gateway receives it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub text: String,
}

impl Answer {
    /// Reads the return value of the Lambda function.
    pub fn from_lambda(answer: &Value) -> Self {
        let headers = answer["headers"].as_object().unwrap().iter();
        Self {
            status: answer["statusCode"].as_u64().unwrap().try_into().unwrap(),
            headers: headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
            text: answer["body"].as_str().unwrap_or_default().to_owned(),
        }
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The code of an error, or an empty text.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
    }
}
