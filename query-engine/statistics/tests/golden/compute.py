"""What lifelines, statsmodels and scipy find in real clinical data, for the tests of `kekkai-statistics`.

Run once in a virtual environment with `requirements.txt`; its outcome is checked in:
    python compute.py .
Each file holds the data that went in, where it is from, and what came out.
"""

import json
import pathlib
import sys

import lifelines
import numpy as np
import scipy
import sklearn
import statsmodels
import statsmodels.api as sm
from lifelines import CoxPHFitter, KaplanMeierFitter, datasets
from lifelines.statistics import multivariate_logrank_test
from lifelines.utils import median_survival_times
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_diabetes
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import SurvfuncRight

VERSIONS = {
    "lifelines": lifelines.__version__,
    "scipy": scipy.__version__,
    "scikit-learn": sklearn.__version__,
    "statsmodels": statsmodels.__version__,
}
LIFELINES = f"as packaged by lifelines {lifelines.__version__} (MIT licence)"

SOURCES = {
    "rossi": "432 men after release from prison: Rossi, Berk and Lenihan, Money, Work and Crime (1980); " + LIFELINES,
    "waltons": "survival of 163 flies: Walton; " + LIFELINES,
    "leukemia": "42 children with leukemia: Freireich et al., Blood 21 (1963) 699; " + LIFELINES,
    "lung": "228 patients with lung cancer: Loprinzi et al., J Clin Oncol 12 (1994) 601; " + LIFELINES,
    "larynx": "90 men with cancer of the larynx: Kardaun, Stat Neerl 37 (1983) 103; " + LIFELINES,
    "gbsg2": "686 women with breast cancer: Schumacher et al., J Clin Oncol 12 (1994) 2086; " + LIFELINES,
    "breast": "569 tumours: Wolberg, Street and Mangasarian, UCI, doi 10.24432/C5DW2B (CC BY 4.0), "
    f"as packaged by scikit-learn {sklearn.__version__}",
    "diabetes": "442 patients: Efron, Hastie, Johnstone and Tibshirani, Ann Stat 32 (2004) 407, "
    f"as packaged by scikit-learn {sklearn.__version__} (BSD 3-clause)",
}


def numbers(values):
    return [float(v) for v in values]


def survival():
    """Name, times, events, group, predictors of each data set."""
    rossi = datasets.load_rossi()
    yield "rossi", rossi.week, rossi.arrest, rossi.fin, rossi[["fin", "age", "race", "wexp", "mar", "paro", "prio"]]
    waltons = datasets.load_waltons()
    treated = (waltons.group == "miR-137").astype(int)
    yield "waltons", waltons["T"], waltons.E, treated, treated.to_frame("treated")
    leukemia = datasets.load_leukemia()
    yield "leukemia", leukemia.t, leukemia.status, leukemia.Rx, leukemia[["sex", "logWBC", "Rx"]]
    lung = datasets.load_lung().dropna(subset=["ph.ecog"])
    columns = lung[["age", "sex", "ph.ecog"]].rename(columns={"ph.ecog": "ph_ecog"})
    yield "lung", lung.time, lung.status, lung.sex - 1, columns
    larynx = datasets.load_larynx()
    stage = larynx.Stage_II + 2 * larynx.Stage_III + 3 * larynx.Stage_IV
    yield "larynx", larynx.time, larynx.death, stage, larynx[["age", "Stage_II", "Stage_III", "Stage_IV"]]
    gbsg2 = datasets.load_gbsg2()
    columns = gbsg2[["age", "tsize", "pnodes", "progrec", "estrec"]].copy()
    columns["hormonal"] = (gbsg2.horTh == "yes").astype(int)
    yield "gbsg2", gbsg2.time, gbsg2.cens, columns.hormonal, columns


