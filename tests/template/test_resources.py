"""What is deployed: who is let in, what is logged, what the roles may do, and what is protected."""

import json
import re

import pytest
from deployment import source
from policy_sentry.querying.actions import get_action_data

FUNCTION = "OrganizationInvitationsFunction"
ROLE = "OrganizationInvitationsRole"
CERTIFICATE = "arn:aws:acm:eu-central-1:111122223333:certificate/51af3dc0-da77-11e4-872e-1234567db123"


def test_the_function_runs_what_sam_build_makes(deploy):
    function = deploy(Architecture="x86_64", MemorySize=512, Tracing="PassThrough").properties(FUNCTION)
    # What cargo-lambda builds is called bootstrap, and is linked for this runtime's C library.
    assert (function["Runtime"], function["Handler"]) == ("provided.al2023", "bootstrap")
    assert (function["Architectures"], function["MemorySize"]) == (["x86_64"], "512")
    assert function["TracingConfig"] == {"Mode": "PassThrough"}
    assert function["Timeout"] < 30, "API Gateway waits for no longer"
    assert deploy().properties(FUNCTION)["Architectures"] == ["arm64"]
    build = source()["Resources"][FUNCTION]["Metadata"]
    assert (build["BuildMethod"], build["BuildProperties"]) == (
        "rust-cargolambda",
        {"Binary": "organization-invitations"},
    )


@pytest.mark.parametrize(
    "overrides, issuer, audience, scopes",
    [
        (
            {
                "JwtIssuer": "https://acme.logto.app/oidc",
                "JwtAudience": "https://api.example.com,https://other.example.com",
            },
            "https://acme.logto.app/oidc",
            ["https://api.example.com", "https://other.example.com"],
            "all",
        ),
        (
            {"TokenIssuer": "existing-user-pool", "UserPoolId": "us-east-1_AbC", "JwtAudience": "client1,client2"},
            "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbC",
            ["client1", "client2"],
            "all",
        ),
        (
            {"TokenIssuer": "new-user-pool"},
            "https://cognito-idp.eu-central-1.amazonaws.com/<UserPool>",
            ["<MachineClient>"],
            "organization-invitations/all",
        ),
        (
            {"TokenIssuer": "new-user-pool", "JwtAudience": "client1,client2", "AllowedScopes": "app/invite"},
            "https://cognito-idp.eu-central-1.amazonaws.com/<UserPool>",
            ["<MachineClient>", "client1", "client2"],
            "app/invite",
        ),
    ],
)
def test_every_request_has_to_bring_a_token_of_the_chosen_issuer(deploy, overrides, issuer, audience, scopes):
    stack = deploy(**overrides)
    body = stack.properties("Api")["Body"]
    assert list(body["paths"]) == ["$default"], "one route, so that every answer is the function's"
    [operation] = body["paths"]["$default"].values()
    [[scheme, route_scopes]] = [list(each.items())[0] for each in operation["security"]]
    # The function looks at scopes and groups, and answers 403 in its own form.
    assert route_scopes == []
    assert body["components"]["securitySchemes"][scheme]["x-amazon-apigateway-authorizer"] == {
        "type": "jwt",
        "identitySource": "$request.header.Authorization",
        "jwtConfiguration": {"issuer": issuer, "audience": audience},
    }
    integration = operation["x-amazon-apigateway-integration"]
    assert integration["payloadFormatVersion"] == "2.0"
    assert f"<{FUNCTION}Aliaslive>" in integration["uri"], "the alias, which moves gradually"
    [permission] = [
        each["Properties"] for name, each in stack.of_type("AWS::Lambda::Permission").items() if FUNCTION in name
    ]
    assert permission["FunctionName"] == f"<{FUNCTION}Aliaslive>"
    assert permission["SourceArn"].startswith("arn:aws:execute-api:eu-central-1:111122223333:<Api>/")
    assert stack.properties(FUNCTION)["Environment"]["Variables"]["ALLOWED_SCOPES"] == scopes


