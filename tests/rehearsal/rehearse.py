"""rehearse.py EMULATOR FRONT_PORT CERTIFICATE SCRATCH: deploys the stacks into the account emulated at EMULATOR, uses
them as callers and operators do, and prints the result of each check."""

import json
import logging
import sys
import traceback
import urllib.parse
import urllib.request

import calling
import changes
import deploying
import feedback
import issuing
import operating
import recipes
from account import BUCKET, Account, Stack
from api import Api
from botocore.exceptions import ClientError
from deployment import ACCOUNT, REGION, ROOT
from front import Front
from guide import Guide
from report import Report
from rewrites import RULES

# SAM's transform logs warnings about feature flags and metrics that exist only at AWS.
logging.disable(logging.WARNING)

STEPS = [
    deploying.prepares_the_account,
    deploying.deploys_the_user_pool,
    deploying.deploys_the_service,
    deploying.has_alarms_and_a_dashboard,
    deploying.gets_a_token,
    deploying.writes_the_directory,
    calling.rejects_unauthorized_callers,
    calling.calls_every_operation,
    calling.mails,
    calling.writes_rows_that_expire,
    calling.logs_and_counts,
    deploying.adds_a_tenant,
    deploying.signs_people_in,
    calling.keeps_tenants_apart,
    calling.serves_logtos_client,
    deploying.enforces_the_roles,
    deploying.changes_a_setting,
    deploying.releases_code_and_rolls_back,
    feedback.turns_feedback_and_events_on,
    deploying.has_alarms_and_a_dashboard,
    feedback.records_delivery_feedback,
    feedback.replays_dead_letters_of_feedback,
    changes.publishes_changes,
    recipes.tell_a_function,
    recipes.keep_a_trail,
    recipes.post_to_a_webhook,
    recipes.remind,
    changes.turns_feedback_and_events_off,
    operating.stops_and_starts,
    operating.restores_the_table,
    operating.sets_up_sending,
    operating.queries_the_logs,
    operating.lacks_what_is_not_emulated,
    operating.tries_unsupported_commands,
    operating.is_removed,
    operating.removes_the_pool,
    issuing.takes_tokens_of_an_oidc_issuer,
    issuing.turns_self_service_on_and_off,
    operating.removes_the_data,
    deploying.fails_without_a_rewrite,
    operating.has_run_the_whole_guide,
]


# The documents whose commands are run.
GUIDE = ["operations", "token-issuers", "observability", "delivery", "events"]


class Rehearsal:
    """The state that the steps share: the account, the stack, and the values that a later step needs."""

    def __init__(self, endpoint, front_port, certificate, scratch):
        self.endpoint = endpoint
        self.report = Report()
        self.front = Front(int(front_port), urllib.parse.urlsplit(endpoint).port, certificate)
        self.account = Account(endpoint, self.front.url)
        self.pool = Stack(self.account, "organization-invitations-pool", "user-pool.yaml", [])
        self.stack = Stack(self.account, "organization-invitations", "template.yaml", RULES)
        pages = [ROOT / "docs" / f"{name}.md" for name in GUIDE]
        self.guide = Guide(pages, scratch, self.environment(certificate))
        # Tokens for the tenant `default`, without the API's scopes, and for the tenant `acme`.
        self.token = self.scopeless_token = self.other_token = None
        # The parameters that the pool's stack outputs.
        self.issuer = {}
        # An invitation that is kept until the end, and its table.
        self.kept = self.table = None
        # The pipe of the events, and the events that it produced.
        self.pipe = self.details = None

    def environment(self, certificate):
        """The variables with which the guide's shell reaches the account and the API."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "QUEUES": self.front.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_PAGER": "",
            "FRONT_PORT": str(self.front.port),
            "FRONT_CERTIFICATE": certificate,
        }

    def api(self, token=None):
        return Api(self.front, self.stack.outputs()["ApiUrl"], token)

    def mails(self, recipient):
        """The mails to this address that SES accepted, oldest first."""
        with urllib.request.urlopen(f"{self.endpoint}/_ministack/ses/messages", timeout=10) as response:
            sent = json.load(response)["messages"].get(ACCOUNT, [])
        return [mail for mail in sent if mail["To"] == [recipient]]


def main():
    rehearsal = Rehearsal(*sys.argv[1:])
    rehearsal.account.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    try:
        for step in STEPS:
            rehearsal.report.section(step.__name__.replace("_", " "))
            step(rehearsal)
    except Exception:
        traceback.print_exc()
        rehearsal.report.check("a step", "ended early", "done")
    if rehearsal.report.failed:
        print_log(rehearsal)
    rehearsal.front.close()
    sys.exit(rehearsal.report.end())


def print_log(rehearsal):
    """Prints the end of the function's log, if it has one."""
    try:
        print("\n".join(calling.log_text(rehearsal)[-50:]), file=sys.stderr)
    except ClientError as error:
        print(f"no log of the function: {error}", file=sys.stderr)


main()