def kaplan_meier(times, events):
    fit = KaplanMeierFitter().fit(times, events)
    # Greenwood's standard error, which lifelines does not name.
    errors = SurvfuncRight(np.asarray(times, float), np.asarray(events, int))
    table = fit.event_table.iloc[1:]
    bounds = fit.confidence_interval_.iloc[1:]
    median = median_survival_times(fit.confidence_interval_)

    def finite(value):
        return None if not np.isfinite(value) else float(value)

    return {
        "time": numbers(table.index),
        "at_risk": [int(v) for v in table.at_risk],
        "events": [int(v) for v in table.observed],
        "censored": [int(v) for v in table.censored],
        "survival": numbers(fit.survival_function_.iloc[1:, 0]),
        "lower": numbers(bounds.iloc[:, 0]),
        "upper": numbers(bounds.iloc[:, 1]),
        "event_times": numbers(errors.surv_times),
        # Not a number where survival is 0.
        "standard_error": [finite(v) for v in errors.surv_prob_se],
        "median": finite(fit.median_survival_time_),
        "median_lower": finite(median.iloc[0, 0]),
        "median_upper": finite(median.iloc[0, 1]),
    }


def cox(times, events, predictors):
    frame = predictors.astype(float).assign(_t=times, _e=events)
    lines = CoxPHFitter().fit(
        frame, "_t", "_e", fit_options={"precision": 1e-14, "max_steps": 100}
    )
    # Both agree; statsmodels converges further.
    model = PHReg(np.asarray(times, float), predictors.astype(float), status=np.asarray(events), ties="efron")
    fit = model.fit(method="newton", disp=False, maxiter=100, tol=1e-15)
    assert np.allclose(fit.params, lines.params_, rtol=1e-6, atol=1e-9), (fit.params, lines.params_)
    # One more step of Newton's method from where it stopped.
    for _ in range(3):
        step = np.linalg.solve(-model.hessian(fit.params), model.score(fit.params))
        fit.params = fit.params + step
    errors = np.sqrt(np.diag(np.linalg.inv(-model.hessian(fit.params))))
    zero = np.zeros(len(fit.params))
    null, top = model.loglike(zero), model.loglike(fit.params)
    score = model.score(zero) @ np.linalg.solve(-model.hessian(zero), model.score(zero))
    z = fit.params / errors
    return {
        "term": list(predictors.columns),
        "coefficient": numbers(fit.params),
        "standard_error": numbers(errors),
        "z": numbers(z),
        "p": numbers(2 * stats.norm.sf(np.abs(z))),
        "log_likelihood": float(top),
        "log_likelihood_null": float(null),
        "likelihood_ratio": float(2 * (top - null)),
        "likelihood_ratio_p": float(stats.chi2.sf(2 * (top - null), len(zero))),
        "score": float(score),
        "wald": float(fit.params @ (-model.hessian(fit.params)) @ fit.params),
        "concordance": float(lines.concordance_index_),
    }


def survival_file(name, times, events, groups, predictors):
    groups = [int(g) for g in groups]
    test = multivariate_logrank_test(times, groups, events)
    by_group = []
    for group in sorted(set(groups)):
        chosen = np.asarray(groups) == group
        by_group.append(kaplan_meier(np.asarray(times)[chosen], np.asarray(events)[chosen]))
    return {
        "source": SOURCES[name],
        "versions": VERSIONS,
        "data": {
            "time": numbers(times),
            "event": [bool(e) for e in events],
            "group": groups,
            "predictors": {c: numbers(predictors[c]) for c in predictors},
        },
        "kaplan_meier": kaplan_meier(times, events),
        "kaplan_meier_by_group": by_group,
        "log_rank": {
            "statistic": float(test.test_statistic),
            "degrees_of_freedom": int(test.degrees_of_freedom),
            "p": float(test.p_value),
        },
        "cox": cox(times, events, predictors),
    }


def coefficients(fit, terms):
    bounds = np.asarray(fit.conf_int())
    return {
        "term": terms,
        "coefficient": numbers(fit.params),
        "standard_error": numbers(fit.bse),
        "statistic": numbers(fit.tvalues),
        "p": numbers(fit.pvalues),
        "lower": numbers(bounds[:, 0]),
        "upper": numbers(bounds[:, 1]),
    }


