"""Are the groups of a shape that K-Means cuts through, and which algorithm would not?

Three signs that K-Means is the wrong tool make a score: a full-covariance Gaussian mixture of the same K disagrees with
it, it cuts dense groups that HDBSCAN (Campello, Moulavi and Sander 2013, doi:10.1007/978-3-642-37456-2_14) finds, and
there is no valley between its neighbours. Structureless customers have a high score too, and no algorithm helps there:
so an algorithm is named only where it separates better. It does where it cuts fewer links to nearest neighbours than
K-Means, relative to random clusters of the same sizes (Newman's assortativity, 2003, doi:10.1103/PhysRevE.67.026126),
or where it shows dense groups that K-Means both cuts and mixes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.algorithms.gaussian_mixture import GAUSSIAN_MIXTURE
from segmentation_pipeline.analysis.clustering.algorithms.hdbscan import HDBSCAN, MIN_SAMPLES, choose_min_cluster_size
from segmentation_pipeline.analysis.clustering.algorithms.kmeans import KMEANS
from segmentation_pipeline.analysis.clustering.algorithms.spectral import SPECTRAL
from segmentation_pipeline.analysis.selection.dip import find_steps, measure_neighbour_dips

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from segmentation_pipeline.analysis.selection.dip import Steps

    Points = NDArray[np.float64]
    Labels = NDArray[np.integer[Any]]

SCORE_LIMIT: Final = 0.5
# The graph of the ten nearest neighbours, scikit-learn's default for spectral clustering.
N_NEIGHBORS: Final = 10
# What HDBSCAN finds in uniform noise cuts half of the links that K-Means cuts at the least, often more than all.
FEWER_CUTS: Final = 0.4
# A share of cut links this low counts as none: groups with nothing between them, whatever K-Means does.
NO_LINKS: Final = 0.01
# A density model that leaves out half of the customers describes the other half only.
MOST_UNASSIGNED: Final = 0.5
FEW_UNASSIGNED: Final = 0.15
# The share of what distinguishes dense groups that K-Means may lose, or may make up, before it counts as wrong.
LOST: Final = 0.15
# Spacing at a border over spacing inside: 1 is a cut through the middle of a crowd.
OPEN_BORDER: Final = 1.25


@dataclass(frozen=True, slots=True)
class Shapes:
    """The figures of the models; `score` = `disagreement` + `cut` + `dip`.

    `disagreement` is one less the adjusted Rand index with the Gaussian mixture, `cut` one less the completeness of
    K-Means on HDBSCAN's groups, `mixed` one less its homogeneity, `dip` the mean dip p of neighbours. `border` is the
    spacing of customers at borders inside a dense group over the usual spacing there. `cut_links` are, for K-Means and
    each algorithm, the links it cuts over those that random clusters of the same sizes cut. `better` is the algorithm
    that suits better, None where K-Means suits best. Where nothing speaks against K-Means, borders and links are not
    looked at.
    """

    score: float
    disagreement: float
    cut: float
    mixed: float
    dip: float
    border: float
    n_dense: int
    unassigned: float
    cut_links: dict[str, float]
    better: str | None

    @property
    def is_crossed(self) -> bool:
        """Whether K-Means both cuts dense groups and mixes them."""
        return self.cut >= LOST and self.mixed >= LOST

    @property
    def is_doubtful(self) -> bool:
        """Whether anything speaks against K-Means, so that another algorithm is looked for."""
        return self.score > SCORE_LIMIT or self.is_crossed

    def separates(self, algorithm: str) -> bool:
        """Return whether the algorithm cuts far fewer links between neighbours than K-Means does."""
        own, links = self.cut_links[KMEANS.name], self.cut_links.get(algorithm, np.inf)
        return own > 0 and links <= FEWER_CUTS * own


def judge_shapes(
    points: Points, labels: Labels, centers: Points, *, rng: np.random.Generator, steps: Steps | None = None
) -> Shapes:
    """Judge a K-Means clustering of `points`, shape (n, D), with `labels` (n,) in 0..K-1 and `centers` (K, D).

    It takes under a second for 2,000 rows; of more, pass a sample. `steps` are those of `find_steps` for `points`,
    where the caller has them already.
    """
    from sklearn.metrics import adjusted_rand_score, completeness_score, homogeneity_score

    if steps is None:
        steps = find_steps(points)
    dip = float(measure_neighbour_dips(points, centers, labels, rng=rng, steps=steps).p_values.mean())
    mixture, dense = _fit_gaussian_mixture(points, len(centers), rng), _fit_hdbscan(points)
    disagreement = 1 - float(adjusted_rand_score(labels, mixture))
    inside = dense >= 0
    n_dense = len(np.unique(dense[inside]))
    cut, mixed = 0.0, 0.0
    if n_dense > 1:
        cut = 1 - float(completeness_score(dense[inside], labels[inside]))
        mixed = 1 - float(homogeneity_score(dense[inside], labels[inside]))
    shapes = Shapes(
        score=disagreement + cut + dip,
        disagreement=disagreement,
        cut=cut,
        mixed=mixed,
        dip=dip,
        border=np.inf,
        n_dense=n_dense,
        unassigned=float(1 - inside.mean()),
        cut_links={},
        better=None,
    )
    if not shapes.is_doubtful:
        return shapes
    # groups are looked for in the values as they are, and have to hold once the steps between values are filled
    graph, spacing = _link_neighbours(_fill_steps(points, steps, rng))
    clusterings = {
        KMEANS.name: labels,
        GAUSSIAN_MIXTURE.name: mixture,
        SPECTRAL.name: _fit_spectral(graph, len(centers), rng),
    }
    if n_dense > 1:
        clusterings[HDBSCAN.name] = _assign_noise(points, dense)
        shapes = replace(shapes, border=_measure_border(graph, spacing, labels, clusterings[HDBSCAN.name]))
    shapes = replace(
        shapes, cut_links={name: _measure_cut_links(graph, clustering) for name, clustering in clusterings.items()}
    )
    return replace(shapes, better=_name_better(shapes))


def _name_better(shapes: Shapes) -> str | None:
    """Name the algorithm that suits better; HDBSCAN first, since its answer depends neither on a start nor on K."""
    apart = shapes.separates(HDBSCAN.name) or shapes.cut_links.get(HDBSCAN.name, np.inf) <= NO_LINKS
    if shapes.is_crossed and apart and shapes.unassigned <= FEW_UNASSIGNED:
        return HDBSCAN.name
    if shapes.score <= SCORE_LIMIT:
        return None
    if shapes.separates(HDBSCAN.name) and shapes.unassigned <= FEW_UNASSIGNED and shapes.border <= OPEN_BORDER:
        return HDBSCAN.name
    if shapes.separates(GAUSSIAN_MIXTURE.name):
        return GAUSSIAN_MIXTURE.name
    if shapes.is_crossed and apart and shapes.unassigned <= MOST_UNASSIGNED:
        return HDBSCAN.name
    return SPECTRAL.name if shapes.separates(SPECTRAL.name) else None


def _fill_steps(points: Points, steps: Steps, rng: np.random.Generator) -> Points:
    """Spread rounded values over the distance to the next ones: a step of a scale is not a valley between customers.

    At most twice the smallest step around a value, so that a really empty stretch stays empty.
    """
    filled = points.copy()
    for place, column in steps.items():
        gaps = np.diff(column.values)
        below = np.minimum(np.concatenate([[np.inf], gaps]), 2 * column.widths) / 2
        above = np.minimum(np.concatenate([gaps, [np.inf]]), 2 * column.widths) / 2
        position = np.searchsorted(column.values, points[:, place])
        filled[:, place] += rng.uniform(-below[position], above[position])
    return filled


def _link_neighbours(points: Points) -> tuple[csr_matrix, NDArray[np.float64]]:
    """Return which rows are nearest neighbours of which, shape (n, n), and each row's distance to its fifth."""
    from sklearn.neighbors import NearestNeighbors

    n_neighbors = min(N_NEIGHBORS, len(points) - 1)
    index = NearestNeighbors(n_neighbors=n_neighbors).fit(points)
    distances = index.kneighbors()[0]
    graph = index.kneighbors_graph()
    return graph.maximum(graph.T).tocsr(), distances[:, min(MIN_SAMPLES, n_neighbors) - 1]


