"""The parameters: the allowed values, and the effect of each."""

import pytest
from deployment import SERVICE, USER_POOL, Deployment, Refused, source

FUNCTION = "OrganizationInvitationsFunction"


def test_every_parameter_is_in_exactly_one_group():
    groups = source()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(source()["Parameters"])


@pytest.mark.parametrize("file", [SERVICE, USER_POOL])
def test_every_parameter_is_described_and_bounded(file):
    for name, parameter in source(file)["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        assert any(
            key in parameter for key in ("AllowedValues", "AllowedPattern", "MinValue", "MinLength")
        ) or name in (
            # Every text is a valid list of scopes or groups.
            "AllowedScopes",
            "AllowedGroups",
        ), name


ISSUER = {"JwtIssuer": "https://issuer.example.com", "JwtAudience": "https://api.example.com"}


@pytest.mark.parametrize(
    "overrides, reason",
    [
        ({}, "there is no default issuer"),
        ({"JwtIssuer": "https://issuer.example.com"}, "without an audience, every token of the issuer would be valid"),
        ({"JwtAudience": "https://api.example.com"}, "an audience needs an issuer"),
        ({"JwtIssuer": "http://issuer.example.com", "JwtAudience": "a"}, "an issuer must use https"),
        ({"JwtIssuer": "https://issuer.example.com", "JwtAudience": "a, b"}, "a space would be a part of the audience"),
        ({"JwtIssuer": "https://issuer.example.com", "JwtAudience": "a,,b"}, "an audience must not be empty"),
        ({"JwtIssuer": "https://issuer.example.com", "JwtAudience": ",".join(["a"] * 51)}, "50 are the maximum"),
        ({**ISSUER, "DomainName": "api.example.com"}, "a domain needs a certificate"),
        ({**ISSUER, "DomainName": "API.example.com"}, "API Gateway requires lower case"),
        ({**ISSUER, "Events": "yes"}, "events are on or off"),
        ({**ISSUER, "SelfService": "yes"}, "self-service is on or off"),
        ({**ISSUER, "CorsOrigins": "*"}, "origins must be listed"),
        ({**ISSUER, "CorsOrigins": "https://*.example.com"}, "API Gateway matches no wildcard in a host"),
        ({**ISSUER, "CorsOrigins": "app.example.com"}, "an origin has a scheme"),
        ({**ISSUER, "CorsOrigins": "http://app.example.com"}, "a page without TLS can be changed in transit"),
        ({**ISSUER, "CorsOrigins": "http://localhost.example.com"}, "only localhost may use http"),
        ({**ISSUER, "CorsOrigins": "https://app.example.com/"}, "an origin has no path"),
        ({**ISSUER, "CorsOrigins": "https://App.example.com"}, "browsers send origins in lower case"),
        ({**ISSUER, "CorsOrigins": "https://app.example.com:443"}, "browsers leave out the scheme's default port"),
        ({**ISSUER, "CorsOrigins": "http://localhost:80,https://app.example.com"}, "the default port of http, in a list"),
        ({**ISSUER, "CorsOrigins": "https://a.example.com, https://b.example.com"}, "a space would be a part of the origin"),
        ({**ISSUER, "CorsOrigins": "null"}, "the origin of every sandboxed frame is null"),
        ({**ISSUER, "Events": "on", "TableName": "restored"}, "the stream of another table is unknown"),
        ({**ISSUER, "EmailIdentity": "nobody"}, "neither a domain nor an address"),
        ({**ISSUER, "DefaultFromEmailAddress": "nobody"}, "not an address"),
        ({**ISSUER, "DefaultAllowedLinkHosts": "https://app.example.com"}, "a host, not a URL"),
        ({**ISSUER, "LogRetentionDays": 10}, "CloudWatch has no such retention"),
        ({**ISSUER, "MessageRateLimit": 101}, "above the maximum"),
        ({**ISSUER, "MailRatePerSecond": 0}, "no mail would be sent"),
        ({**ISSUER, "Architecture": "x86"}, "Lambda has no such processor"),
        ({**ISSUER, "Deployment": "Canary"}, "CodeDeploy has no such configuration"),
        ({**ISSUER, "AlarmTopicArn": "me@example.com"}, "an address is not a topic"),
        ({**ISSUER, "RustLog": ""}, "the log level must not be empty"),
        ({**ISSUER, "MailFeedback": "true"}, "feedback is on or off"),
    ],
)
def test_invalid_parameters_are_rejected_before_anything_is_created(overrides, reason):
    with pytest.raises(Refused):
        Deployment(**overrides)


ORIGINS = "https://app.example.com,https://app.example.com:8443,http://localhost:5173,http://127.0.0.1,http://localhost:443"


def test_origins_are_https_or_on_localhost(deploy):
    cors = deploy(CorsOrigins=ORIGINS).properties("Api")["Body"]["x-amazon-apigateway-cors"]
    assert cors["allowOrigins"] == ORIGINS.split(",")


