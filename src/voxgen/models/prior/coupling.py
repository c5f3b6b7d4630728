"""Which noise goes with which latents in a training.

Shapes: N items, C channels, x y z latent axes.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist


def optimal_transport(
    latents_NCxyz: NDArray[np.float32], noise_NCxyz: NDArray[np.float32]
) -> NDArray[np.int64]:
    """For each latent the place of its noise: the permutation of least total squared distance, exactly.

    The permutation pi of the least sum of |z_i - n_pi(i)|^2: minibatch optimal transport (Pooladian et
    al., arXiv 2304.14772; Tong et al., arXiv 2302.00482). Paths cross less, so that the flow is straighter.
    """
    flat = [each.reshape(len(each), -1) for each in (latents_NCxyz, noise_NCxyz)]
    places: NDArray[np.int64] = linear_sum_assignment(cdist(*flat, "sqeuclidean"))[1]
    return places
