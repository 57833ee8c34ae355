"""The model package as the rest of the system sees it: target, input features and the frozen baseline.

The archive itself (artifact, golden rows) is the business of `scorers`; this is the record that the topic `packages`
carries, so that scoring, monitoring and governance speak of one thing. Bin edges are frozen here: champion and
challengers, old and new windows are on one scale.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class FeatureType(StrEnum):
    """How a feature is read and binned. Text is monitored as a category."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    TEXT = "text"
    BOOLEAN = "boolean"


class TargetType(StrEnum):
    """The kind of question that a model answers."""

    REGRESSION = "regression"
    BINARY = "binary"
    MULTICLASS = "multiclass"


class Feature(msgspec.Struct, frozen=True):
    """One input of a model.

    A `nullable` feature may be null or NaN in a request; it is then scored, and counted as missing.
    """

    name: str
    type: FeatureType = FeatureType.NUMERIC
    nullable: bool = False
    importance: float = 0.0


class Target(msgspec.Struct, frozen=True):
    """What is predicted.

    `classes` are labels in the order of the model's probabilities; for a binary target the second one is the positive
    class, predicted where its probability is at least `threshold`. Empty for regression.
    """

    name: str
    type: TargetType
    classes: tuple[str, ...] = ()
    threshold: float = 0.5

    @property
    def positive(self) -> str | None:
        """The positive class of a binary target."""
        return self.classes[1] if self.type is TargetType.BINARY else None


class Clipped(msgspec.Struct, frozen=True):
    """Sums of a number's training values per bin, each value clipped to [`low`, `high`], its 1 % and 99 % quantiles.

    A value's term is its clipped distance above `low`, rounded to a multiple of `unit * 2**-32`; `unit` is the power of
    two at or above high - low, so that a term is at most 2**32. `sums` (bin by bin, `missing` left out) are integers in
    that measure. `sd` is the standard deviation of the clipped values.
    """

    low: float
    high: float
    unit: float
    sd: float
    sums: tuple[int, ...]


class NumericBins(msgspec.Struct, frozen=True, tag="numeric"):
    """Right-closed bins of a number (STATISTICS section 1) and their counts in the baseline.

    With m `edges` e_0 < ... < e_{m-1} bin k holds e_{k-1} < x <= e_k: bin 0 is (-inf, e_0], bin m is (e_{m-1}, inf),
    and bin m + 1 is `missing` (null or NaN), so `counts` has m + 2 entries. For a feature e_0 is just below the least
    and e_{m-1} is the greatest training value: bins 0 and m are the out-of-range counters, empty in the baseline.
    `clipped`: sums of the values themselves, where a feature has them.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    clipped: Clipped | None = None


class CategoricalBins(msgspec.Struct, frozen=True, tag="categorical"):
    """Bins of a category: each of `categories`, then `other` (rarer but seen in training), `unseen`, `missing`.

    `counts` has len(categories) + 3 entries. `others` are the training categories that were pooled into `other`.
    Booleans use the categories "false" and "true".
    """

    categories: tuple[str, ...]
    counts: tuple[int, ...]
    others: tuple[str, ...] = ()


Bins = NumericBins | CategoricalBins


class NullLaw(msgspec.Struct, frozen=True, array_like=True):
    """What a drift statistic is without drift, one number for each of a table's window sizes.

    `mean`, `sd`, and quantiles of the statistic (of a distance: of its square), each divided by 1/n + 1/N, N baseline
    rows: what is left hardly depends on n, so that it may be interpolated in 1/n.
    """

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    q95: tuple[float, ...]
    q99: tuple[float, ...]
    q999: tuple[float, ...]


class Noise(msgspec.Struct, frozen=True):
    """A feature's noise table: the law of each drift statistic (by its name) in windows of `rows` rows."""

    rows: tuple[int, ...]
    laws: dict[str, NullLaw]


class Pca(msgspec.Struct, frozen=True):
    """Principal components of p numeric and boolean features, and how well they gave the training rows back.

    A value x counts as (x - mean) / scale; a missing one as 0, its mean. `components` are m x p whole numbers, int32
    little-endian by rows, in steps of 2**-20. `error_mean` and `error_sd` are of the training rows' reconstruction
    error (`monitors.reconstruction`).
    """

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    components: bytes
    error_mean: float
    error_sd: float


class Calibration(msgspec.Struct, frozen=True):
    """How often a class came true on holdout, by the probability that was said of it.

    Block b is the scores from `lows[b]` to `highs[b]`: `rates[b]` of its `rows[b]` holdout rows were of the class.
    Rates rise from block to block (isotonic regression).
    """

    lows: tuple[float, ...]
    highs: tuple[float, ...]
    rates: tuple[float, ...]
    rows: tuple[int, ...]


class Split(msgspec.Struct, frozen=True, array_like=True):
    """The rows of a `leaf` whose bin of a `feature` is one of `bins` go to a new leaf."""

    feature: str
    leaf: int
    bins: tuple[int, ...]


