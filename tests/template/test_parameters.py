"""The parameters: what they allow, and what each of them changes."""

import pytest
from deployment import Refused, source

FUNCTION = "OrganizationInvitationsFunction"


def test_every_parameter_is_described_and_in_exactly_one_group():
    groups = source()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(source()["Parameters"])
    for name, parameter in source()["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        assert any(
            key in parameter for key in ("AllowedValues", "AllowedPattern", "MinValue", "MinLength")
        ) or name in (
            # Any text is a list of scopes, or of groups.
            "AllowedScopes",
            "AllowedGroups",
        ), name


@pytest.mark.parametrize(
    "overrides, reason",
    [
        ({}, "nobody's issuer is the default"),
        ({"JwtIssuer": "https://issuer.example.com"}, "an issuer without audience lets every one of its tokens in"),
        ({"JwtIssuer": "http://issuer.example.com", "JwtAudience": "a"}, "an issuer speaks https"),
        ({"JwtIssuer": "https://issuer.example.com", "JwtAudience": "a, b"}, "a space would be a part of the audience"),
        ({"JwtIssuer": "https://issuer.example.com", "JwtAudience": "a,,b"}, "nothing is no audience"),
        ({"TokenIssuer": "existing-user-pool"}, "which pool?"),
        ({"TokenIssuer": "existing-user-pool", "UserPoolId": "eu-central-1_AbC"}, "which clients?"),
        (
            {"TokenIssuer": "existing-user-pool", "UserPoolId": "AbC", "JwtAudience": "c"},
            "a pool's id names its region",
        ),
        ({"TokenIssuer": "none"}, "there is always an authorizer"),
        ({"TokenIssuer": "new-user-pool", "MachineTenant": "a#b"}, "a tenant that would reach into other keys"),
        ({"TokenIssuer": "new-user-pool", "DomainName": "api.example.com"}, "a domain needs a certificate"),
        ({"TokenIssuer": "new-user-pool", "DomainName": "API.example.com"}, "API Gateway wants lower case"),
        ({"TokenIssuer": "new-user-pool", "EmailIdentity": "nobody"}, "neither a domain nor an address"),
        ({"TokenIssuer": "new-user-pool", "DefaultFromEmailAddress": "nobody"}, "not an address"),
        ({"TokenIssuer": "new-user-pool", "LogRetentionDays": 10}, "CloudWatch does not know this retention"),
        ({"TokenIssuer": "new-user-pool", "MessageRateLimit": 101}, "out of its bounds"),
        ({"TokenIssuer": "new-user-pool", "Architecture": "x86"}, "no processor of Lambda's"),
        ({"TokenIssuer": "new-user-pool", "Deployment": "Canary"}, "CodeDeploy does not know it"),
        ({"TokenIssuer": "new-user-pool", "AlarmTopicArn": "me@example.com"}, "an address is no topic"),
        ({"TokenIssuer": "new-user-pool", "RustLog": ""}, "something has to be logged"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_created(deploy, overrides, reason):
    with pytest.raises(Refused):
        # `deploy` would add an issuer to what names none.
        deploy(**{"TokenIssuer": "oidc", **overrides})


ANOTHER = {
    "TokenIssuer": "new-user-pool",
    "JwtIssuer": "https://another.example.com",
    "JwtAudience": "another",
    "UserPoolId": "us-east-1_AbC",
    "MachineTenant": "another",
    "AllowedScopes": "another",
    "AllowedGroups": "another",
    "TenantClaims": "another",
    "IdMaxLength": 36,
    "ReferenceChecks": "trust",
    "DirectoryCacheSeconds": 0,
    "RetentionDays": 1,
    "TableName": "another",
    "EmailIdentity": "another.example.com",
    "DefaultFromEmailAddress": "another@example.com",
    "DefaultReplyTo": "another@example.com",
    "DefaultLocale": "de",
    "DefaultAllowedLinkHosts": "app.example.com",
    "MessageRateLimit": 1,
    "MessageRateWindowSeconds": 1,
    "DomainName": "api.example.com",
    "CertificateArn": "arn:aws:acm:eu-central-1:111122223333:certificate/51af3dc0-da77-11e4-872e-1234567db123",
    "HostedZoneId": "Z1",
    "ThrottlingRateLimit": 1,
    "ThrottlingBurstLimit": 1,
    "Architecture": "x86_64",
    "MemorySize": 512,
    "ReservedConcurrency": 0,
    "Deployment": "AllAtOnce",
    "AlarmTopicArn": "arn:aws:sns:eu-central-1:111122223333:alarms",
    "LogRetentionDays": 1,
    "Tracing": "PassThrough",
    "RustLog": "debug",
}
# What a parameter needs of others before it does anything.
TOGETHER_WITH = {
    "UserPoolId": {"TokenIssuer": "existing-user-pool", "UserPoolId": "eu-central-1_AbC", "JwtAudience": "c"},
    "MachineTenant": {"TokenIssuer": "new-user-pool"},
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
    given = {
        name: another for name, another in ANOTHER.items() if name not in ("TokenIssuer", "JwtIssuer", "JwtAudience")
    }
    variables = deploy(**given).properties(FUNCTION)["Environment"]["Variables"]
    assert variables == {
        "TABLE_NAME": "another",
        "ID_MAX_LENGTH": "36",
        "REFERENCE_CHECKS": "trust",
        "DIRECTORY_CACHE_SECONDS": "0",
        "RETENTION_DAYS": "1",
        "ALLOWED_SCOPES": "another",
        "ALLOWED_GROUPS": "another",
        "TENANT_CLAIMS": "another",
        "CURSOR_KEY": "arn:aws:cloudformation:eu-central-1:111122223333:stack/invitations/51af3dc0-da77-11e4-872e-1234567db123",
        "MESSAGE_RATE_LIMIT": "1",
        "MESSAGE_RATE_WINDOW_SECONDS": "1",
        "DEFAULT_FROM_EMAIL_ADDRESS": "another@example.com",
        "DEFAULT_REPLY_TO": "another@example.com",
        "DEFAULT_CONFIGURATION_SET_NAME": "<ConfigurationSet>",
        "DEFAULT_LOCALE": "de",
        "DEFAULT_ALLOWED_LINK_HOSTS": "app.example.com",
        "RUST_LOG": "debug",
    }
