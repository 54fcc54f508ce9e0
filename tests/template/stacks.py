"""stacks.py DIRECTORY: writes there, for other tools, what would be deployed for the choices that make the most of it."""

import json
import logging
import pathlib
import sys

from deployment import Deployment

# SAM's transform talks of feature flags and metrics that only AWS has.
logging.disable(logging.WARNING)

CERTIFICATE = "arn:aws:acm:eu-central-1:111122223333:certificate/51af3dc0-da77-11e4-872e-1234567db123"
DOMAIN = {"DomainName": "api.example.com", "CertificateArn": CERTIFICATE, "HostedZoneId": "Z1"}
STACKS = {
    "oidc": {"JwtIssuer": "https://issuer.example.com", "JwtAudience": "https://api.example.com", **DOMAIN},
    "user-pool": {"TokenIssuer": "new-user-pool", "EmailIdentity": "example.com"},
}

for name, parameters in STACKS.items():
    stack = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": Deployment(**parameters).resources}
    (pathlib.Path(sys.argv[1]) / f"{name}.json").write_text(json.dumps(stack, indent=1))
