"""Checks the documents and samconfig.toml against the templates."""

import json
import re
import tomllib

import pytest
from deployment import ROOT, SERVICE, USER_POOL, source
from samcli.cli.types import CfnParameterOverridesType
from samcli.lib.config.samconfig import SamConfig

OBSERVABILITY = (ROOT / "docs/observability.md").read_text()
# The text of the guide for operators.
OPERATIONS = (ROOT / "docs/operations.md").read_text()
GUIDE = OPERATIONS + (ROOT / "docs/token-issuers.md").read_text() + OBSERVABILITY
README = (ROOT / "README.md").read_text()
# The keys of the function's log line.
LOG_KEYS = set(
    "requestId traceId tenant operation outcome status code cause duration dynamoDbDuration dynamoDbCalls sesDuration "
    "sesCalls retries coldStart version invitationId results".split()
)
# The keys of other log lines that the queries use.
OTHER_KEYS = {"message", "cause", "aws_request_id", "invitation_id"}
# The functions and keywords of Logs Insights that the queries use.
QUERY_WORDS = set(
    "filter fields sort stats limit by as asc desc and or count pct max min sum bin h ispresent timestamp like".split()
)


def of_both(section):
    return source(SERVICE)[section] | source(USER_POOL)[section]


def test_every_parameter_that_the_documents_give_a_value_exists_and_takes_it():
    given = re.findall(r"[`'\" ]([A-Z][A-Za-z]+)=([^`\"'\s;]+)", GUIDE + README)
    given = [(name, value) for name, value in given if not name.isupper()]
    ours = [(name, value) for name, value in given if name in of_both("Parameters")]
    others = {name for name, _ in given} - of_both("Parameters").keys()
    of_aws = "Name Value ScopeName ScopeDescription Enabled AttributeName PointInTimeRecoveryEnabled AdditionalVersionWeights"
    assert others <= set(of_aws.split()) | {"OutputKey"}
    assert len(ours) > 10
    for name, value in ours:
        parameter = of_both("Parameters")[name]
        if "AllowedValues" in parameter:
            assert value in map(str, parameter["AllowedValues"]), (name, value)


def test_every_output_that_the_documents_read_exists():
    read = re.findall(r"[(`]output (\w+)( \"\$POOL_STACK\")?", GUIDE)
    assert len(read) > 10
    for name, of_pool in read:
        assert name in source(USER_POOL if of_pool else SERVICE)["Outputs"], name


def test_every_name_in_the_operations_manual_exists():
    names = re.findall(r"`([A-Z][a-z]+[A-Z]\w+)`", OPERATIONS)
    known = of_both("Parameters").keys() | of_both("Outputs").keys() | of_both("Resources").keys()
    of_aws = {"AdministratorAccess", "SendEmail", "SendQuota", "ForAllValues", "AllAtOnce", "FailOnWarnings"}
    assert set(names) <= known | of_aws | {"ExecutedVersion"}


def test_the_readme_shows_what_samconfig_has_to_uncomment():
    """A pasted block would be a second table of the same name, which TOML rejects."""
    [block] = re.findall(r"^```toml\n(.*?)```$", README, re.MULTILINE | re.DOTALL)
    assert "[" not in re.sub(r'".*?"', "", block).replace("= [", "")
    # samconfig.toml has all its lines. The lines with values of the deploying person are comments.
    there = SAMCONFIG.splitlines()
    commented = [line for line in block.splitlines() if line not in there]
    assert len(commented) > 2
    assert all(line.replace("  ", "  # ", 1) in there for line in commented)


def test_the_documents_say_that_no_account_has_seen_the_stack():
    for text in OPERATIONS, README:
        assert "No AWS account has seen th" in text.partition("\n## ")[0]


def test_pip_is_not_asked_to_install_outside_of_an_environment():
    """Debian rejects that: externally-managed-environment."""
    assert not re.findall(r"^(?:.*[`$ ])?pip3? install (?!`)(?=[a-z])", GUIDE + README, re.MULTILINE)


def test_every_alarm_is_explained_with_whether_it_rolls_back(deploy):
    stack = deploy(MailFeedback="on", Events="on")
    rows = dict(re.findall(r"^\| `(\w+Alarm)`(.*?) \|", OBSERVABILITY, re.MULTILINE))
    assert rows.keys() == stack.of_type("AWS::CloudWatch::Alarm").keys()
    [group] = stack.of_type("AWS::CodeDeploy::DeploymentGroup").values()
    watched = {alarm["Name"].strip("<>") for alarm in group["Properties"]["AlarmConfiguration"]["Alarms"]}
    assert {name for name, mark in rows.items() if mark == " (rolls back)"} == watched


