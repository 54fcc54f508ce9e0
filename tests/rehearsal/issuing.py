"""The step of an OIDC issuer that is not Cognito."""

import time

from account import Stack
from calling import life
from deploying import PARAMETERS
from rewrites import RULES
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "https://api.example.com"


def takes_tokens_of_an_oidc_issuer(rehearsal):
    check, issuer = rehearsal.report.check, rehearsal.front.issuer
    fill = {"https://example.logto.app/oidc": issuer.url, "<the jwks_uri>": f"{issuer.url}/jwks"}
    looked = rehearsal.guide.run("3. Decide who issues the tokens", fill)
    check("the guide's look at the issuer", ['"RSA"' in looked, issuer.url in looked], [True, True])
    issuer.asked.clear()
    # Of another name: the emulator gives the table of a second stack the name that it gave the first's.
    rehearsal.stack = Stack(rehearsal.account, "organization-invitations-oidc", "template.yaml", RULES)
    table = rehearsal.table
    # With MailFeedback from the beginning; Events would want the stack's own table.
    parameters = PARAMETERS | {"JwtIssuer": issuer.url, "JwtAudience": AUDIENCE, "MailFeedback": "on"}
    status = rehearsal.stack.deploy(TableName=table, **parameters)
    check("a stack that trusts the issuer, on the kept table", status, "CREATE_COMPLETE")
    good = {"aud": AUDIENCE, "scope": "openid all", "tenant_id": "default"}
    api = rehearsal.api(issuer.token(**good))
    answer = api.call("GET", f"/{rehearsal.kept['id']}")
    check("an invitation of the first stack", (answer.status, answer.body), (200, rehearsal.kept))
    check(
        "what the authorizer asked the issuer for",
        sorted(set(issuer.asked)),
        ["/.well-known/openid-configuration", "/jwks"],
    )
    now = int(time.time())
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for what, token, status in (
        ("signed by another key", issuer.token(stranger, **good), 401),
        ("expired", issuer.token(**good | {"iat": now - 600, "exp": now - 300}), 401),
        ("of another issuer", issuer.token(**good | {"iss": "https://issuer.example.com"}), 401),
        ("for another audience", issuer.token(**good | {"aud": "https://other.example.com"}), 401),
        ("without a tenant", issuer.token(**{k: v for k, v in good.items() if k != "tenant_id"}), 403),
        ("without the scope", issuer.token(**good | {"scope": "openid"}), 403),
    ):
        check(f"a token {what}", api.with_token(token).call("GET").status, status)
    life(rehearsal, api, "oidc")
