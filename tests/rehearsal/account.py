"""The emulated account, used as `sam deploy` does: code is uploaded to S3, and change sets create and change a stack."""

import copy
import hashlib
import io
import json
import pathlib
import time
import zipfile

import boto3
from botocore.exceptions import ClientError
from deployment import ACCOUNT, REGION, ROOT, Deployment, NoPolicies
from rewrites import rewrite
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

BUILD = ROOT / ".aws-sam" / "build"
BUCKET = "rehearsal-code"
STACK_SECONDS = 60
CAPABILITIES = ["CAPABILITY_IAM"]


class Account:
    """The account, with root's credentials or with `credentials`. Queues are called through the front, with TLS, because
    their policies require it."""

    def __init__(self, endpoint, front, **credentials):
        self.endpoint = endpoint
        self.front = front
        self.credentials = credentials
        self.clients = {}

    def __getattr__(self, service):
        """The client of a service: `account.dynamodb`, `account.cognito_idp`, `account.lambda_`."""
        name = service.rstrip("_").replace("_", "-")
        if name not in self.clients:
            endpoint = self.front if name == "sqs" else self.endpoint
            self.clients[name] = boto3.client(name, endpoint_url=endpoint, region_name=REGION, **self.credentials)
        return self.clients[name]

    def as_role(self, name):
        """The account with the credentials of this role. The role trusts root only while it is being assumed."""
        role = self.iam.get_role(RoleName=name)["Role"]
        trust = [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]
        document = {"Version": "2012-10-17", "Statement": trust}
        self.iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))
        taken = self.sts.assume_role(RoleArn=role["Arn"], RoleSessionName="rehearsal")["Credentials"]
        document = role["AssumeRolePolicyDocument"]
        self.iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))
        return Account(
            self.endpoint,
            self.front,
            aws_access_key_id=taken["AccessKeyId"],
            aws_secret_access_key=taken["SecretAccessKey"],
            aws_session_token=taken["SessionToken"],
        )

    def upload(self, directory, release):
        """Uploads a directory as a zip archive, with a file that names the release, and returns the archive's address."""
        archive = zipped(directory, release)
        key = hashlib.sha256(archive).hexdigest()
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=archive)
        return f"s3://{BUCKET}/{key}"


def denied(call):
    """True if a policy denies the call."""
    try:
        call()
    except ClientError as error:
        return "AccessDenied" in error.response["Error"]["Code"]
    return False


def zipped(directory, release):
    """A zip archive with the same bytes for the same files, so that unchanged code makes no new version of a function."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as entries:
        for file in sorted(pathlib.Path(directory).rglob("*")):
            entry = zipfile.ZipInfo(str(file.relative_to(directory)))
            entry.external_attr = file.stat().st_mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entries.writestr(entry, file.read_bytes())
        entries.writestr(zipfile.ZipInfo("release"), release)
    return archive.getvalue()


class Stack:
    """A stack of one of the templates. `parameters` holds the parameters that were given so far."""

    def __init__(self, account, name, template, rules):
        self.account = account
        self.name = name
        self.path = ROOT / template
        self.rules = rules
        self.deployed = False
        self.parameters = {}
        self.rewritten = {}
        # Uploaded with the code, so that another release is different code.
        self.release = "1"

    def deploy(self, **parameters):
        """Creates the stack, or changes these parameters, and returns the final status."""
        kind = "UPDATE" if self.deployed else "CREATE"
        self.deployed = True
        kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in self.parameters if name not in parameters]
        self.parameters |= parameters
        changes = {"StackName": self.name, "ChangeSetName": f"rehearsal-{time.time_ns()}"}
        self.account.cloudformation.create_change_set(
            ChangeSetType=kind,
            Capabilities=CAPABILITIES,
            TemplateURL=self.template_url(),
            Parameters=kept + [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            **changes,
        )
        self.wait(lambda: self.account.cloudformation.describe_change_set(**changes)["Status"])
        self.account.cloudformation.execute_change_set(**changes)
        return self.wait(self.status)

    def delete(self):
        """Deletes the stack, and returns the final status."""
        stack = self.describe()["StackId"]
        self.account.cloudformation.delete_stack(StackName=self.name)
        return self.wait(
            lambda: self.account.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        )

    def template_url(self):
        """Uploads the transformed template as `sam deploy` does, and returns its address."""
        body = json.dumps(self.transformed()).encode()
        key = f"{hashlib.sha256(body).hexdigest()}.template"
        self.account.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"{self.account.endpoint}/{BUCKET}/{key}"

    def transformed(self):
        template = yaml_parse(self.path.read_text())
        if "Transform" in template:
            for name, entry in template["Resources"].items():
                if "CodeUri" in entry.get("Properties", {}):
                    entry["Properties"]["CodeUri"] = self.account.upload(BUILD / name, self.release)
            values = {name: entry.get("Default") for name, entry in template["Parameters"].items()} | self.parameters
            template = transform(template, values, NoPolicies())
        self.rewritten = rewrite(template, self.rules, self.evaluated().holds)
        return template

    def evaluated(self):
        """The resources and outputs, with the template's intrinsic functions evaluated for the parameters."""
        return Deployment(str(self.path.relative_to(ROOT)), **self.parameters)

    def describe(self):
        return self.account.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]

    def status(self):
        return self.describe()["StackStatus"]

    def outputs(self):
        return {output["OutputKey"]: output["OutputValue"] for output in self.describe()["Outputs"]}

    def resource(self, name):
        """The physical name of a resource."""
        found = self.account.cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId=name)
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def resources(self, kind):
        """The physical names of the resources of a type."""
        pages = self.account.cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        found = [each for page in pages for each in page["StackResourceSummaries"]]
        return [each["PhysicalResourceId"] for each in found if each["ResourceType"] == kind]

    def failures(self):
        """CloudFormation's reasons for the failures."""
        events = self.account.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        ]

    def wait(self, status):
        """Waits until no operation is in progress."""
        end = time.monotonic() + STACK_SECONDS
        while (now := status()).endswith(("PENDING", "IN_PROGRESS")):
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name} is still {now}")
            time.sleep(0.05)
        return now
