"""The steps with an OIDC issuer other than Cognito, and of people with tokens from it."""

import time

from account import Stack
from api import invitation
from calling import every_operation
from deploying import PARAMETERS
from rewrites import RULES
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "https://api.example.com"
PAGE = "https://app.example.com"
PERSON = {
    "aud": AUDIENCE,
    "scope": "openid",
    "tenant_id": "default",
    "sub": "oidc-grace",
    "email": "Grace@example.com",
    "email_verified": True,
}


def takes_tokens_of_an_oidc_issuer(rehearsal):
    check, issuer = rehearsal.report.check, rehearsal.front.issuer
    fill = {"https://example.logto.app/oidc": issuer.url, "<the jwks_uri>": f"{issuer.url}/jwks"}
    looked = rehearsal.guide.run("3. Decide who issues the tokens", fill)
    check("the guide's command shows the issuer's configuration", ['"RSA"' in looked, issuer.url in looked], [True, True])
    issuer.asked.clear()
    # The stack needs another name: the emulator would give its table the name of the first stack's table.
    rehearsal.stack = Stack(rehearsal.account, "organization-invitations-oidc", "template.yaml", RULES)
    table = rehearsal.table
    # MailFeedback is on from the start. Events is not: it needs the stack's own table.
    parameters = PARAMETERS | {"JwtIssuer": issuer.url, "JwtAudience": AUDIENCE, "MailFeedback": "on"}
    status = rehearsal.stack.deploy(TableName=table, **parameters)
    check("a stack that trusts the issuer, on the kept table", status, "CREATE_COMPLETE")
    good = {"aud": AUDIENCE, "scope": "openid all", "tenant_id": "default"}
    api = rehearsal.api(issuer.token(**good))
    answer = api.call("GET", f"/{rehearsal.kept['id']}")
    check("get an invitation of the first stack", (answer.status, answer.body), (200, rehearsal.kept))
    check(
        "the documents that the authorizer requested",
        sorted(set(issuer.asked)),
        ["/.well-known/openid-configuration", "/jwks"],
    )
    now = int(time.time())
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for what, token, status in (
        ("signed by another key", issuer.token(stranger, **good), 401),
        ("expired", issuer.token(**good | {"iat": now - 600, "exp": now - 300}), 401),
        ("from another issuer", issuer.token(**good | {"iss": "https://issuer.example.com"}), 401),
        ("for another audience", issuer.token(**good | {"aud": "https://other.example.com"}), 401),
        ("without a tenant", issuer.token(**{k: v for k, v in good.items() if k != "tenant_id"}), 403),
        ("without the scope", issuer.token(**good | {"scope": "openid"}), 403),
    ):
        check(f"a token {what}", api.with_token(token).call("GET").status, status)
    every_operation(rehearsal, api, "oidc")


def turns_self_service_on_and_off(rehearsal):
    """Turns both parameters on by an update of the stack, and off again."""
    check, stack, issuer = rehearsal.report.check, rehearsal.stack, rehearsal.front.issuer
    api = rehearsal.api(issuer.token(aud=AUDIENCE, scope="all", tenant_id="default"))
    own = api.of_person(issuer.token(**PERSON))
    check("a person's own invitations, while off", own.call("GET").status, 404)
    check("routes without CORS", routes(rehearsal), {"$default": "JWT"})
    on = stack.deploy(SelfService="on", CorsOrigins=f"{PAGE},http://localhost:5173")
    check("SelfService=on and CorsOrigins", (on, stack.failures()), ("UPDATE_COMPLETE", []))
    check("routes with CORS", routes(rehearsal), {"$default": "JWT", "OPTIONS /{proxy+}": "NONE"})
    answers_preflights(rehearsal, own)
    accepts_their_own(rehearsal, api, own)
    off = stack.deploy(SelfService="off", CorsOrigins="")
    check("turning both off", (off, stack.failures()), ("UPDATE_COMPLETE", []))
    check("a person's own invitations, after turning both off", own.call("GET").status, 404)
    check("routes, after turning both off", routes(rehearsal), {"$default": "JWT"})


def routes(rehearsal):
    """The routes of the API, and the authorization type of each."""
    client, api = rehearsal.account.apigatewayv2, rehearsal.stack.resource("Api")
    return {each["RouteKey"]: each["AuthorizationType"] for each in client.get_routes(ApiId=api)["Items"]}


def answers_preflights(rehearsal, own):
    check = rehearsal.report.check
    asks = {"access-control-request-method": "PUT", "access-control-request-headers": "authorization,content-type"}
    nobody = own.with_token(None)
    answer = nobody.call("OPTIONS", "/x/status", origin=PAGE, **asks)
    allowed = {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "GET,POST,PUT,PATCH,DELETE",
        "access-control-allow-headers": "authorization,content-type,idempotency-key",
        "access-control-max-age": "3600",
    }
    seen = {name: answer.headers[name] for name in allowed}
    check("a preflight, without a token", (answer.status, seen), (204, allowed))
    other = nobody.call("OPTIONS", "/x/status", origin="https://evil.example", **asks)
    check("the allowed origin in a preflight from another origin", other.headers["access-control-allow-origin"], None)
    answer = own.call("GET", origin=PAGE)
    exposed = answer.headers["access-control-allow-origin"], answer.headers["access-control-expose-headers"]
    expected = PAGE, "link,retry-after,idempotent-replayed,apigw-requestid"
    check("a response that a page may read", (answer.status, exposed), (200, expected))
    answer = own.call("GET", origin="https://evil.example")
    check("the allowed origin in a response to another origin", answer.headers["access-control-allow-origin"], None)


def accepts_their_own(rehearsal, api, own):
    check, issuer = rehearsal.report.check, rehearsal.front.issuer
    invited = api.call("POST", body=invitation("grace@example.com")).body
    listed = own.call("GET").body
    check("a person's own invitations", [each["id"] for each in listed], [invited["id"]])
    check("the organizations of the own invitations", [each["organization"]["id"] for each in listed], ["acme"])
    path, accepted = f"/{invited['id']}/status", {"status": "Accepted"}
    for what, changed, status in (
        ("of another person", {"sub": "oidc-alan", "email": "alan@example.com"}, 404),
        ("of another tenant", {"tenant_id": "acme"}, 404),
        ("with an unverified address", {"email_verified": False}, 403),
        ("without email_verified", {"email_verified": None}, 403),
    ):
        claims = {name: value for name, value in (PERSON | changed).items() if value is not None}
        answer = own.of_person(issuer.token(**claims)).call("PUT", path, accepted)
        check(f"an acceptance by a token {what}", answer.status, status)
    check("a management token on the self-service routes", own.with_token(api.token).call("GET").status, 403)
    check("a person's token on the management routes", api.with_token(own.token).call("GET").status, 403)
    answer = own.call("PUT", path, accepted)
    seen = answer.status, answer.body.get("status"), answer.body.get("acceptedUserId")
    check("an acceptance by the person's own token", seen, (200, "Accepted", PERSON["sub"]))
    member = api.call("POST", body=invitation("grace@example.com"))
    check("inviting the new member", (member.status, member.code), (422, "request.invalid_input"))
