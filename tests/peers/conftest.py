import pytest

pytest.register_assert_rewrite("peers.peer")