def test_only_a_created_user_pool_makes_resources_of_cognito(deploy):
    def cognito(stack):
        return sorted(name for name, each in stack.resources.items() if each["Type"].startswith("AWS::Cognito"))

    assert cognito(deploy()) == []
    assert cognito(deploy(TokenIssuer="existing-user-pool", UserPoolId="us-east-1_AbC", JwtAudience="c")) == []
    pool = ["ApiScopes", "MachineClient", "TenantScopes", "UserPool", "UserPoolDomain"]
    assert cognito(deploy(TokenIssuer="new-user-pool")) == pool


def test_the_created_client_can_ask_for_what_the_function_wants(deploy):
    stack = deploy(TokenIssuer="new-user-pool", MachineTenant="acme")
    servers = [each["Properties"] for each in stack.of_type("AWS::Cognito::UserPoolResourceServer").values()]
    known = {f"{server['Identifier']}/{scope['ScopeName']}" for server in servers for scope in server["Scopes"]}
    client = stack.properties("MachineClient")
    assert set(client["AllowedOAuthScopes"]) == known == {"organization-invitations/all", "tenants/acme"}
    assert client["AllowedOAuthFlows"] == ["client_credentials"]
    # Cognito refuses a client with scopes that are not there yet.
    assert set(stack.resources["MachineClient"]["DependsOn"]) == {"ApiScopes", "TenantScopes"}
    allowed = stack.properties(FUNCTION)["Environment"]["Variables"]["ALLOWED_SCOPES"].split()
    assert set(allowed) <= known


def test_nobody_can_write_their_own_tenant(deploy):
    pool = deploy(TokenIssuer="new-user-pool").properties("UserPool")
    [tenant] = [each for each in pool["Schema"] if each["Name"] == "tenant_id"]
    assert tenant["Mutable"] is False, "whatever an app client may write, it cannot change"
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True, "nobody can sign up with it"


def trigger(stack):
    namespace = {}
    exec(stack.properties("TenantClaimFunction")["Code"]["ZipFile"], namespace)
    return namespace["handler"]


MACHINE, USER = "TokenGeneration_ClientCredentials", "TokenGeneration_HostedAuth"


@pytest.mark.parametrize(
    "source, request_, tenant, reason",
    [
        (MACHINE, {"scopes": ["organization-invitations/all", "tenants/acme"]}, "acme", "a client's own tenant"),
        (MACHINE, {"scopes": ["tenants/a", "tenants/b"]}, None, "a token is for one tenant"),
        (MACHINE, {"scopes": ["organization-invitations/all"]}, None, "no tenant was granted"),
        (MACHINE, {"scopes": None}, None, "no scopes at all"),
        (MACHINE, {"scopes": [], "clientMetadata": {"tenant_id": "acme"}}, None, "what a client says of itself"),
        (USER, {"userAttributes": {"custom:tenant_id": "acme"}}, "acme", "what an administrator has set"),
        (USER, {"userAttributes": {}, "scopes": ["tenants/acme"]}, None, "a user's scopes name no tenant"),
        (USER, {"userAttributes": {"tenant_id": "acme"}}, None, "not the pool's attribute"),
    ],
)
def test_the_tenant_in_a_token_is_one_that_an_administrator_gave(deploy, source, request_, tenant, reason):
    pool = deploy(TokenIssuer="new-user-pool").properties("UserPool")
    # V3_0 is the version that covers the client credentials grant, and wants this plan.
    assert pool["LambdaConfig"]["PreTokenGenerationConfig"]["LambdaVersion"] == "V3_0"
    assert pool["UserPoolTier"] == "ESSENTIALS"
    event = {"triggerSource": source, "request": request_, "response": {}}
    answer = trigger(deploy(TokenIssuer="new-user-pool"))(event, None)
    details = answer["response"].get("claimsAndScopeOverrideDetails", {})
    claims = details.get("accessTokenGeneration", {}).get("claimsToAddOrOverride", {})
    assert claims == ({"tenant_id": tenant} if tenant else {}), reason
    # By default the function reads this claim and no other.
    assert deploy().properties(FUNCTION)["Environment"]["Variables"]["TENANT_CLAIMS"] == "tenant_id"