def keys_of(group):
    [row] = re.findall(rf"^\| `output {group}` \| .*? \| (.*) \|$", OBSERVABILITY, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", row))


def test_the_keys_of_the_access_log_are_listed(deploy):
    [stage] = deploy().of_type("AWS::ApiGatewayV2::Stage").values()
    assert keys_of("AccessLogGroupName") == set(json.loads(stage["Properties"]["AccessLogSettings"]["Format"]))


def queries():
    dashboard = source()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    manual = re.findall(r"^```logs\n(.*?)```$", OBSERVABILITY, re.MULTILINE | re.DOTALL)
    return manual + re.findall(r"\"query\": \"SOURCE '[^']*' \| (.*?)\"", dashboard)


def other_lines():
    """The level and the keys of the function's other log lines, by text."""
    tools = {"local", "directory_command", "bin"}
    files = [file for file in (ROOT / "src").rglob("*.rs") if not tools & {part.removesuffix(".rs") for part in file.parts}]
    code = "\n".join(file.read_text().partition("#[cfg(test)]\nmod tests")[0] for file in files)
    calls = re.findall(r"tracing::(info|warn|error)!\(([^;]*?)\"([a-z][^\"{]*)\"\)", code)
    return {
        text: (level.upper(), {key.strip(" %").split(" = ")[0] for key in keys.split(",") if key.strip()})
        for level, keys, text in calls
    }


def test_every_other_line_of_the_log_is_listed():
    rows = re.findall(r"^\| `([a-z][^`]*)` \| `([A-Z]+)` \| (.*?) \|", OBSERVABILITY, re.MULTILINE)
    assert {text: (level, set(re.findall(r"`(\w+)`", keys))) for text, level, keys in rows} == other_lines()


@pytest.mark.parametrize("query", queries())
def test_every_query_asks_for_keys_that_are_logged(query):
    text = re.sub(r"\"[^\"]*\"|'[^']*'|/[^/]*/", "", query)
    named = set(re.findall(r"\bas (\w+)", text))
    words = set(re.findall(r"[A-Za-z]\w*", text)) - QUERY_WORDS - named
    assert words
    assert words <= LOG_KEYS | OTHER_KEYS or words <= keys_of("AccessLogGroupName")


def test_the_queries_are_all_there():
    assert len(queries()) == 13


SAMCONFIG = (ROOT / "samconfig.toml").read_text()
# With all lines like `  # "Name=value",` uncommented.
UNCOMMENTED = re.sub(r"""^( *)# (["'].*["'],)$""", r"\1\2", SAMCONFIG, flags=re.MULTILINE)


def parameters_of(command, config, environment):
    """The template parameters that the SAM CLI passes to this command."""
    settings = SamConfig(config).get_all([command], "parameters", env=environment)
    overrides = settings.get("parameter_overrides", [])
    return CfnParameterOverridesType().convert(overrides, None, None) if overrides else {}


@pytest.mark.parametrize("environment", ["default", "prod"])
@pytest.mark.parametrize("text", [SAMCONFIG, UNCOMMENTED], ids=["as it is", "uncommented"])
def test_samconfig_gives_parameters_that_the_template_takes(deploy, deploy_pool, tmp_path, environment, text):
    (tmp_path / "samconfig.toml").write_text(text)
    given = parameters_of("deploy", tmp_path, environment)
    deploy(**given)
    # With all lines uncommented, no parameter may be missing.
    assert text is SAMCONFIG or {"JwtIssuer", "JwtAudience", "DefaultFromEmailAddress", "AlarmTopicArn"} <= given.keys()
    # `sam build` needs the same architecture as `sam deploy`.
    assert parameters_of("build", tmp_path, environment) == given
    # Roles with generated names need only this capability.
    config = tomllib.loads(text)[environment]
    assert config["deploy"]["parameters"]["capabilities"] == "CAPABILITY_IAM"
    for stack in deploy(), deploy_pool():
        assert not any("RoleName" in role["Properties"] for role in stack.of_type("AWS::IAM::Role").values())


def test_the_sam_cli_drops_what_follows_a_space_unless_it_is_quoted():
    """operations.md warns of this. When this test fails, the warning can be removed."""
    convert = CfnParameterOverridesType().convert
    assert convert(["AllowedScopes=x y"], None, None) == {"AllowedScopes": "x"}
    assert convert(['AllowedScopes="x y"'], None, None) == {"AllowedScopes": "x y"}


def test_development_and_production_are_two_stacks():
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    names = {
        environment: config[environment]["global"]["parameters"]["stack_name"] for environment in ("default", "prod")
    }
    assert len(set(names.values())) == 2
    assert all(name in OPERATIONS for name in names.values())
