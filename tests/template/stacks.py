"""stacks.py DIRECTORY: writes the resolved stacks with all optional parts to DIRECTORY, for other tools."""

import json
import logging
import pathlib
import sys

from deployment import USER_POOL, Deployment

# SAM's transform logs warnings about feature flags and metrics that exist only at AWS.
logging.disable(logging.WARNING)

CERTIFICATE = "arn:aws:acm:eu-central-1:111122223333:certificate/51af3dc0-da77-11e4-872e-1234567db123"
ISSUER = {"JwtIssuer": "https://issuer.example.com", "JwtAudience": "https://api.example.com"}
DOMAIN = {"DomainName": "api.example.com", "CertificateArn": CERTIFICATE, "HostedZoneId": "Z1"}
BROWSERS = {"SelfService": "on", "CorsOrigins": "https://app.example.com"}
STACKS = {
    "service": Deployment(**ISSUER, **DOMAIN, EmailIdentity="example.com", MailFeedback="on", Events="on", **BROWSERS),
    "user-pool": Deployment(USER_POOL, BrowserCallbackUrls="https://app.example.com/callback"),
}

for name, deployment in STACKS.items():
    stack = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": deployment.resources}
    (pathlib.Path(sys.argv[1]) / f"{name}.json").write_text(json.dumps(stack, indent=1))
