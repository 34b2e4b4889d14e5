from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score
from sklearn.model_selection import train_test_split

from sslbench import UserError
from sslbench.claims.simulate import simulate


def run(seed=42, **given):
    (simulation,) = simulate(["imbalance-comparator"], seed=seed, given={"claim_seeds": 1, **given})
    return simulation.result


def plain(seed):
    """Strategy -> probabilities of the test part, and its labels."""
    rng = RandomState(seed)
    negatives, positives = rng.normal(0, 1, (970, 10)), rng.normal(1, 1.5, (30, 10))
    x, y = np.vstack([negatives, positives]), np.array([0] * 970 + [1] * 30)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, random_state=42, stratify=y)
    more = RandomState(42).choice(np.where(y == 1)[0], (y == 0).sum() - (y == 1).sum(), replace=True)
    models = {
        "as is": LogisticRegression(max_iter=1000).fit(x, y),
        "balanced": LogisticRegression(max_iter=1000, class_weight="balanced").fit(x, y),
        "oversampled": LogisticRegression(max_iter=1000).fit(np.vstack([x, x[more]]), np.append(y, y[more])),
    }
    return {name: model.predict_proba(x_test)[:, 1] for name, model in models.items()}, y_test


@pytest.mark.parametrize("seed", [42, 3])
def test_the_tables_are_the_definition(seed):
    scores, labels = plain(seed)
    tables = run(seed).tables
    assert [row["strategy"] for row in tables["strategies"]] == list(scores)
    for row in tables["strategies"]:
        p = scores[row["strategy"]]
        (tn, fp), (fn, tp) = confusion_matrix(labels, p >= 0.5)
        assert row["sensitivity"] == pytest.approx(tp / (tp + fn))
        assert row["specificity"] == pytest.approx(tn / (tn + fp))
        assert row["area_under_curve"] == pytest.approx(roc_auc_score(labels, p))
        assert row["f1"] == pytest.approx(f1_score(labels, p >= 0.5))
    points = {(row["strategy"], row["reading"]): row for row in tables["operating_points"]}
    assert len(points) == 9
    for name, p in scores.items():
        reached = [t for t in np.linspace(0, 1, 500) if (p[labels == 1] >= t).mean() >= 0.9]
        exact = max(t for t in p if (p[labels == 1] >= t).mean() >= 0.9)
        for reading, threshold in (("literal", reached[0]), ("useful", reached[-1]), ("exact", exact)):
            assert points[name, reading]["threshold"] == pytest.approx(threshold, abs=1e-12)
            assert points[name, reading]["specificity"] == pytest.approx((p[labels == 0] < threshold).mean())
            assert points[name, reading]["sensitivity"] >= 0.9


def test_the_literal_reading_makes_its_claim_false():
    verdicts = {claim.statement: claim.verdict for claim in run(claim_seeds=2).claims}
    (literal,) = [verdict for statement, verdict in verdicts.items() if "literal reading" in statement]
    assert literal == "fails"
    assert sum("reading:" in statement for statement in verdicts) == 3


def test_positives_may_be_redrawn_instead_of_added():
    """The other reading of sampling to parity: as many positives as negatives, all of them drawn."""
    rng = RandomState(1)
    x = np.vstack([rng.normal(0, 1, (970, 10)), rng.normal(1, 1.5, (30, 10))])
    x, x_test, y, y_test = train_test_split(
        x, np.arange(1000) >= 970, test_size=0.2, random_state=42, stratify=np.arange(1000) >= 970
    )
    drawn = RandomState(42).choice(np.flatnonzero(y), (~y).sum(), replace=True)
    rows = np.append(np.flatnonzero(~y), drawn)
    scores = LogisticRegression(max_iter=1000).fit(x[rows], y[rows]).predict_proba(x_test)[:, 1]
    added, redrawn = (run(1, oversampling=how).tables["strategies"] for how in ("added", "redrawn"))
    assert redrawn[:2] == added[:2]
    assert redrawn[2] != added[2]
    assert redrawn[2]["area_under_curve"] == pytest.approx(roc_auc_score(y_test, scores))
    assert redrawn[2]["specificity"] == pytest.approx((scores[~y_test] < 0.5).mean())


@pytest.fixture
def table(tmp_path):
    def write(text=None, rows=40):
        path = tmp_path / "features.csv"
        if text is None:
            rng = RandomState(0)
            lines = [f"{a:.3f},{b:.3f},{'ill' if i < 8 else 'well'}" for i, (a, b) in enumerate(rng.rand(rows, 2))]
            text = "first,second,state\n" + "\n".join(lines) + "\n"
        path.write_text(text)
        return str(path)

    return write


def test_own_features_have_the_rarer_label_as_the_positive_one(table):
    path = table()
    result = run(features=path, label="state")
    assert len(result.tables["strategies"]) == 3
    assert run(features=path, label="state", positive="ill").tables == result.tables
    assert run(features=path, label="state", positive="well").tables != result.tables


def test_the_seed_of_own_features_is_that_of_the_split(table):
    path = table()
    x = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1))
    y = np.arange(40) < 8
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, random_state=5, stratify=y)
    scores = LogisticRegression(max_iter=1000).fit(x, y).predict_proba(x_test)[:, 1]
    row = run(seed=5, features=path, label="state").tables["strategies"][0]
    assert row["area_under_curve"] == pytest.approx(roc_auc_score(y_test, scores))


def test_a_fit_that_does_not_converge_is_a_reason_and_no_warning(table):
    rng = RandomState(0)
    lines = [f"{a * 1e60},{b * 1e-60},{int(a + b > 1.2)}" for a, b in rng.rand(80, 2)]
    rows = run(features=table("a,b,label\n" + "\n".join(lines) + "\n")).tables["strategies"]
    assert "no convergence in 1,000 iterations: bring the features to one scale" in {row["reason"] for row in rows}
    assert {row["reason"] for row in run().tables["strategies"]} == {""}


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        (None, {}, "no column 'label'; its columns are first, second, state"),
        (None, {"label": "state", "positive": "sick"}, "positive = 'sick': column 'state' has the labels ill, well"),
        (None, {"label": "first"}, "column 'first' has "),
        ("a,label\n" + "1,x\n" * 9 + "2,y\n" * 4, {}, "label 'y' has 4 rows; at least 5 are needed"),
        ("a,label\n" + "n,x\n" * 9 + "m,y\n" * 9, {}, "column 'a' has values that are no finite numbers"),
        ("a,label\n" + ",x\n" * 9 + "1,y\n" * 9, {}, "column 'a' has values that are no finite numbers"),
        ("a,label\n" + "-1e200,x\n" * 9 + "1,y\n" * 9, {}, "column 'a' has values beyond 1e+100 in size"),
        ("label\n" + "x\n" * 9 + "y\n" * 9, {}, "there is no column of features beside 'label'"),
    ],
)
def test_own_features_that_cannot_be_used(table, text, given, words):
    with pytest.raises(UserError) as caught:
        run(features=table(text), **given)
    assert words in caught.value.messages[0]
