import pytest


@pytest.fixture
def quickly_compiled():
    """Programs of tests run a few steps: most of their time would be XLA's."""
    import jax  # most tests here need none

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
