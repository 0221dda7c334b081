"""What the tests of hooks share."""

import pytest
from mmengine.logging import MessageHub


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> MessageHub:
    """Return the message hub of one test."""
    return MessageHub.get_instance(request.node.name)
