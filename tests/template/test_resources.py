"""The deployed resources: authorization, logging, the roles' permissions, and protection from deletion."""

import io
import json
import re
import tomllib

import pytest
from deployment import PSEUDO_PARAMETERS, ROOT, SERVICE, USER_POOL, Deployment, Refused, source
from policy_sentry.querying.actions import get_action_data

FUNCTION = "OrganizationInvitationsFunction"
ROLE = "OrganizationInvitationsRole"
CERTIFICATE = "arn:aws:acm:eu-central-1:111122223333:certificate/51af3dc0-da77-11e4-872e-1234567db123"


def test_the_function_runs_what_sam_build_makes(deploy):
    function = deploy(Architecture="x86_64", MemorySize=512).properties(FUNCTION)
    # cargo-lambda names the binary bootstrap, and links it for this runtime's C library.
    assert (function["Runtime"], function["Handler"]) == ("provided.al2023", "bootstrap")
    assert (function["Architectures"], function["MemorySize"]) == (["x86_64"], "512")
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["Timeout"] < 30, "API Gateway waits for at most 30 seconds"
    assert deploy().properties(FUNCTION)["Architectures"] == ["arm64"]
    build = source()["Resources"][FUNCTION]["Metadata"]
    assert (build["BuildMethod"], build["BuildProperties"]) == (
        "rust-cargolambda",
        {"Binary": "organization-invitations"},
    )


