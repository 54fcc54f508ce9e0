import functools
import logging

import pytest
from deployment import USER_POOL, Deployment

# SAM's transform logs warnings about feature flags and metrics that exist only at AWS.
logging.disable(logging.WARNING)

ISSUER = {"JwtIssuer": "https://issuer.example.com/oidc", "JwtAudience": "https://api.example.com"}

deployment = functools.cache(Deployment)


@pytest.fixture
def deploy():
    """Deploys template.yaml with these parameters, and with a default issuer unless they name one."""
    return lambda **overrides: deployment(**ISSUER | overrides)


@pytest.fixture
def deploy_pool():
    """Deploys user-pool.yaml with these parameters."""
    return functools.partial(deployment, USER_POOL)
