"""The API of a deployed stack, called at the addresses in the outputs."""

import base64
import json
import time
import urllib.parse

INVITATIONS = "/api/organization-invitations"
OWN_INVITATIONS = "/api/my-account/organization-invitations"
WEEK_MILLISECONDS = 7 * 24 * 60 * 60 * 1000


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        text = response.read()
        self.body = json.loads(text) if text else None

    @property
    def code(self):
        """The code of an error, or the whole body if it has none."""
        return self.body.get("code", self.body) if isinstance(self.body, dict) else self.body


class Api:
    """The API at an address, called through the front, with a token or without."""

    def __init__(self, front, url, token=None, resource=INVITATIONS):
        self.front = front
        self.url = url
        self.token = token
        self.resource = resource

    def with_token(self, token):
        return Api(self.front, self.url, token, self.resource)

    def of_person(self, token):
        """The self-service API, called with a person's own token."""
        return Api(self.front, self.url, token, OWN_INVITATIONS)

    def call(self, method, path="", body=None, **headers):
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["content-type"] = "application/json"
            body = json.dumps(body)
        return request(self.front, method, f"{self.url}{self.resource}{path}", body, headers)


def request(front, method, url, body=None, headers=None):
    address = urllib.parse.urlsplit(url)
    connection = front.connection(address.hostname)
    path = address.path + (f"?{address.query}" if address.query else "")
    connection.request(method, path or "/", body, headers or {})
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def client_credentials(front, url, client, secret, scope):
    """A token from the token endpoint at this address, from the client credentials grant."""
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    headers = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
    form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": scope})
    answer = request(front, "POST", url, form, headers)
    assert answer.status == 200, f"no token: {answer.status} {answer.body}"
    return answer.body["access_token"]


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def invitation(invitee, **more):
    """The body of a create that succeeds."""
    return {
        "inviterId": "ada",
        "invitee": invitee,
        "organizationId": "acme",
        "expiresAt": int(time.time() * 1000) + WEEK_MILLISECONDS + 1,
        "organizationRoleIds": ["member"],
    } | more


MAIL = {"messagePayload": {"link": "https://app.example.com/invitations/{invitationId}"}}