def test_a_tenant_that_would_reach_into_other_keys_is_refused(deploy_pool):
    with pytest.raises(Refused):
        deploy_pool(MachineTenant="a#b")


def test_an_authorizer_takes_fifty_audiences(deploy):
    audiences = [f"client{number}" for number in range(50)]
    [scheme] = deploy(JwtAudience=",".join(audiences)).properties("Api")["Body"]["components"]["securitySchemes"].values()
    assert scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"]["audience"] == audiences


ANOTHER = {
    "JwtIssuer": "https://another.example.com",
    "JwtAudience": "another",
    "AllowedScopes": "another",
    "AllowedGroups": "another",
    "TenantClaims": "another",
    "SelfService": "on",
    "CorsOrigins": "https://app.example.com",
    "IdMaxLength": 36,
    "ReferenceChecks": "trust",
    "RetentionDays": 1,
    "TableName": "another",
    "EmailIdentity": "another.example.com",
    "DefaultFromEmailAddress": "another@example.com",
    "DefaultReplyTo": "another@example.com",
    "DefaultLocale": "de",
    "DefaultAllowedLinkHosts": "app.example.com,www.example.com",
    "MessageRateLimit": 1,
    "MailFeedback": "on",
    "MailRatePerSecond": 1,
    "DomainName": "api.example.com",
    "CertificateArn": "arn:aws:acm:eu-central-1:111122223333:certificate/51af3dc0-da77-11e4-872e-1234567db123",
    "HostedZoneId": "Z1",
    "Events": "on",
    "ThrottlingRateLimit": 1,
    "Architecture": "x86_64",
    "MemorySize": 512,
    "ReservedConcurrency": 0,
    "Deployment": "AllAtOnce",
    "AlarmTopicArn": "arn:aws:sns:eu-central-1:111122223333:alarms",
    "LogRetentionDays": 1,
    "RustLog": "debug",
}
# The other parameters that a parameter needs to have an effect.
TOGETHER_WITH = {
    "DomainName": {"CertificateArn": ANOTHER["CertificateArn"]},
    "CertificateArn": {
        "DomainName": "api.example.org",
        "CertificateArn": ANOTHER["CertificateArn"].replace("51af", "61af"),
    },
    "HostedZoneId": {"DomainName": "api.example.org", "CertificateArn": ANOTHER["CertificateArn"]},
}


@pytest.mark.parametrize("name", source()["Parameters"])
def test_every_parameter_changes_something(deploy, name):
    others = TOGETHER_WITH.get(name, {})
    before, after = deploy(**others), deploy(**others | {name: ANOTHER[name]})
    assert before.resources != after.resources


@pytest.mark.parametrize("name", source()["Parameters"])
def test_whatever_changes_the_function_makes_a_new_version_of_it(deploy, name):
    """Otherwise the alias, and so the API, would keep the old settings."""
    others = TOGETHER_WITH.get(name, {})
    before, after = deploy(**others), deploy(**others | {name: ANOTHER[name]})

    def published(stack):
        # Reserved concurrency belongs to the function, not to its versions.
        return {**stack.properties(FUNCTION), "ReservedConcurrentExecutions": None}

    def version(stack):
        [version] = stack.of_type("AWS::Lambda::Version")
        assert stack.properties(version)["Description"] == "settings <SettingsVersion.VersionNumber>"
        # The description contains this number, and a changed description creates a new version.
        return version, stack.properties("SettingsVersion")

    # No version without a change: Lambda would not publish the same code and settings again.
    assert (published(before) != published(after)) == (version(before) != version(after))


def test_settings_reach_the_function_as_they_were_given(deploy):
    variables = deploy(**ANOTHER | {"Events": "off"}).properties(FUNCTION)["Environment"]["Variables"]
    assert variables == {
        "TABLE_NAME": "another",
        "ID_MAX_LENGTH": "36",
        "REFERENCE_CHECKS": "trust",
        "DIRECTORY_CACHE_SECONDS": "30",
        "RETENTION_DAYS": "1",
        "ALLOWED_SCOPES": "another",
        "ALLOWED_GROUPS": "another",
        "TENANT_CLAIMS": "another",
        "SELF_SERVICE": "on",
        "MESSAGE_RATE_LIMIT": "1",
        "MESSAGE_RATE_WINDOW_SECONDS": "600",
        "MAIL_RATE_PER_SECOND": "1",
        "DEFAULT_FROM_EMAIL_ADDRESS": "another@example.com",
        "DEFAULT_REPLY_TO": "another@example.com",
        "DEFAULT_CONFIGURATION_SET_NAME": "<ConfigurationSet>",
        "DEFAULT_LOCALE": "de",
        "DEFAULT_ALLOWED_LINK_HOSTS": "app.example.com,www.example.com",
        "STACK_NAME": "invitations",
        "RUST_LOG": "debug",
    }