class ErrorTree(msgspec.Struct, frozen=True):
    """How much more or less wrong a regression was on holdout than its prediction tells, by leaf of a tree of features.

    Leaf 0 has all rows at first; split i makes leaf i + 1. Bins are those of the baseline. By leaf: `shares` of all
    holdout rows; of `rows` holdout rows that had no part in choosing the splits mean and variance of what the cells of
    the prediction leave of the absolute and of the squared error.
    """

    splits: tuple[Split, ...]
    shares: tuple[float, ...]
    rows: tuple[int, ...]
    absolute: tuple[float, ...]
    absolute_variance: tuple[float, ...]
    square: tuple[float, ...]
    square_variance: tuple[float, ...]


class Losses(msgspec.Struct, frozen=True):
    """How wrong a regression was on holdout, by what it predicted, and by its features beyond that.

    With m `edges` cell k holds the predictions e_{k-1} < f <= e_k, m + 1 cells in all. By cell: holdout `rows`, mean
    and variance of the absolute and of the squared error. `trees`: none where no feature tells more, or in a package
    that is older than they are; their mean counts.
    """

    edges: tuple[float, ...]
    rows: tuple[int, ...]
    absolute: tuple[float, ...]
    absolute_variance: tuple[float, ...]
    square: tuple[float, ...]
    square_variance: tuple[float, ...]
    trees: tuple[ErrorTree, ...] = ()


class Attributions(msgspec.Struct, frozen=True):
    """What the features of a model moved its predictions by, on `rows` holdout rows.

    `centres`: by feature, the mean of its term in each output of the model (one, or one for each class), which an
    attribution is measured from. By feature the mean of its attributions as they are (`signed`), of their size
    (`absolute`) and of their squares.
    """

    rows: int
    centres: dict[str, tuple[float, ...]]
    signed: dict[str, float]
    absolute: dict[str, float]
    squares: dict[str, float]


class Baseline(msgspec.Struct, frozen=True):
    """What was normal: counts per frozen bin in the training data, and the model's metrics on holdout.

    `features`: bins by feature name. `prediction`: bins of the prediction (regression: of the value; binary: of the
    positive class's probability; multiclass: categories are the classes). `holdout`: metric name to value. `units`: the
    power of two near the holdout RMS of each fixed-point sum, by sum name (STATISTICS section 0); 1.0 where absent.
    `tolerance`: by feature, how far its windows may wander without drift, as the concentration k_w of a Dirichlet law
    (section 4; larger: steadier). A feature that is not there wanders too much to be told from drift (or the package
    is older than this field): `baseline_unstable`. `noise`: by feature, the bootstrapped noise of its drift statistics;
    a feature without has the noise of theory. `target`: bins of the actuals of the holdout rows. `pca`: where there
    are two numeric or boolean features that vary. `sample`: an encoded `monitors.sample.Sample` of training rows, its
    features by name. `loss_scale`: the .999 quantile of the squared error of a number on holdout, 0 for other targets.
    `attributions`: of a model that explains itself.

    What estimates before labels rest on, empty in a package that is older than they are: `calibration`, of a binary
    target that of the positive class, of a multiclass one that of each class; `losses`, of a regression;
    `joint`, holdout rows by predicted (first index) and actual class; `areas_together`, how far the errors of the areas
    under the ROC curves of many classes add up in their mean, and in their weighted mean.

    `prediction_noise`, `target_noise`: as `noise`, of the predictions and of the actuals, as counts wander; None in a
    package that is older.

    `groups`: what the model gave the groups of protected features on holdout, by segment ("sex=f"), where the package
    was built with any (`monitors.fair_holdout`).
    """

    rows: int = 0
    features: dict[str, Bins] = {}
    prediction: Bins | None = None
    holdout: dict[str, float] = {}
    holdout_rows: int = 0
    units: dict[str, float] = {}
    tolerance: dict[str, float] = {}
    noise: dict[str, Noise] = {}
    target: Bins | None = None
    pca: Pca | None = None
    sample: bytes = b""
    loss_scale: float = 0.0
    calibration: tuple[Calibration, ...] = ()
    losses: Losses | None = None
    joint: tuple[tuple[int, ...], ...] = ()
    areas_together: tuple[float, float] = (1.0, 1.0)
    attributions: Attributions | None = None
    groups: dict[str, bytes] = {}
    prediction_noise: Noise | None = None
    target_noise: Noise | None = None

    @property
    def unstable(self) -> tuple[str, ...]:
        """Features that wandered too much in training to be watched for change: `baseline_unstable`.

        None of a package that is older than tolerances: it has no noise tables either.
        """
        if not self.noise:
            return ()
        return tuple(name for name, bins in self.features.items() if any(bins.counts) and name not in self.tolerance)


class Package(msgspec.Struct, frozen=True):
    """A model package: `digest` is the SHA-256 (hex) of the archive and its only identity."""

    name: str
    version: str
    digest: str
    target: Target
    features: tuple[Feature, ...]
    format: str
    baseline: Baseline = Baseline()
    created_ms: int = 0
    authors: tuple[str, ...] = ()
    description: str = ""
    training_data: str = ""
    hyperparameters: dict[str, str] = {}
