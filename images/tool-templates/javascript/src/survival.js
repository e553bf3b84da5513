// The product-limit estimator of Kaplan and Meier.

// The standard normal deviate of a two-sided 95 %.
const Z = 1.959963984540054;

// The steps of the curve of persons followed for `times`, whose `events` tell who had the event. Greenwood's
// variance; interval on the scale of log(-log S), which stays between 0 and 1.
export function kaplanMeier(times, events) {
  const at = new Map();
  times.forEach((time, person) => {
    const counts = at.get(time) ?? { events: 0, censored: 0 };
    counts[events[person] ? "events" : "censored"]++;
    at.set(time, counts);
  });
  let atRisk = times.length;
  let survival = 1;
  let greenwood = 0;
  const steps = [];
  for (const time of [...at.keys()].sort((a, b) => a - b)) {
    const { events: deaths, censored } = at.get(time);
    survival *= 1 - deaths / atRisk;
    if (deaths && atRisk > deaths) greenwood += deaths / (atRisk * (atRisk - deaths));
    let [low, high] = [survival, survival];
    if (survival > 0 && survival < 1) {
      const spread = (Z * Math.sqrt(greenwood)) / Math.log(survival);
      [low, high] = [survival ** Math.exp(-spread), survival ** Math.exp(spread)];
    }
    steps.push({ time, atRisk, events: deaths, censored, survival, low, high });
    atRisk -= deaths + censored;
  }
  return steps;
}

// The first time at which survival is a half or less, or null.
export function median(steps) {
  return steps.find((step) => step.survival <= 0.5)?.time ?? null;
}

// The steps with events, thinned so that each stands for at least `persons` who had the event or left since
// the one before: single persons' times do not show.
export function thinned(steps, persons) {
  const kept = [];
  let since = 0;
  for (const step of steps) {
    since += step.events + step.censored;
    if (since >= persons) {
      kept.push(step);
      since = 0;
    }
  }
  return kept;
}