def diabetes_file():
    data = load_diabetes(as_frame=True, scaled=False)
    x, y = data.data, data.target
    fit = sm.OLS(np.asarray(y), sm.add_constant(np.asarray(x))).fit()
    return {
        "source": SOURCES["diabetes"],
        "versions": VERSIONS,
        "data": {
            "outcome": numbers(y),
            "predictors": {c: numbers(x[c]) for c in x},
        },
        "linear": coefficients(fit, ["intercept", *x.columns])
        | {
            "r_squared": float(fit.rsquared),
            "adjusted_r_squared": float(fit.rsquared_adj),
            "f": float(fit.fvalue),
            "p_of_f": float(fit.f_pvalue),
            "residual_standard_error": float(np.sqrt(fit.mse_resid)),
            "leverage": numbers(fit.get_influence().hat_matrix_diag),
        },
    }


def test_of_means(result):
    interval = result.confidence_interval(0.95)
    return {
        "t": float(result.statistic),
        "p": float(result.pvalue),
        "degrees_of_freedom": float(result.df),
        "lower": float(interval.low),
        "upper": float(interval.high),
    }


def breast_file():
    data = load_breast_cancer(as_frame=True)
    names = {
        "mean texture": "texture",
        "mean smoothness": "smoothness",
        "mean symmetry": "symmetry",
        "mean fractal dimension": "fractal_dimension",
        "area error": "area_error",
    }
    x = data.data[list(names)].rename(columns=names)
    malignant = 1 - data.target
    design = sm.add_constant(np.asarray(x))
    model = sm.Logit(np.asarray(malignant), design)
    at = model.fit(method="newton", disp=False).params
    for _ in range(5):
        at = at - np.linalg.solve(model.hessian(at), model.score(at))
    fit = model.fit(start_params=at, method="newton", maxiter=1, disp=False)
    share = float(np.mean(malignant))
    null = len(x) * (share * np.log(share) + (1 - share) * np.log(1 - share))
    assert abs(null - fit.llnull) < 1e-6
    groups = [np.asarray(x.texture[malignant == 1]), np.asarray(x.texture[malignant == 0])]
    u = stats.mannwhitneyu(*groups)
    # Without ties: each value of the second group only where the first has none like it.
    few = [np.unique(groups[0])[:120:3]]
    few.append(np.setdiff1d(groups[1], groups[0])[40:160:4])
    assert [len(part) for part in few] == [40, 30]
    exact = stats.mannwhitneyu(*few, method="exact")
    coarse = np.asarray(x.texture > 20).astype(int)
    size = np.digitize(x.area_error, [20, 30, 50])
    two = np.asarray([[np.sum((coarse == a) & (malignant == b)) for b in (0, 1)] for a in (0, 1)])
    many = np.asarray([[np.sum((size == a) & (malignant == b)) for b in (0, 1)] for a in range(4)])

    def tested(table):
        plain = stats.chi2_contingency(table, correction=False)
        yates = stats.chi2_contingency(table, correction=True)
        return {
            "table": table.tolist(),
            "statistic": float(plain.statistic),
            "p": float(plain.pvalue),
            "degrees_of_freedom": int(plain.dof),
            "yates_statistic": float(yates.statistic),
            "yates_p": float(yates.pvalue),
            "least_expected": float(plain.expected_freq.min()),
        }

    return {
        "source": SOURCES["breast"],
        "versions": VERSIONS,
        "data": {
            "outcome": [bool(v) for v in malignant],
            "predictors": {c: numbers(x[c]) for c in x},
        },
        "logistic": coefficients(fit, ["intercept", *x.columns])
        | {
            "log_likelihood": float(fit.llf),
            # statsmodels finds this by search and to seven digits; it has a closed form.
            "log_likelihood_null": null,
            "likelihood_ratio": 2 * (float(fit.llf) - null),
            "likelihood_ratio_p": float(stats.chi2.sf(2 * (fit.llf - null), len(names))),
        },
        "welch": test_of_means(stats.ttest_ind(*groups, equal_var=False)),
        "student": test_of_means(stats.ttest_ind(*groups)),
        "paired": test_of_means(stats.ttest_rel(data.data["worst texture"], data.data["mean texture"])),
        "worst_texture": numbers(data.data["worst texture"]),
        "mann_whitney": {"u": float(u.statistic), "p": float(u.pvalue)},
        "mann_whitney_exact": {
            "first": numbers(few[0]),
            "second": numbers(few[1]),
            "u": float(exact.statistic),
            "p": float(exact.pvalue),
        },
        "chi_square": tested(two),
        "chi_square_many": tested(many),
    }