def _fit_gaussian_mixture(points: Points, k: int, rng: np.random.Generator) -> Labels:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a nearly converged mixture is good enough to compare
        # one start: of 382 generated and 14 labelled sets the best of three flags as many of each kind and names
        # algorithms as well
        model = GaussianMixture(k, reg_covar=1e-4, random_state=int(rng.integers(2**31)))
        labels: Labels = model.fit(points).predict(points)
    return labels


def _fit_hdbscan(points: Points) -> Labels:
    from sklearn import cluster

    size = min(choose_min_cluster_size(len(points)), len(points))
    model = cluster.HDBSCAN(min_cluster_size=size, min_samples=min(MIN_SAMPLES, len(points)), copy=True)
    labels: Labels = model.fit(points).labels_
    return labels


def _fit_spectral(graph: csr_matrix, k: int, rng: np.random.Generator) -> Labels:
    from sklearn.cluster import SpectralClustering

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Graph is not fully connected")  # separate groups are what is looked for
        model = SpectralClustering(
            k, affinity="precomputed", assign_labels="cluster_qr", random_state=int(rng.integers(2**31))
        )
        labels: Labels = model.fit(graph).labels_
    return labels


def _assign_noise(points: Points, dense: Labels) -> Labels:
    """Assign each row outside the dense groups to the group of the nearest row inside one."""
    from sklearn.neighbors import KNeighborsClassifier

    outside = dense < 0
    if not outside.any():
        return dense
    groups = dense.copy()
    groups[outside] = KNeighborsClassifier(1).fit(points[~outside], dense[~outside]).predict(points[outside])
    return groups


def _measure_cut_links(graph: csr_matrix, labels: Labels) -> float:
    """Return the share of links between clusters over that of random clusters of the same sizes."""
    links = graph.tocoo()
    cut = float((labels[links.row] != labels[links.col]).mean())
    ends = np.bincount(labels[links.row]) / links.nnz
    by_chance = 1 - float((ends**2).sum())
    return cut / by_chance if by_chance > 0 else 1.0


def _measure_border(graph: csr_matrix, spacing: NDArray[np.float64], labels: Labels, groups: Labels) -> float:
    """Return the spacing of rows whose links K-Means cuts inside a group over the group's, inf where it cuts none."""
    links = graph.tocoo()
    through = (labels[links.row] != labels[links.col]) & (groups[links.row] == groups[links.col])
    ends = np.unique(links.row[through])
    if not len(ends):
        return float("inf")
    usual = np.zeros(int(groups.max()) + 1)
    for group in np.unique(groups):
        usual[group] = np.median(spacing[groups == group])
    return float(np.median(spacing[ends] / np.maximum(usual[groups[ends]], 1e-12)))
