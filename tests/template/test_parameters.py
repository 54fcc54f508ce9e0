"""The parameters: what they allow, and what each of them changes."""

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
            # Any text is a list of scopes, or of groups.
            "AllowedScopes",
            "AllowedGroups",
        ), name


ISSUER = {"JwtIssuer": "https://issuer.example.com", "JwtAudience": "https://api.example.com"}


@pytest.mark.parametrize(
    "overrides, reason",
    [
        ({}, "nobody's issuer is the default"),
        ({"JwtIssuer": "https://issuer.example.com"}, "an issuer without audience lets every one of its tokens in"),
        ({"JwtAudience": "https://api.example.com"}, "and an audience names no issuer"),
        ({"JwtIssuer": "http://issuer.example.com", "JwtAudience": "a"}, "an issuer speaks https"),
        ({"JwtIssuer": "https://issuer.example.com", "JwtAudience": "a, b"}, "a space would be a part of the audience"),
        ({"JwtIssuer": "https://issuer.example.com", "JwtAudience": "a,,b"}, "nothing is no audience"),
        ({"JwtIssuer": "https://issuer.example.com", "JwtAudience": ",".join(["a"] * 51)}, "an authorizer takes 50"),
        ({**ISSUER, "DomainName": "api.example.com"}, "a domain needs a certificate"),
        ({**ISSUER, "DomainName": "API.example.com"}, "API Gateway wants lower case"),
        ({**ISSUER, "Events": "yes"}, "events are on or off"),
        ({**ISSUER, "SelfService": "yes"}, "on or off"),
        ({**ISSUER, "CorsOrigins": "*"}, "whose pages use the API is known"),
        ({**ISSUER, "CorsOrigins": "https://*.example.com"}, "no browser sends that, and API Gateway does not match it"),
        ({**ISSUER, "CorsOrigins": "app.example.com"}, "an origin has a scheme"),
        ({**ISSUER, "CorsOrigins": "http://app.example.com"}, "anybody on the way can change a page without TLS"),
        ({**ISSUER, "CorsOrigins": "http://localhost.example.com"}, "nor is this the machine of a developer"),
        ({**ISSUER, "CorsOrigins": "https://app.example.com/"}, "an origin has no path"),
        ({**ISSUER, "CorsOrigins": "https://App.example.com"}, "browsers send lower case"),
        ({**ISSUER, "CorsOrigins": "https://app.example.com:443"}, "browsers leave out the scheme's own port"),
        ({**ISSUER, "CorsOrigins": "http://localhost:80,https://app.example.com"}, "of either scheme, at any place"),
        ({**ISSUER, "CorsOrigins": "https://a.example.com, https://b.example.com"}, "a space would be a part of the origin"),
        ({**ISSUER, "CorsOrigins": "null"}, "every sandboxed frame has this one"),
        ({**ISSUER, "Events": "on", "TableName": "restored"}, "nobody knows the stream of another table"),
        ({**ISSUER, "EmailIdentity": "nobody"}, "neither a domain nor an address"),
        ({**ISSUER, "DefaultFromEmailAddress": "nobody"}, "not an address"),
        ({**ISSUER, "DefaultAllowedLinkHosts": "https://app.example.com"}, "a host, not an address"),
        ({**ISSUER, "LogRetentionDays": 10}, "CloudWatch does not know this retention"),
        ({**ISSUER, "MessageRateLimit": 101}, "out of its bounds"),
        ({**ISSUER, "MailRatePerSecond": 0}, "no mail would ever go out"),
        ({**ISSUER, "Architecture": "x86"}, "no processor of Lambda's"),
        ({**ISSUER, "Deployment": "Canary"}, "CodeDeploy does not know it"),
        ({**ISSUER, "AlarmTopicArn": "me@example.com"}, "an address is no topic"),
        ({**ISSUER, "RustLog": ""}, "something has to be logged"),
        ({**ISSUER, "MailFeedback": "true"}, "on or off"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_created(overrides, reason):
    with pytest.raises(Refused):
        Deployment(**overrides)


ORIGINS = "https://app.example.com,https://app.example.com:8443,http://localhost:5173,http://127.0.0.1,http://localhost:443"


def test_pages_have_origins_of_theirs_or_of_a_developers_machine(deploy):
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
# What a parameter needs of others before it does anything.
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
    """Else the alias, and so the API, would stay on the old settings."""
    others = TOGETHER_WITH.get(name, {})
    before, after = deploy(**others), deploy(**others | {name: ANOTHER[name]})

    def published(stack):
        # A reservation belongs to the function as a whole; its versions know nothing of it.
        return {**stack.properties(FUNCTION), "ReservedConcurrentExecutions": None}

    def version(stack):
        [version] = stack.of_type("AWS::Lambda::Version")
        assert stack.properties(version)["Description"] == "settings <SettingsVersion.VersionNumber>"
        # The description changes with this, and a version with another description is another version.
        return version, stack.properties("SettingsVersion")

    # And no version without a change: Lambda would refuse to publish what is published.
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