@pytest.mark.parametrize(
    "overrides, audience, scopes",
    [
        (
            {
                "JwtIssuer": "https://acme.logto.app/oidc",
                "JwtAudience": "https://api.example.com,https://other.example.com",
            },
            ["https://api.example.com", "https://other.example.com"],
            "all",
        ),
        (
            {
                "JwtIssuer": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbC",
                "JwtAudience": "client1",
                "AllowedScopes": "app/invite",
            },
            ["client1"],
            "app/invite",
        ),
    ],
)
def test_every_request_has_to_bring_a_token_of_the_chosen_issuer(deploy, overrides, audience, scopes):
    stack = deploy(**overrides)
    body = stack.properties("Api")["Body"]
    assert list(body["paths"]) == ["/$default"], "one route, so every response is the function's"
    [operation] = body["paths"]["/$default"].values()
    assert operation["isDefaultRoute"] is True
    [[scheme, route_scopes]] = [list(each.items())[0] for each in operation["security"]]
    # The function checks scopes and groups, and responds with 403 in its own form.
    assert route_scopes == []
    assert body["components"]["securitySchemes"][scheme]["x-amazon-apigateway-authorizer"] == {
        "type": "jwt",
        "identitySource": "$request.header.Authorization",
        "jwtConfiguration": {"issuer": overrides["JwtIssuer"], "audience": audience},
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


def test_preflights_need_no_token_and_all_other_requests_are_authorized(deploy):
    body = deploy(CorsOrigins="https://app.example.com").properties("Api")["Body"]
    assert body["x-amazon-apigateway-cors"] == {
        "allowOrigins": ["https://app.example.com"],
        "allowMethods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
        "allowHeaders": ["authorization", "content-type", "idempotency-key"],
        "exposeHeaders": ["link", "retry-after", "idempotent-replayed", "apigw-requestid"],
        "maxAge": 3600,
    }
    # A page sends the token in a header; the browser never adds it.
    assert "allowCredentials" not in body["x-amazon-apigateway-cors"]
    assert sorted(body["paths"]) == ["/$default", "/{proxy+}"]
    [(method, preflight)] = body["paths"]["/{proxy+}"].items()
    assert (method, preflight.get("security"), body.get("security")) == ("options", None, None)
    [default] = body["paths"]["/$default"].values()
    assert default["security"] == [{"AccessToken": []}]
    integration = "x-amazon-apigateway-integration"
    assert preflight[integration] == default[integration], "both routes invoke the function"
    without = deploy().properties("Api")["Body"]
    assert "x-amazon-apigateway-cors" not in without
    assert list(without["paths"]) == ["/$default"], "without CORS, no route works without a token"


def test_an_issuer_that_cannot_be_reached_fails_the_deployment(deploy):
    """Otherwise API Gateway only warns, and creates the API without authorizer and route."""
    assert deploy().properties("Api")["FailOnWarnings"] is True


def test_a_user_pool_is_a_stack_of_its_own(deploy, deploy_pool):
    def cognito(stack):
        return sorted(name for name, each in stack.resources.items() if each["Type"].startswith("AWS::Cognito"))

    assert cognito(deploy()) == []
    pool = ["ApiScopes", "MachineClient", "TenantScopes", "UserPool", "UserPoolDomain"]
    assert cognito(deploy_pool()) == pool
    assert cognito(deploy_pool(BrowserCallbackUrls=CALLBACKS)) == sorted([*pool, "BrowserClient"])


def test_the_outputs_of_the_user_pool_are_parameters_of_the_service(deploy, deploy_pool):
    outputs = {name: output["Value"] for name, output in deploy_pool(MachineTenant="acme").outputs.items()}
    parameters = {name: value for name, value in outputs.items() if name in source()["Parameters"]}
    assert parameters == {
        "JwtIssuer": "https://cognito-idp.eu-central-1.amazonaws.com/<UserPool>",
        "JwtAudience": "<MachineClient>",
        "AllowedScopes": "organization-invitations/all",
        "IdMaxLength": "36",
    }
    assert deploy(**parameters).parameters["JwtAudience"] == outputs["MachineClientId"]
    assert outputs["TokenUrl"] == "https://<UserPoolDomain>.auth.eu-central-1.amazoncognito.com/oauth2/token"


CALLBACKS = "https://app.example.com/callback,http://localhost:5173/"


def test_people_sign_in_on_pages_without_a_secret_and_get_no_scope_of_the_api(deploy, deploy_pool):
    stack = deploy_pool(BrowserCallbackUrls=CALLBACKS)
    client = stack.properties("BrowserClient")
    assert client["GenerateSecret"] is False
    assert (client["AllowedOAuthFlows"], client["AllowedOAuthScopes"]) == (["code"], ["openid"])
    assert client["CallbackURLs"] == CALLBACKS.split(",")
    assert client["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"], "passwords only on the sign-in page"
    outputs = {name: output["Value"] for name, output in stack.outputs.items()}
    assert outputs["BrowserClientId"] == "<BrowserClient>"
    assert outputs["AuthorizeUrl"] == "https://<UserPoolDomain>.auth.eu-central-1.amazoncognito.com/oauth2/authorize"
    # The authorizer accepts the tokens of both clients.
    audience = deploy(JwtAudience=outputs["JwtAudience"]).properties("Api")["Body"]["components"]["securitySchemes"]
    [scheme] = audience.values()
    configuration = scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"]
    assert configuration["audience"] == ["<MachineClient>", "<BrowserClient>"]
    assert not {"BrowserClientId", "AuthorizeUrl"} & deploy_pool().outputs.keys()


@pytest.mark.parametrize(
    "urls, reason",
    [
        ("app.example.com", "no scheme"),
        ("http://app.example.com/", "the code would be sent without TLS"),
        ("http://localhost.example.com/", "another machine"),
        ("http://localhost@evil.example/", "localhost as the user name in front of another host"),
        ("https://app.example.com/#callback", "a fragment"),
        ("https://app.example.com/, https://b.example.com/", "a space would be a part of the address"),
        ("https://app.example.com/,", "an address must not be empty"),
        ("https:///callback", "no host"),
        ("https://app.example.com@evil.example/", "a user name in front of another host"),
    ],
)
def test_an_invalid_callback_url_is_rejected(deploy_pool, urls, reason):
    with pytest.raises(Refused):
        deploy_pool(BrowserCallbackUrls=urls)


def test_an_address_is_used_only_after_verification(deploy_pool):
    """Otherwise a user could claim another person's address, and with it that person's invitations."""
    stack = deploy_pool(BrowserCallbackUrls=CALLBACKS)
    pool = stack.properties("UserPool")
    assert pool["UserAttributeUpdateSettings"] == {"AttributesRequireVerificationBeforeUpdate": ["email"]}
    # Cognito requires this for each attribute that it verifies before an update.
    assert pool["AutoVerifiedAttributes"] == ["email"]
    client = stack.properties("BrowserClient")
    assert client["WriteAttributes"] == ["name"], "neither the address nor email_verified"
    assert "aws.cognito.signin.user.admin" not in client["AllowedOAuthScopes"], "a token changes no attribute"


def test_the_created_client_can_ask_for_what_the_function_wants(deploy_pool):
    stack = deploy_pool(MachineTenant="acme")
    servers = [each["Properties"] for each in stack.of_type("AWS::Cognito::UserPoolResourceServer").values()]
    known = {f"{server['Identifier']}/{scope['ScopeName']}" for server in servers for scope in server["Scopes"]}
    client = stack.properties("MachineClient")
    assert set(client["AllowedOAuthScopes"]) == known == {"organization-invitations/all", "tenants/acme"}
    assert client["AllowedOAuthFlows"] == ["client_credentials"]
    # Cognito rejects a client with scopes that do not exist yet.
    assert set(stack.resources["MachineClient"]["DependsOn"]) == {"ApiScopes", "TenantScopes"}
    assert set(stack.outputs["TokenScopes"]["Value"].split()) == known
    assert set(stack.outputs["AllowedScopes"]["Value"].split()) <= known


def test_nobody_can_write_their_own_tenant(deploy_pool):
    pool = deploy_pool().properties("UserPool")
    [tenant] = [each for each in pool["Schema"] if each["Name"] == "tenant_id"]
    assert tenant["Mutable"] is False, "no app client can change it"
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True, "nobody can sign up and set it"


def test_a_retained_user_pool_keeps_its_trigger(deploy_pool):
    """A pool without its trigger issues no tokens."""
    stack = deploy_pool()
    pool = stack.resources["UserPool"]
    needed, kept = {"UserPool"}, set()
    while needed - kept:
        name = (needed - kept).pop()
        kept.add(name)
        text = json.dumps(stack.resources[name])
        needed |= set(re.findall(r"<(\w+)[.>]", text)) | {
            other for other, entry in stack.of_type("AWS::Lambda::Permission").items() if f"<{name}>" in str(entry)
        }
    assert kept == {"UserPool", "TenantClaimFunction", "TenantClaimPermission", "TenantClaimRole", "TenantClaimLogGroup"}
    for name in kept:
        entry = stack.resources[name]
        assert entry["DeletionPolicy"] in ("Retain", "RetainExceptOnCreate"), name
        assert entry["UpdateReplacePolicy"] == "Retain", name
    # RetainExceptOnCreate would fail for a pool with deletion protection.
    assert (pool["DeletionPolicy"], pool["Properties"]["DeletionProtection"]) == ("Retain", "ACTIVE")


def trigger(stack):
    namespace = {}
    exec(stack.properties("TenantClaimFunction")["Code"]["ZipFile"], namespace)
    return namespace["handler"]


MACHINE, USER = "TokenGeneration_ClientCredentials", "TokenGeneration_HostedAuth"


@pytest.mark.parametrize(
    "source, request_, tenant, reason",
    [
        (MACHINE, {"scopes": ["organization-invitations/all", "tenants/acme"]}, "acme", "a client's own tenant"),
        (MACHINE, {"scopes": ["organization-invitations/all", "tenants-1/acme"]}, "acme", "a tenant of tenants-1"),
        (MACHINE, {"scopes": ["tenants/a", "tenants/b"]}, None, "a token is for one tenant"),
        (MACHINE, {"scopes": ["tenants/a", "tenants-1/b"]}, None, "two tenants in different resource servers"),
        (MACHINE, {"scopes": ["tenantsx/acme", "x/tenants/acme", "tenants"]}, None, "other resource servers"),
        (MACHINE, {"scopes": ["organization-invitations/all"]}, None, "no scope names a tenant"),
        (MACHINE, {"scopes": None}, None, "no scopes at all"),
        (MACHINE, {"scopes": [], "clientMetadata": {"tenant_id": "acme"}}, None, "untrusted metadata"),
        (USER, {"userAttributes": {"custom:tenant_id": "acme"}}, "acme", "an attribute that an administrator set"),
        (USER, {"userAttributes": {}, "scopes": ["tenants/acme"]}, None, "a user's scopes name no tenant"),
        (USER, {"userAttributes": {"tenant_id": "acme"}}, None, "not the pool's custom attribute"),
    ],
)
def test_the_tenant_in_a_token_is_one_that_an_administrator_gave(deploy, deploy_pool, source, request_, tenant, reason):
    pool = deploy_pool().properties("UserPool")
    # Only V3_0 covers the client credentials grant, and it needs this plan.
    assert pool["LambdaConfig"]["PreTokenGenerationConfig"]["LambdaVersion"] == "V3_0"
    assert pool["UserPoolTier"] == "ESSENTIALS"
    event = {"triggerSource": source, "request": request_, "response": {}}
    answer = trigger(deploy_pool())(event, None)
    details = answer["response"].get("claimsAndScopeOverrideDetails", {})
    claims = details.get("accessTokenGeneration", {}).get("claimsToAddOrOverride", {})
    assert claims == ({"tenant_id": tenant} if tenant else {}), reason
    # By default the function reads this claim and no other.
    assert deploy().properties(FUNCTION)["Environment"]["Variables"]["TENANT_CLAIMS"] == "tenant_id"


VERIFIED = {"email": "Grace@example.com", "email_verified": "true"}
PERSON = {"email": "Grace@example.com", "email_verified": True}


@pytest.mark.parametrize(
    "source, request_, claims, reason",
    [
        (USER, {"userAttributes": VERIFIED | {"custom:tenant_id": "acme"}}, PERSON | {"tenant_id": "acme"}, "a person"),
        (USER, {"userAttributes": VERIFIED}, PERSON, "a person without a tenant"),
        ("TokenGeneration_RefreshTokens", {"userAttributes": VERIFIED}, PERSON, "a refreshed token"),
        (USER, {"userAttributes": VERIFIED | {"email_verified": "false"}}, {}, "the address is not verified"),
        (USER, {"userAttributes": {"email": "grace@example.com"}}, {}, "email_verified is missing"),
        (USER, {"userAttributes": {"email_verified": "true"}}, {}, "no address"),
        (USER, {"userAttributes": VERIFIED | {"email": ""}}, {}, "an empty address"),
        (USER, {"userAttributes": VERIFIED | {"email_verified": "True"}}, {}, "Cognito writes lower case"),
        (USER, {"userAttributes": {"custom:email": "a@example.com", "custom:email_verified": "true"}}, {}, "custom attributes"),
        (USER, {"userAttributes": {}, "clientMetadata": VERIFIED}, {}, "untrusted metadata of a page"),
        (USER, {"userAttributes": None}, {}, "no attributes at all"),
        (MACHINE, {"scopes": ["tenants/acme"], "userAttributes": VERIFIED}, {"tenant_id": "acme"}, "a program has no address"),
        (MACHINE, {"scopes": [], "clientMetadata": VERIFIED}, {}, "metadata from a program is not trusted"),
    ],
)
def test_the_address_in_a_token_is_one_that_its_person_has_proved(deploy_pool, source, request_, claims, reason):
    event = {"triggerSource": source, "request": request_, "response": {}}
    details = trigger(deploy_pool())(event, None)["response"].get("claimsAndScopeOverrideDetails", {})
    # Only in access tokens: Cognito adds it to id tokens itself.
    assert details == ({"accessTokenGeneration": {"claimsToAddOrOverride": claims}} if claims else {}), reason


def test_the_access_log_identifies_nobody(deploy):
    [stage] = deploy(ThrottlingRateLimit=7).of_type("AWS::ApiGatewayV2::Stage").values()
    stage = stage["Properties"]
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": "7", "ThrottlingBurstLimit": 200}
    settings = stage["AccessLogSettings"]
    assert settings["DestinationArn"] == "<AccessLogGroup.Arn>"
    assert "\n" not in settings["Format"], "one line for each request"
    variables = set(re.findall(r"\$context\.([A-Za-z.]+)", settings["Format"]))
    # The variables of API Gateway without addresses (path, query string, network) and claims.
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
    # Values are quoted, since a variable without a value becomes a hyphen.
    assert all(value.startswith("$context.") for value in json.loads(settings["Format"]).values())


def test_the_table_is_protected(deploy):
    table = deploy().resources["InvitationsTable"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = table["Properties"]
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
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


HERE = "eu-central-1:111122223333"
INDEXES = ["byOrganization", "byInvitee", "byInviter"]


@pytest.mark.parametrize(
    "overrides, table, others",
    [({}, "<InvitationsTable>", []), ({"TableName": "restored"}, "restored", [f"arn:aws:dynamodb:{HERE}:table/restored"])],
)
def test_the_role_of_the_function_has_exactly_these_permissions(deploy, overrides, table, others):
    stack = deploy(**overrides)
    # The stack's own table stays allowed beside another table: the old version must work until the alias has moved.
    tables = ["<InvitationsTable.Arn>", *others]
    with_indexes = [[arn, *(f"{arn}/index/{index}" for index in INDEXES)] for arn in tables]
    assert list(statements(stack, ROLE)) == [
        [["logs:CreateLogStream", "logs:PutLogEvents"], ["<OrganizationInvitationsLogGroup.Arn>"]],
        [["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["*"]],
        [
            [
                *("dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem"),
                *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"),
            ],
            tables,
        ],
        [["dynamodb:Query"], sum(with_indexes, [])],
        [
            ["ses:SendEmail", "ses:SendTemplatedEmail"],
            [f"arn:aws:ses:{HERE}:{kind}/*" for kind in ("identity", "configuration-set", "template")],
        ],
    ]
    assert stack.properties(FUNCTION)["Environment"]["Variables"]["TABLE_NAME"] == table
    assert stack.outputs["TableName"]["Value"] == table


def test_the_role_of_the_prove_hook_can_invoke_versions_and_report(deploy):
    assert list(statements(deploy(), "ProveRole")) == [
        [["logs:CreateLogStream", "logs:PutLogEvents"], ["<ProveLogGroup.Arn>"]],
        # Only versions and aliases of the function.
        [["lambda:InvokeFunction"], [f"<{FUNCTION}.Arn>:*"]],
        [["lambda:GetFunctionConcurrency"], [f"<{FUNCTION}.Arn>"]],
        [
            ["codedeploy:PutLifecycleEventHookExecutionStatus"],
            [f"arn:aws:codedeploy:{HERE}:deploymentgroup:<ServerlessDeploymentApplication>/*"],
        ],
    ]


def test_every_action_exists_in_iam_and_supports_its_resources(deploy, deploy_pool):
    roles = [(deploy(TableName="restored"), ROLE), (deploy(MailFeedback="on"), ROLE), (deploy(), "ProveRole"), (deploy_pool(), "TenantClaimRole")]
    roles.append((deploy(Events="on"), "EventsPipeRole"))
    for stack, role in roles:
        for actions, resources in statements(stack, role):
            for action in actions:
                service, name = action.split(":")
                known = get_action_data(service, name).get(service)
                assert known, f"{action} does not exist"
                kinds = {row["resource_arn_format"] for row in known}
                for resource in resources:
                    assert any(fits(resource, kind) for kind in kinds), f"{action} does not support {resource}"


ARNS = {
    r"<\w+LogGroup\.Arn>": f"arn:aws:logs:{HERE}:log-group:g:log-stream:s",
    r"<InvitationsTable\.Arn>": f"arn:aws:dynamodb:{HERE}:table/t",
    r"<InvitationsTable\.StreamArn>": f"arn:aws:dynamodb:{HERE}:table/t/stream/s",
    r"<EventBus\.Arn>": f"arn:aws:events:{HERE}:event-bus/b",
    r"<EventsDeadLetters\.Arn>": f"arn:aws:sqs:{HERE}:q",
    # IAM's list has no ARN format for an alias, but a policy can name one.
    rf"<{FUNCTION}Aliaslive>": f"arn:aws:lambda:{HERE}:function:f",
    rf"<{FUNCTION}\.Arn>(:\*)?": f"arn:aws:lambda:{HERE}:function:f",
    r"<MailFeedbackDeadLetters\.Arn>": f"arn:aws:sqs:{HERE}:q",
}


def fits(resource, kind):
    """True if the ARN is of this kind. Placeholders are names, except those of `ARNS`, which are whole ARNs."""
    if resource in ("*", kind):
        return resource == kind
    # The only action with a resource that IAM's list does not have; CodeDeploy's own examples use it.
    if resource.startswith("arn:aws:codedeploy:"):
        return kind == "*"
    for placeholder, arn in ARNS.items():
        resource = re.sub(placeholder, arn, resource)
    return re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}", "[^:/]+", re.escape(kind)), resource) is not None


def test_everything_that_logs_writes_to_a_group_with_retention(deploy, deploy_pool):
    for stack, days, others in (deploy(LogRetentionDays=7), "7", 1), (deploy_pool(), 30, 0):
        groups = stack.of_type("AWS::Logs::LogGroup")
        assert {group["Properties"]["RetentionInDays"] for group in groups.values()} == {days}
        functions = stack.of_type("AWS::Lambda::Function").values()
        for function in functions:
            group = function["Properties"]["LoggingConfig"]["LogGroup"].strip("<>")
            assert group in groups
        assert len(groups) == len(functions) + others, "one log group for each function, and one for the API"


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
    assert stack.outputs.get("DkimRecords", {"Value": ""})["Value"].count(" CNAME ") == records


def test_a_registered_sender_outlives_the_stack(deploy):
    """Other applications of the account may send with the identity."""
    identity = deploy(EmailIdentity="example.com").resources["Identity"]
    # A failed creation deletes it, because a retained identity would make the next attempt fail.
    assert (identity["DeletionPolicy"], identity["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def deployment_group(stack):
    [group] = [each["Properties"] for each in stack.of_type("AWS::CodeDeploy::DeploymentGroup").values()]
    return group


def test_versions_are_moved_to_gradually_and_back_on_an_alarm(deploy):
    group = deployment_group(deploy())
    assert group["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    assert group["AutoRollbackConfiguration"]["Enabled"] is True
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    alarms = [alarm["Name"].strip("<>") for alarm in group["AlarmConfiguration"]["Alarms"]]
    assert alarms == ["NewVersionErrorsAlarm", "UnavailableAlarm", "InternalErrorsAlarm"]
    at_once = deployment_group(deploy(Deployment="AllAtOnce"))
    assert at_once["DeploymentConfigName"] == "CodeDeployDefault.LambdaAllAtOnce"


def test_an_alarm_of_the_deployment_looks_at_the_new_version(deploy):
    stack = deploy()
    [version] = stack.of_type("AWS::Lambda::Version")

    def dimensions(name):
        return {each["Name"]: each["Value"] for each in stack.properties(name)["Dimensions"]}

    live = {"FunctionName": f"<{FUNCTION}>", "Resource": f"<{FUNCTION}>:live"}
    assert dimensions("FunctionErrorsAlarm") == live, "not the calls of ProveFunction to a version without traffic"
    assert dimensions("NewVersionErrorsAlarm") == live | {"ExecutedVersion": f"<{version}.Version>"}


# ---- The proof of a new version -------------------------------------------------------------------------------------


def test_a_new_version_proves_itself_before_it_gets_traffic(deploy):
    stack = deploy()
    [alias] = stack.of_type("AWS::Lambda::Alias").values()
    [version] = stack.of_type("AWS::Lambda::Version")
    assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["BeforeAllowTrafficHook"] == "<ProveFunction>"
    prove = stack.properties("ProveFunction")
    assert prove["Environment"]["Variables"]["NEW_VERSION"] == f"<{version}>"
    # AWS's policy for CodeDeploy's role allows only functions with this prefix. A name has at most 64 characters.
    assert prove["FunctionName"].startswith("CodeDeployHook_")
    assert len(prove["FunctionName"]) <= 64


class Functions:
    """The part of the Lambda client that the proof uses."""

    def __init__(self, answers, reserved=None):
        self.answers, self.reserved, self.invoked = list(answers), reserved, []

    def get_function_concurrency(self, FunctionName):
        return {} if self.reserved is None else {"ReservedConcurrentExecutions": self.reserved}

    def invoke(self, FunctionName, Payload):
        self.invoked.append((FunctionName, json.loads(Payload)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


def prove(stack, functions, monkeypatch):
    """Runs the proof, and returns the status that it reports to CodeDeploy and the exception that it raises."""
    for name, value in stack.properties("ProveFunction")["Environment"]["Variables"].items():
        monkeypatch.setenv(name, value)
    namespace, reported = {}, []

    class Deployments:
        def put_lifecycle_event_hook_execution_status(self, **report):
            reported.append(report)

    exec(stack.properties("ProveFunction")["Code"]["ZipFile"], namespace)
    clients = {"lambda": functions, "codedeploy": Deployments()}
    event = {"DeploymentId": "d", "LifecycleEventHookExecutionId": "e"}
    try:
        namespace["handler"](event, None, client=clients.get, pause=0)
    except RuntimeError:
        pass
    [report] = reported
    assert (report["deploymentId"], report["lifecycleEventHookExecutionId"]) == ("d", "e")
    return report["status"]


GOOD, UNAVAILABLE = {"statusCode": 200, "body": "[]"}, {"statusCode": 503, "body": "{}"}


@pytest.mark.parametrize(
    "answers, reserved, status, calls, reason",
    [
        ([GOOD], None, "Succeeded", 1, "it starts, accepts its settings, authorizes the caller and reads the table"),
        ([GOOD], 5, "Succeeded", 1, "reserved concurrency above zero"),
        ([UNAVAILABLE, UNAVAILABLE, GOOD], None, "Succeeded", 3, "the role's new policy has not propagated yet"),
        ([UNAVAILABLE], None, "Failed", 6, "it cannot read the table"),
        ([{"errorType": "Runtime.ExitError"}], None, "Failed", 6, "it does not start"),
        ([{"statusCode": 403, "body": "{}"}], None, "Failed", 6, "it rejects the caller"),
        ([{"statusCode": 200, "body": "<html>"}], None, "Failed", 6, "it is another function"),
        ([RuntimeError()], None, "Failed", 1, "an error of the Lambda API is still reported to CodeDeploy"),
        ([UNAVAILABLE], 0, "Succeeded", 0, "a stopped function is not called"),
    ],
)
def test_the_proof_reports_success_or_failure_to_codedeploy(deploy, monkeypatch, answers, reserved, status, calls, reason):
    functions = Functions(answers, reserved)
    assert prove(deploy(), functions, monkeypatch) == status, reason
    assert len(functions.invoked) == calls


@pytest.mark.parametrize(
    "overrides, claims",
    [
        ({}, {"tenant_id": "-", "scope": "all", "cognito:groups": "[]"}),
        ({"TenantClaims": "org , tenant_id"}, {"org": "-", "scope": "all", "cognito:groups": "[]"}),
        (
            {"AllowedScopes": "", "AllowedGroups": "admins,inviters"},
            {"tenant_id": "-", "scope": "", "cognito:groups": "[admins inviters]"},
        ),
    ],
)
def test_the_proof_calls_as_a_caller_that_the_settings_allow(deploy, monkeypatch, overrides, claims):
    functions = Functions([GOOD])
    stack = deploy(**overrides)
    prove(stack, functions, monkeypatch)
    [version] = stack.of_type("AWS::Lambda::Version")
    # tests/api/events.rs tests the function with this event.
    event = json.loads((ROOT / "events/list-of-the-proof.json").read_text())
    event["requestContext"]["authorizer"]["jwt"]["claims"] = claims
    assert functions.invoked == [(f"<{version}>", event)]


# ---- Mail feedback --------------------------------------------------------------------------------------------------

QUEUE = "<MailFeedbackDeadLetters.Arn>"


def test_without_mail_feedback_no_resource_of_it_exists(deploy):
    off, on = deploy(), deploy(MailFeedback="on")
    added = on.resources.keys() - off.resources.keys()
    assert {name for name in added if not name.startswith("MailFeedback")} == set()
    assert "MailFeedback" not in json.dumps(off.resources)
    # Mail feedback only lets the function's role send to the queue. The function's version stays the same.
    changed = {name for name in off.resources if off.resources[name] != on.resources[name]}
    assert changed == {ROLE, "Dashboard"}
    assert [each for each in statements(on, ROLE) if each not in statements(off, ROLE)] == [[["sqs:SendMessage"], [QUEUE]]]


def matches(pattern, event):
    """EventBridge's matching, as far as the rule uses it: a list has the value, or one of its elements."""
    if isinstance(pattern, dict):
        return isinstance(event, dict) and all(matches(each, event.get(name)) for name, each in pattern.items())
    return any(value in pattern for value in (event if isinstance(event, list) else [event]))


def test_the_rule_matches_only_reports_about_mail_of_this_stack(deploy):
    pattern = deploy(MailFeedback="on").properties("MailFeedbackRule")["EventPattern"]
    events = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events/feedback").glob("*.json")}
    passing = set()
    for name, event in events.items():
        tags = event["detail"]["mail"]["tags"]
        assert not matches(pattern, event), f"{name}: a mail of another stack"
        tags["stack"] = ["invitations"] if tags["stack"] == ["organization-invitations"] else tags["stack"]
        passing |= {name} if matches(pattern, event) else set()
        del tags["stack"]
        assert not matches(pattern, event), f"{name}: a mail of another application"
    assert events.keys() - passing == {"opened", "another-stack"}


def test_ses_reports_what_the_rule_asks_for(deploy):
    stack = deploy(MailFeedback="on")
    destination = stack.properties("MailFeedbackEvents")["EventDestination"]
    assert destination["EventBridgeDestination"] == {"EventBusArn": f"arn:aws:events:{HERE}:event-bus/default"}
    assert stack.properties("MailFeedbackEvents")["ConfigurationSetName"] == "<ConfigurationSet>"
    # The event types in the events' data, and their detail types in EventBridge.
    names = {
        "send": "Email Sent",
        "delivery": "Email Delivered",
        "deliveryDelay": "Email Delivery Delayed",
        "bounce": "Email Bounced",
        "complaint": "Email Complaint Received",
        "reject": "Email Rejected",
        "renderingFailure": "Email Rendering Failed",
    }
    types = stack.properties("MailFeedbackRule")["EventPattern"]["detail-type"]
    assert [names[each] for each in destination["MatchingEventTypes"]] == types


def test_the_rule_is_the_only_way_in_besides_the_api(deploy):
    stack = deploy(MailFeedback="on")
    alias = f"<{FUNCTION}Aliaslive>"
    permissions = {
        (each["Properties"]["Principal"], each["Properties"]["FunctionName"])
        for each in stack.of_type("AWS::Lambda::Permission").values()
    }
    assert permissions == {("apigateway.amazonaws.com", alias), ("events.amazonaws.com", alias)}
    assert stack.properties("MailFeedbackPermission")["SourceArn"] == "<MailFeedbackRule.Arn>"
    [target] = stack.properties("MailFeedbackRule")["Targets"]
    assert target["Arn"] == alias, "the alias, which moves gradually"


def test_a_report_that_is_given_up_ends_in_one_encrypted_queue(deploy):
    stack = deploy(MailFeedback="on")
    queue = stack.properties("MailFeedbackDeadLetters")
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
    [target] = stack.properties("MailFeedbackRule")["Targets"]
    retries = stack.properties("MailFeedbackRetries")
    assert target["DeadLetterConfig"] == {"Arn": QUEUE}, "reports that EventBridge gives up"
    assert retries["DestinationConfig"] == {"OnFailure": {"Destination": QUEUE}}, "reports that Lambda gives up"
    assert (retries["FunctionName"], retries["Qualifier"]) == (f"<{FUNCTION}>", "live")
    assert stack.resources["MailFeedbackRetries"]["DependsOn"] in stack.of_type("AWS::Lambda::Alias")
    assert (target["RetryPolicy"]["MaximumEventAgeInSeconds"], retries["MaximumRetryAttempts"]) == (24 * 3600, 2)
    policy = stack.properties("MailFeedbackDeadLettersPolicy")["PolicyDocument"]["Statement"]
    allowed = [each for each in policy if each["Effect"] == "Allow"]
    assert allowed == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": QUEUE,
            "Condition": {"ArnEquals": {"aws:SourceArn": "<MailFeedbackRule.Arn>"}},
        }
    ]
    alarm = stack.properties("MailFeedbackLostAlarm")
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")


# ---- The stack as a whole -------------------------------------------------------------------------------------------


def test_a_reservation_is_made_only_when_asked_for(deploy):
    def reserved(**overrides):
        return deploy(**overrides).properties(FUNCTION).get("ReservedConcurrentExecutions")

    assert [reserved(), reserved(ReservedConcurrency=0), reserved(ReservedConcurrency=5)] == [None, "0", "5"]


def acyclic(resources):
    edges = {
        name: set(re.findall(r"<(\w+)[.>]", json.dumps(entry))) | depends_on(entry) for name, entry in resources.items()
    }
    while edges:
        free = [name for name, needed in edges.items() if not needed & edges.keys() - {name}]
        assert free, f"a circular dependency among {sorted(edges)}"
        for name in free:
            del edges[name]


def depends_on(entry):
    names = entry.get("DependsOn", [])
    return {names} if isinstance(names, str) else set(names)


def test_resources_have_no_circular_dependency(deploy, deploy_pool):
    """CloudFormation rejects a circular dependency. cfn-lint does not follow an alias's UpdatePolicy."""
    with_domain = deploy(DomainName="a.example", CertificateArn=CERTIFICATE)
    for stack in deploy(), with_domain, deploy(MailFeedback="on", Events="on"), deploy_pool():
        acyclic(stack.resources)


# The length limits of AWS for names and texts. A stack's name has up to 128 characters.
LONGEST = {
    ("AWS::AppConfig::Application", "Name"): 64,
    ("AWS::AppConfig::Application", "Description"): 1024,
    ("AWS::Lambda::Function", "FunctionName"): 64,
    ("AWS::Lambda::Function", "Description"): 256,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
    ("AWS::Events::Rule", "Description"): 512,
    ("AWS::Events::EventBus", "Name"): 256,
    ("AWS::Events::EventBus", "Description"): 512,
    ("AWS::Pipes::Pipe", "Description"): 512,
    ("AWS::Cognito::UserPool", "UserPoolName"): 128,
    ("AWS::Cognito::UserPoolDomain", "Domain"): 63,
    ("AWS::Cognito::UserPoolClient", "ClientName"): 128,
    ("AWS::Cognito::UserPoolResourceServer", "Name"): 256,
}


@pytest.mark.parametrize("file", [SERVICE, USER_POOL])
def test_a_long_name_of_the_stack_makes_no_name_too_long(file, monkeypatch):
    monkeypatch.setitem(PSEUDO_PARAMETERS, "AWS::StackName", "n" * 128)
    most = {"JwtIssuer": "https://issuer.example.com", "JwtAudience": "a", "Events": "on"} if file == SERVICE else {}
    checked = set()
    for entry in Deployment(file, **most).resources.values():
        for name, value in entry["Properties"].items():
            longest = LONGEST.get((entry["Type"], name))
            # No other text contains the stack's name.
            known = longest or not isinstance(value, str) or name == "DashboardBody"
            assert known or "n" * 128 not in value, (entry["Type"], name)
            assert not longest or len(value) <= longest, (entry["Type"], name)
            checked |= {name} if longest else set()
    assert len(checked) > 2


def test_every_suppressed_check_has_a_reason():
    lines = (ROOT / ".checkov.yaml").read_text().partition("skip-check:\n")[2].splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"  - CKV\w+ # [A-Z].*\.", line), line
    for file in SERVICE, USER_POOL:
        assert not any("checkov" in entry.get("Metadata", {}) for entry in source(file)["Resources"].values())


def test_the_description_of_the_stack_says_its_version():
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    assert f"Organization invitations {version} - " in source()["Description"]
    releases = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[:2] == ["Unreleased", version]


def test_every_output_is_described(deploy, deploy_pool):
    domain = {"DomainName": "a.example", "CertificateArn": CERTIFICATE}
    service = deploy(EmailIdentity="example.com", MailFeedback="on", Events="on", **domain)
    for stack, file in (service, SERVICE), (deploy_pool(BrowserCallbackUrls=CALLBACKS), USER_POOL):
        assert stack.outputs.keys() == source(file)["Outputs"].keys()
        assert all(output["Description"].endswith(".") for output in stack.outputs.values())
