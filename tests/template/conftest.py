import functools
import logging

import pytest
from deployment import Deployment

# SAM's transform talks of feature flags and metrics that only AWS has.
logging.disable(logging.WARNING)

OIDC = {"JwtIssuer": "https://issuer.example.com/oidc", "JwtAudience": "https://api.example.com"}


@functools.cache
def deployment(**overrides):
    return Deployment(**overrides)


@pytest.fixture
def deploy():
    """Deploys with these parameters; unless they say where tokens come from, with an OIDC issuer."""
    return lambda **overrides: deployment(**(overrides if "TokenIssuer" in overrides else OIDC | overrides))
