"""The front: an HTTPS proxy to the emulator, for the addresses in a stack's outputs and for SQS; a small OIDC issuer; a
webhook; and the CodeDeploy operation that hooks call."""

import base64
import http.client
import http.server
import json
import re
import socket
import ssl
import threading
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

TIMEOUT_SECONDS = 30
CONNECTION_HEADERS = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


class Issuer:
    """Publishes its discovery document and its RSA key, and signs tokens."""

    path = "/oidc"

    def __init__(self, port):
        self.url = f"https://127.0.0.1:{port}{self.path}"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.asked = []

    def document(self, path):
        """The document at a path, or None."""
        self.asked.append(path)
        numbers = self.key.public_key().public_numbers()
        return {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"},
            "/jwks": {"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1"} | encoded(numbers)]},
        }.get(path)

    def token(self, key=None, **claims):
        """A token with these claims, signed by `key` or the issuer's key. Valid for 5 minutes by default."""
        now = int(time.time())
        claims = {"iss": self.url, "sub": "rehearsal", "iat": now, "exp": now + 300} | claims
        signed = b".".join(base64url(json.dumps(part).encode()) for part in [{"alg": "RS256", "kid": "1"}, claims])
        signature = (key or self.key).sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return b".".join([signed, base64url(signature)]).decode()


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def encoded(numbers):
    return {
        name: base64url(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()
        for name, value in (("n", numbers.n), ("e", numbers.e))
    }


class Front:
    """Listens on a port of 127.0.0.1 until it is closed."""

    def __init__(self, port, emulator_port, pem):
        self.port = port
        self.url = f"https://127.0.0.1:{port}"
        self.pem = pem
        self.issuer = Issuer(port)
        # The statuses that CodeDeploy hooks reported, by deployment id.
        self.hooks = {}
        # The requests to the webhook: the header with its secret, and the body.
        self.posts = []
        # Hosts by the first segment of a path. Functions in the account use such paths, since they resolve names by DNS.
        self.hosts = {}
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler(self, emulator_port))
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def connection(self, host):
        """A connection to the front with `host` as the TLS server name."""
        return Connection(host, self.port, ssl.create_default_context(cafile=self.pem))


class Connection(http.client.HTTPSConnection):
    """A connection to the front for any host name, without DNS."""

    def __init__(self, host, port, context):
        super().__init__(host, timeout=TIMEOUT_SECONDS, context=context)
        self.front_port = port
        self.trusted = context

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", self.front_port), TIMEOUT_SECONDS)
        self.sock = self.trusted.wrap_socket(plain, server_hostname=self.host)


def handler(front, emulator_port):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = TIMEOUT_SECONDS

        def answer(self):
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            first, _, rest = self.path.removeprefix("/").partition("/")
            if first in front.hosts:
                self.headers.replace_header("host", front.hosts[first])
                self.path = f"/{rest}"
            operation = self.headers.get("x-amz-target", "")
            if not self.headers["host"].startswith("127.0.0.1") or operation.startswith("AmazonSQS."):
                self.reply(*passed_on(self.command, self.path, self.headers, body, emulator_port))
            elif self.path == "/webhook":
                front.posts.append((self.headers["x-webhook-secret"], json.loads(body)))
                self.reply_json({})
            elif operation.endswith(".PutLifecycleEventHookExecutionStatus"):
                report = json.loads(body)
                front.hooks[report["deploymentId"]] = report["status"]
                self.reply_json({})
            else:
                self.reply_json(front.issuer.document(self.path.removeprefix(Issuer.path)))

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer

        def reply_json(self, document):
            status = 404 if document is None else 200
            self.reply(status, [("content-type", "application/json")], json.dumps(document).encode())

        def reply(self, status, headers, body):
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in CONNECTION_HEADERS:
                    self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def passed_on(method, path, headers, body, port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    # The emulator finds an API by the first label in front of the emulator's host.
    host = re.sub(r"(\.execute-api\.).*", rf"\g<1>127.0.0.1:{port}", headers["host"])
    kept = {name: value for name, value in headers.items() if name.lower() not in CONNECTION_HEADERS}
    connection.request(method, path, body or None, kept | {"Host": host, "X-Forwarded-Proto": "https"})
    response = connection.getresponse()
    answer = response.status, response.getheaders(), response.read()
    connection.close()
    return answer