def test_the_access_log_says_nothing_of_who_somebody_is(deploy):
    [stage] = deploy(ThrottlingRateLimit=7, ThrottlingBurstLimit=9).of_type("AWS::ApiGatewayV2::Stage").values()
    stage = stage["Properties"]
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": "7", "ThrottlingBurstLimit": "9"}
    settings = stage["AccessLogSettings"]
    assert settings["DestinationArn"] == "<AccessLogGroup.Arn>"
    assert "\n" not in settings["Format"], "one line for each request"
    variables = set(re.findall(r"\$context\.([A-Za-z.]+)", settings["Format"]))
    # Of API Gateway's variables, those that hold neither addresses (path, query string, network) nor claims.
    assert variables == {
        "requestId",
        "requestTimeEpoch",
        "httpMethod",
        "status",
        "responseLength",
        "responseLatency",
        "integration.integrationStatus",
        "integration.requestId",
        "integrationLatency",
        "integrationErrorMessage",
        "authorizer.error",
        "error.responseType",
    }
    # In quotation marks, since a variable that has no value becomes a hyphen.
    assert all(value.startswith("$context.") for value in json.loads(settings["Format"]).values())


def test_the_table_is_protected_and_nothing_reads_a_stream_of_it(deploy):
    table = deploy().resources["InvitationsTable"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = table["Properties"]
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert "StreamSpecification" not in properties
    assert [index["IndexName"] for index in properties["GlobalSecondaryIndexes"]] == [
        "byOrganization",
        "byInvitee",
        "byInviter",
    ]


def statements(stack, role):
    for policy in stack.properties(role)["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            as_list = [
                each if isinstance(each, list) else [each] for each in (statement["Action"], statement["Resource"])
            ]
            yield as_list


@pytest.mark.parametrize("overrides, table", [({}, "<InvitationsTable>"), ({"TableName": "restored"}, "restored")])
def test_the_function_may_do_this_and_nothing_else(deploy, overrides, table):
    stack = deploy(**overrides)
    here = "eu-central-1:111122223333"
    indexes = ["byOrganization", "byInvitee", "byInviter"]
    assert list(statements(stack, ROLE)) == [
        [["logs:CreateLogStream", "logs:PutLogEvents"], ["<OrganizationInvitationsLogGroup.Arn>"]],
        [["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]],
        [
            [
                *("dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem"),
                *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"),
            ],
            [f"arn:aws:dynamodb:{here}:table/{table}"],
        ],
        [
            ["dynamodb:Query"],
            [f"arn:aws:dynamodb:{here}:table/{table}"]
            + [f"arn:aws:dynamodb:{here}:table/{table}/index/{index}" for index in indexes],
        ],
        [
            ["ses:SendEmail", "ses:SendTemplatedEmail"],
            [f"arn:aws:ses:{here}:{kind}/*" for kind in ("identity", "configuration-set", "template")],
        ],
    ]
    assert stack.properties(FUNCTION)["Environment"]["Variables"]["TABLE_NAME"] == table
    assert stack.outputs["TableName"]["Value"] == table


def test_iam_knows_every_action_and_each_works_on_the_resources_that_it_is_given_for(deploy):
    stack = deploy(TokenIssuer="new-user-pool")
    for role in (ROLE, "TenantClaimRole"):
        for actions, resources in statements(stack, role):
            for action in actions:
                service, name = action.split(":")
                known = get_action_data(service, name).get(service)
                assert known, f"{action} does not exist"
                kinds = {row["resource_arn_format"] for row in known}
                for resource in resources:
                    assert any(fits(resource, kind) for kind in kinds), f"{action} knows no {resource}"


def fits(resource, kind):
    """Whether an ARN is of this kind. Placeholders are names, but for those of log groups, which are whole ARNs."""
    if resource in ("*", kind):
        return resource == kind
    resource = re.sub(
        r"<\w+LogGroup\.Arn>", "arn:aws:logs:eu-central-1:111122223333:log-group:g:log-stream:s", resource
    )
    return re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}", "[^:/]+", re.escape(kind)), resource) is not None


def test_everything_that_logs_writes_to_a_group_with_retention(deploy):
    stack = deploy(TokenIssuer="new-user-pool", LogRetentionDays=7)
    groups = stack.of_type("AWS::Logs::LogGroup")
    assert {group["Properties"]["RetentionInDays"] for group in groups.values()} == {"7"}
    functions = stack.of_type("AWS::Lambda::Function").values()
    for function in functions:
        group = function["Properties"]["LoggingConfig"]["LogGroup"].strip("<>")
        assert group in groups
    assert len(groups) == len(functions) + 1, "and the API"


def test_a_domain_name_replaces_the_address_that_api_gateway_gives(deploy):
    without, domain = deploy(), {"DomainName": "api.example.com", "CertificateArn": CERTIFICATE}
    own, with_records = deploy(**domain), deploy(**domain, HostedZoneId="Z1")

    def disabled(stack):
        [server] = stack.properties("Api")["Body"]["servers"]
        return server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"]

    assert (disabled(without), disabled(own)) == (False, True)
    assert without.outputs["ApiUrl"]["Value"] == "https://<Api>.execute-api.eu-central-1.amazonaws.com"
    assert own.outputs["ApiUrl"]["Value"] == "https://api.example.com"
    assert own.outputs["FirstRequest"]["Value"].endswith(" https://api.example.com/api/organization-invitations")
    assert own.properties("ApiMapping") == {
        "ApiId": "<Api>",
        "DomainName": "<ApiDomainName>",
        "Stage": "<ApiApiGatewayDefaultStage>",
    }
    assert own.properties("ApiDomainName")["DomainNameConfigurations"][0]["CertificateArn"] == CERTIFICATE
    assert "ApiAddressV4" not in own.resources
    assert with_records.properties("ApiAddressV4")["Name"] == "api.example.com"


@pytest.mark.parametrize(
    "identity, registered, records",
    [("", False, 0), ("invitations@example.com", True, 0), ("example.com", True, 3)],
)
def test_a_registered_domain_shows_the_records_that_prove_it(deploy, identity, registered, records):
    stack = deploy(EmailIdentity=identity)
    assert ("Identity" in stack.resources) == registered
    assert sum(name.startswith("DkimRecord") for name in stack.outputs) == records


def test_versions_are_moved_to_gradually_and_back_on_an_alarm(deploy):
    stack = deploy()
    [group] = [each["Properties"] for each in stack.of_type("AWS::CodeDeploy::DeploymentGroup").values()]
    assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    assert group["AutoRollbackConfiguration"]["Enabled"] is True
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    alarms = [alarm["Name"].strip("<>") for alarm in group["AlarmConfiguration"]["Alarms"]]
    assert alarms == ["FunctionErrorsAlarm", "UnavailableAlarm"]
    at_once = deploy(Deployment="AllAtOnce").of_type("AWS::CodeDeploy::DeploymentGroup").values()
    assert [each["Properties"]["DeploymentConfigName"] for each in at_once] == ["CodeDeployDefault.LambdaAllAtOnce"]


def test_a_reservation_is_made_only_when_asked_for(deploy):
    def reserved(**overrides):
        return deploy(**overrides).properties(FUNCTION).get("ReservedConcurrentExecutions")

    assert [reserved(), reserved(ReservedConcurrency=0), reserved(ReservedConcurrency=5)] == [None, "0", "5"]


@pytest.mark.parametrize(
    "overrides", [{}, {"TokenIssuer": "new-user-pool"}, {"DomainName": "a.example", "CertificateArn": CERTIFICATE}]
)
def test_resources_do_not_wait_for_each_other_in_a_circle(deploy, overrides):
    """CloudFormation refuses such a stack. cfn-lint does not see circles through an alias's UpdatePolicy."""
    resources = deploy(**overrides).resources
    edges = {
        name: set(re.findall(r"<(\w+)[.>]", json.dumps(entry))) | depends_on(entry) for name, entry in resources.items()
    }
    while edges:
        free = [name for name, needed in edges.items() if not needed & edges.keys() - {name}]
        assert free, f"a circle among {sorted(edges)}"
        for name in free:
            del edges[name]


def depends_on(entry):
    names = entry.get("DependsOn", [])
    return {names} if isinstance(names, str) else set(names)


def test_every_suppressed_check_has_a_reason():
    for name, entry in source()["Resources"].items():
        for skip in entry.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert skip["comment"].endswith("."), name


def test_every_output_is_described(deploy):
    stack = deploy(
        TokenIssuer="new-user-pool", EmailIdentity="example.com", DomainName="a.example", CertificateArn=CERTIFICATE
    )
    assert stack.outputs.keys() == source()["Outputs"].keys()
    assert all(output["Description"].endswith(".") for output in stack.outputs.values())
