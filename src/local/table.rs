//! Creates the table from its definition in `template.yaml`, which is the only one.

use std::sync::OnceLock;

use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, DisplayErrorContext, SdkError},
    operation::create_table::{CreateTableError, CreateTableInput},
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
        ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
    },
};
use serde::Deserialize;
use serde_yaml_ng::Value;

/// The template of the deployed stack.
pub(super) const TEMPLATE: &str = include_str!("../../template.yaml");

/// A failure to create the table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The template is not YAML, or the table's definition has an unexpected form.
    #[error("template.yaml: {0}")]
    Template(#[from] serde_yaml_ng::Error),
    /// The template has no `InvitationsTable`.
    #[error("template.yaml has no Resources.InvitationsTable.Properties")]
    NoTable,
    /// The table's definition lacks a property that DynamoDB requires.
    #[error("template.yaml: {0}")]
    Incomplete(#[from] BuildError),
    /// DynamoDB rejected the request or could not be reached.
    #[error("DynamoDB: {0}")]
    Request(String),
}

/// Creates the table with the name `name`, unless it exists.
pub(crate) async fn create(client: &Client, name: &str) -> Result<(), TableError> {
    let properties = definition()?;
    let time_to_live = properties.time_to_live_specification.clone();
    let created = properties.into_request(name)?.send_with(client).await;
    match created {
        Err(error) if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) => Ok(()),
        Err(error) => Err(request_error(error)),
        Ok(_) => turn_on(client, name, &time_to_live).await,
    }
}

/// Turns the table's stream on, as the template does with `Events`, unless it is on.
pub async fn turn_stream_on(client: &Client, name: &str) -> Result<(), TableError> {
    let described = client.describe_table().table_name(name).send().await.map_err(request_error)?;
    if described.table.and_then(|table| table.stream_specification).is_some_and(|stream| stream.stream_enabled) {
        return Ok(());
    }
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    let request = client.update_table().table_name(name).stream_specification(stream.build()?);
    request.send().await.map(drop).map_err(request_error)
}

async fn turn_on(client: &Client, name: &str, time_to_live: &TimeToLive) -> Result<(), TableError> {
    let specification = TimeToLiveSpecification::builder()
        .attribute_name(&time_to_live.attribute_name)
        .enabled(time_to_live.enabled)
        .build()?;
    let request = client.update_time_to_live().table_name(name).time_to_live_specification(specification);
    request.send().await.map(drop).map_err(request_error)
}

fn request_error<E: std::error::Error + 'static>(error: SdkError<E>) -> TableError {
    TableError::Request(DisplayErrorContext(error).to_string())
}

/// The properties that an emulator supports. The others (names, tags, backups, encryption) may contain template
/// functions and are ignored.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    key_schema: Vec<Key>,
    attribute_definitions: Vec<Attribute>,
    #[serde(default)]
    global_secondary_indexes: Vec<Index>,
    time_to_live_specification: TimeToLive,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Key {
    attribute_name: String,
    key_type: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Index {
    #[serde(rename = "IndexName")]
    name: String,
    key_schema: Vec<Key>,
    projection: Projected,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Projected {
    projection_type: String,
    non_key_attributes: Option<Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

/// The definition in the template. Parsed once, because each test creates a table.
fn definition() -> Result<Properties, TableError> {
    static PARSED: OnceLock<Properties> = OnceLock::new();
    if let Some(parsed) = PARSED.get() {
        return Ok(parsed.clone());
    }
    let parsed = properties(TEMPLATE)?;
    Ok(PARSED.get_or_init(|| parsed).clone())
}

fn properties(template: &str) -> Result<Properties, TableError> {
    let mut template: Value = serde_yaml_ng::from_str(template)?;
    let path = ["Resources", "InvitationsTable", "Properties"];
    let properties = path.iter().try_fold(&mut template, |value, key| value.get_mut(key)).ok_or(TableError::NoTable)?;
    Ok(serde_yaml_ng::from_value(std::mem::take(properties))?)
}

impl Properties {
    fn into_request(
        self,
        name: &str,
    ) -> Result<aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder, BuildError> {
        let attributes = self.attribute_definitions.into_iter().map(Attribute::build).collect::<Result<_, _>>()?;
        let indexes = self.global_secondary_indexes.into_iter().map(Index::build).collect::<Result<Vec<_>, _>>()?;
        Ok(CreateTableInput::builder()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(key_schema(self.key_schema)?))
            .set_attribute_definitions(Some(attributes))
            .set_global_secondary_indexes((!indexes.is_empty()).then_some(indexes)))
    }
}

impl Attribute {
    fn build(self) -> Result<AttributeDefinition, BuildError> {
        let kind = ScalarAttributeType::from(self.attribute_type.as_str());
        AttributeDefinition::builder().attribute_name(self.attribute_name).attribute_type(kind).build()
    }
}

impl Index {
    fn build(self) -> Result<GlobalSecondaryIndex, BuildError> {
        let projection = Projection::builder()
            .projection_type(ProjectionType::from(self.projection.projection_type.as_str()))
            .set_non_key_attributes(self.projection.non_key_attributes)
            .build();
        GlobalSecondaryIndex::builder()
            .index_name(self.name)
            .set_key_schema(Some(key_schema(self.key_schema)?))
            .projection(projection)
            .build()
    }
}

fn key_schema(keys: Vec<Key>) -> Result<Vec<KeySchemaElement>, BuildError> {
    let build = |key: Key| {
        let kind = KeyType::from(key.key_type.as_str());
        KeySchemaElement::builder().attribute_name(key.attribute_name).key_type(kind).build()
    };
    keys.into_iter().map(build).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_functions_in_other_properties_are_ignored() {
        let template = "
Resources:
  InvitationsTable:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub '${AWS::StackName}-invitations'
      SSESpecification: !If [UseKey, { SSEEnabled: true, KMSMasterKeyId: !Ref Key }, !Ref AWS::NoValue]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      TimeToLiveSpecification: { AttributeName: ttl, Enabled: true }
";
        let properties = properties(template).unwrap();
        assert_eq!(properties.key_schema[0].attribute_name, "pk");
        assert!(properties.time_to_live_specification.enabled);
    }

    #[test]
    fn the_template_describes_a_table_that_expires_rows() {
        let properties = properties(TEMPLATE).unwrap();
        assert_eq!(properties.time_to_live_specification.attribute_name, crate::store::items::TTL);
        assert!(properties.into_request("t").is_ok());
    }

    #[test]
    fn a_template_without_the_table_is_an_error() {
        assert!(matches!(properties("Resources: {}"), Err(TableError::NoTable)));
        assert!(matches!(properties("Resources: ["), Err(TableError::Template(_))));
    }
}