def fisher_file():
    tables = [
        # Fisher's tea, and tables of the literature on it.
        [[3, 1], [1, 3]],
        [[10, 15], [3, 0]],
        [[1, 9], [11, 3]],
        [[8, 2], [1, 5]],
        [[0, 16257], [4, 1007]],
        [[190, 800], [200, 900]],
        [[100, 2], [1000, 5]],
        [[2, 7], [8, 2]],
        [[500, 20], [30, 700]],
        [[4000, 3000], [3800, 3300]],
        [[30000, 100], [90, 25000]],
    ]
    results = []
    for table in tables:
        two = stats.fisher_exact(table)
        results.append(
            {
                "table": table,
                "odds_ratio": float(two.statistic) if np.isfinite(two.statistic) else None,
                "p": float(two.pvalue),
                "less": float(stats.fisher_exact(table, alternative="less").pvalue),
                "greater": float(stats.fisher_exact(table, alternative="greater").pvalue),
            }
        )
    return {"versions": VERSIONS, "fisher": results}


def tails_file():
    """Tails by mpmath to 40 digits: the oracle of p-values themselves."""
    from mpmath import mp, mpf, betainc, erfc, gammainc, sqrt

    mp.dps = 40
    normal = [[z, float(erfc(mpf(z) / sqrt(2)))] for z in (0.0, 0.1, 1.0, 1.96, 3.0, 5.5, 10.0, 20.0, 37.0)]
    chi = []
    for df in (1, 2, 3, 5, 10, 30, 99, 500):
        for factor in (0.01, 0.3, 0.9, 1.0, 1.1, 2.0, 5.0, 20.0):
            x = df * factor
            chi.append([df, x, float(gammainc(mpf(df) / 2, mpf(x) / 2, mp.inf, regularized=True))])
    t = []
    for df in (1, 2.5, 10, 100, 12345.6, 1e6):
        for value in (0.001, 0.5, 1.0, 1.96, 3.3, 8.0, 30.0):
            x = mpf(df) / (mpf(df) + mpf(value) ** 2)
            t.append([df, value, float(betainc(mpf(df) / 2, mpf(1) / 2, 0, x, regularized=True))])
    f = []
    for numerator in (1, 3, 10, 50):
        for denominator in (1, 10, 431, 100000):
            for value in (0.01, 0.8, 1.0, 1.7, 5.0, 40.0):
                x = mpf(denominator) / (mpf(numerator) * mpf(value) + mpf(denominator))
                tail = betainc(mpf(denominator) / 2, mpf(numerator) / 2, 0, x, regularized=True)
                f.append([numerator, denominator, value, float(tail)])
    quantiles = [[df, float(stats.t.ppf(0.975, df))] for df in (1, 1.5, 2, 7.3, 30, 1000, 1e6)]
    return {"normal": normal, "chi_square": chi, "t": t, "f": f, "t_975": quantiles}


def main():
    folder = pathlib.Path(sys.argv[1])
    files = {name: survival_file(name, *rest) for name, *rest in survival()}
    files |= {"diabetes": diabetes_file(), "breast": breast_file(), "fisher": fisher_file(), "tails": tails_file()}
    for name, content in files.items():
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
        (folder / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
