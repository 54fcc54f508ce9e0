"""The resources that CloudFormation would create from template.yaml and user-pool.yaml: runs SAM's transform offline, and
then evaluates the intrinsic functions for a set of parameters."""

import copy
import functools
import os
import pathlib
import re

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).parents[2]
REGION, ACCOUNT, PARTITION = "eu-central-1", "111122223333", "aws"
PSEUDO_PARAMETERS = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": PARTITION,
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "invitations",
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/invitations/51af3dc0-da77-11e4-872e-1234567db123",
}
NO_VALUE = object()

# SAM needs boto3 only for the region.
os.environ["AWS_DEFAULT_REGION"] = REGION


class NoPolicies:
    """An empty list of managed policies: the template names none, so none has to be looked up in an account."""

    def load(self):
        return {}


SERVICE, USER_POOL = "template.yaml", "user-pool.yaml"


@functools.cache
def source(file=SERVICE):
    return yaml_parse((ROOT / file).read_text())


class Refused(Exception):
    """A parameter violates its constraints, or parameters violate the template's Rules."""


class Deployment:
    """The resources, outputs and parameters of a stack deployed with `overrides`. A placeholder stands for each resource:
    what is `!Ref UserPool` in the template is `<UserPool>` here, and `!GetAtt UserPool.Arn` is `<UserPool.Arn>`.
    """

    def __init__(self, file=SERVICE, **overrides):
        template = copy.deepcopy(source(file))
        self.parameters = {
            name: value(name, parameter, overrides) for name, parameter in template["Parameters"].items()
        }
        unknown = overrides.keys() - self.parameters.keys()
        assert not unknown, f"no such parameters: {unknown}"
        if "Transform" in template:
            # As `sam package` sets it.
            template["Resources"]["OrganizationInvitationsFunction"]["Properties"]["CodeUri"] = "s3://bucket/code"
            template = transform(template, dict(self.parameters), NoPolicies())
        self.template = template
        self.conditions = self.template.get("Conditions", {})
        self.check_rules()
        self.resources = self.present("Resources")
        self.outputs = self.present("Outputs")

    def present(self, section):
        there = {
            name: entry
            for name, entry in self.template.get(section, {}).items()
            if "Condition" not in entry or self.holds(entry["Condition"])
        }
        return {name: self.evaluate(entry) for name, entry in there.items()}

    def check_rules(self):
        for rule in self.template.get("Rules", {}).values():
            if self.evaluate(rule.get("RuleCondition", True)):
                for assertion in rule["Assertions"]:
                    if not self.evaluate(assertion["Assert"]):
                        raise Refused(assertion["AssertDescription"])

    def holds(self, condition):
        return self.evaluate(self.conditions[condition])

    def evaluate(self, value):
        if isinstance(value, list):
            return [each for each in map(self.evaluate, value) if each is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function in FUNCTIONS:
                return FUNCTIONS[function](self, argument)
        evaluated = {key: self.evaluate(each) for key, each in value.items()}
        return {key: each for key, each in evaluated.items() if each is not NO_VALUE}

    def ref(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.parameters:
            return self.parameters[name]
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        return self.resource(name, f"<{name}>")

    def get_att(self, argument):
        path = ".".join(argument) if isinstance(argument, list) else argument
        return self.resource(path.split(".")[0], f"<{path}>")

    def resource(self, name, placeholder):
        entry = self.template["Resources"][name]
        there = "Condition" not in entry or self.holds(entry["Condition"])
        assert there, f"{placeholder} is used, but does not exist with these parameters"
        return placeholder

    def sub(self, argument):
        text, own = argument if isinstance(argument, list) else (argument, {})

        def replacement(match):
            name = match[1]
            if name in own:
                return str(self.evaluate(own[name]))
            return str(self.get_att(name) if "." in name else self.ref(name))

        return re.sub(r"\$\{([^!}]+)\}", replacement, text)

    def if_(self, argument):
        condition, then, otherwise = argument
        return self.evaluate(then if self.holds(condition) else otherwise)

    def of_type(self, kind):
        return {name: entry for name, entry in self.resources.items() if entry["Type"] == kind}

    def properties(self, name):
        return self.resources[name]["Properties"]


FUNCTIONS = {
    "Ref": Deployment.ref,
    "Condition": Deployment.holds,
    "Fn::GetAtt": Deployment.get_att,
    "Fn::Sub": Deployment.sub,
    "Fn::If": Deployment.if_,
    "Fn::Join": lambda self, argument: argument[0].join(map(str, self.evaluate(argument[1]))),
    "Fn::Split": lambda self, argument: self.evaluate(argument[1]).split(argument[0]),
    "Fn::Select": lambda self, argument: self.evaluate(argument[1])[int(argument[0])],
    "Fn::Equals": lambda self, argument: str(self.evaluate(argument[0])) == str(self.evaluate(argument[1])),
    "Fn::Not": lambda self, argument: not self.evaluate(argument[0]),
    "Fn::And": lambda self, argument: all(self.evaluate(argument)),
    "Fn::Or": lambda self, argument: any(self.evaluate(argument)),
}


def value(name, parameter, overrides):
    """The parameter's value, if its constraints allow it. As in CloudFormation, every value is text."""
    if name not in overrides and "Default" not in parameter:
        raise Refused(f"{name} is missing")
    given = str(overrides.get(name, parameter.get("Default")))
    allowed = parameter.get("AllowedValues")
    if allowed and given not in map(str, allowed):
        raise Refused(f"{name} is not one of {allowed}")
    if not re.fullmatch(parameter.get("AllowedPattern", ".*"), given):
        raise Refused(f"{name} {parameter.get('ConstraintDescription')}")
    if len(given) < int(parameter.get("MinLength", 0)):
        raise Refused(f"{name} is too short")
    if parameter["Type"] == "Number":
        least, most = parameter.get("MinValue", given), parameter.get("MaxValue", given)
        if not float(least) <= float(given) <= float(most):
            raise Refused(f"{name} is not from {least} to {most}")
    return given
