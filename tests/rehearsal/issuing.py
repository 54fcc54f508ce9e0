"""The steps of an OIDC issuer that is not Cognito, and of the people who have a token of it."""

import time

from account import Stack
from api import invitation
from calling import life
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


def lets_invitees_help_themselves(rehearsal):
    """Turns both parameters on by an update, as for a stack that has run without them, and off again."""
    check, stack, issuer = rehearsal.report.check, rehearsal.stack, rehearsal.front.issuer
    api = rehearsal.api(issuer.token(aud=AUDIENCE, scope="all", tenant_id="default"))
    own = api.of_person(issuer.token(**PERSON))
    check("a person's own invitations, where that is off", own.call("GET").status, 404)
    check("routes without CORS", routes(rehearsal), {"$default": "JWT"})
    on = stack.deploy(SelfService="on", CorsOrigins=f"{PAGE},http://localhost:5173")
    check("SelfService=on and CorsOrigins", (on, stack.failures()), ("UPDATE_COMPLETE", []))
    check("routes with CORS", routes(rehearsal), {"$default": "JWT", "OPTIONS /{proxy+}": "NONE"})
    answers_preflights(rehearsal, own)
    accepts_their_own(rehearsal, api, own)
    off = stack.deploy(SelfService="off", CorsOrigins="")
    check("both off", (off, stack.failures()), ("UPDATE_COMPLETE", []))
    check("a person's own invitations, off again", own.call("GET").status, 404)
    check("routes, off again", routes(rehearsal), {"$default": "JWT"})


def routes(rehearsal):
    """The routes of the API, and how each authorizes."""
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
    check("what a preflight of another origin may read", other.headers["access-control-allow-origin"], None)
    answer = own.call("GET", origin=PAGE)
    exposed = answer.headers["access-control-allow-origin"], answer.headers["access-control-expose-headers"]
    expected = PAGE, "link,retry-after,idempotent-replayed,apigw-requestid"
    check("an answer that a page may read", (answer.status, exposed), (200, expected))
    answer = own.call("GET", origin="https://evil.example")
    check("an answer to another origin", answer.headers["access-control-allow-origin"], None)


def accepts_their_own(rehearsal, api, own):
    check, issuer = rehearsal.report.check, rehearsal.front.issuer
    invited = api.call("POST", body=invitation("grace@example.com")).body
    listed = own.call("GET").body
    check("a person's own invitations", [each["id"] for each in listed], [invited["id"]])
    check("their organizations", [each["organization"]["id"] for each in listed], ["acme"])
    path, accepted = f"/{invited['id']}/status", {"status": "Accepted"}
    for what, changed, status in (
        ("of another person", {"sub": "oidc-alan", "email": "alan@example.com"}, 404),
        ("of another tenant", {"tenant_id": "acme"}, 404),
        ("of an address that is not verified", {"email_verified": False}, 403),
        ("without a word on that", {"email_verified": None}, 403),
    ):
        claims = {name: value for name, value in (PERSON | changed).items() if value is not None}
        answer = own.of_person(issuer.token(**claims)).call("PUT", path, accepted)
        check(f"an acceptance by a token {what}", answer.status, status)
    check("a management token at their routes", own.with_token(api.token).call("GET").status, 403)
    check("their token at the others", api.with_token(own.token).call("GET").status, 403)
    answer = own.call("PUT", path, accepted)
    seen = answer.status, answer.body.get("status"), answer.body.get("acceptedUserId")
    check("an acceptance by their own", seen, (200, "Accepted", PERSON["sub"]))
    member = api.call("POST", body=invitation("grace@example.com"))
    check("an invitation of the new member", (member.status, member.code), (422, "request.invalid_input"))
