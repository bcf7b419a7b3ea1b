"""How likely chance alone makes two methods differ as much as they do, if neither is better: a paired randomisation test.

If neither method is better, a user's two values could as well be exchanged, which turns the sign of the difference. p is the
share of DRAWS random choices of signs whose total is at least as far from 0 as the one that was measured (Smucker, Allan and
Carterette 2007), the measured one counted among them, so that p is never 0 (Phipson and Smyth 2010).
"""

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000  # so the least p is 0.0005
EQUAL = 1e-9  # totals that differ by less, relative to the measured one, are equal


def randomisation_p(differences: NDArray[np.float64], numbers: NDArray[np.int64], *, seed: int) -> float:
    """The p of both sides; each difference (N,) is that of as many users, or blocks of users, as `numbers` (N,) says.

    >>> randomisation_p(np.array([0.5]), np.array([3]), seed=0) > 0.2, randomisation_p(np.array([0.5]), np.array([40]), seed=0)
    (True, 0.0004997501249375312)
    >>> randomisation_p(np.array([0.5, 0.0, -0.5]), np.array([9, 100, 9]), seed=0)
    1.0
    """
    differences, numbers = differences[differences != 0], numbers[differences != 0]
    total = abs(differences @ numbers)
    signs = 2 * np.random.default_rng(seed).binomial(numbers, 0.5, size=(DRAWS, len(numbers))) - numbers  # (DRAWS, N)
    as_far = np.abs(signs @ differences) >= total - EQUAL * max(1.0, float(total))
    return float(1 + as_far.sum()) / (1 + DRAWS)
