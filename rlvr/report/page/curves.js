// pass@k against k, and what was logged against the step.

if (section("passk")) (() => {
  const chart = new Chart("Curves of pass@k against k for each arm.");
  const differences = DATA.passk.some((entry) => Object.values(entry.arms).some((arm) => arm.difference.some((value) => value != null)));
  const keys = DATA.passk.map((entry) => entry.key);
  let key = kept("passk.benchmark", keys[0], keys), kind = differences ? kept("passk.show", "value", ["value", "difference"]) : "value";
  const numbers = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "pass@k in numbers" });
  const draw = () => {
    const entry = DATA.passk.find((candidate) => candidate.key === key);
    const lines = Object.entries(entry.arms).filter(([arm, curve]) => shown.has(arm) && curve[kind].some((value) => value != null)).map(([arm, curve]) => {
      const baseline = ARMS.get(ARMS.get(arm).baseline);
      const label = kind === "value" ? ARMS.get(arm).label : `${ARMS.get(arm).label} − ${baseline.label}`;
      const [low, high] = kind === "value" ? ["low", "high"] : ["difference_low", "difference_high"];
      const known = curve[low].some((value) => value != null); // not of one problem alone
      return { label, arm, x: curve.k, y: curve[kind], ...(known ? { low: curve[low], high: curve[high] } : {}) };
    });
    chart.draw(lines, { x: "k", y: kind === "value" ? "pass@k, %" : "points", log2: true, percent: kind === "value" });
    const ks = lines.length ? lines[0].x : [];
    numbers.replaceChildren(el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "k"), ...ks.map((k) => el("th", { scope: "col" }, String(k))))),
      el("tbody", {}, ...lines.map((line) => el("tr", {}, el("th", { scope: "row" }, line.label),
        ...line.y.map((value, i) => el("td", {}, value == null ? "–" : `${value.toFixed(1)}${line.low ? ` (${line.low[i].toFixed(1)} to ${line.high[i].toFixed(1)})` : ""}`)))))));
  };
  const benchmark = choice("Benchmark", DATA.passk.map((entry) => [entry.key, entry.label]), (value) => { key = value; keep("passk.benchmark", key, keys[0]); draw(); }, key);
  const show = choice("Show", [["value", "pass@k"], ["difference", "difference to the baseline"]], (value) => { kind = value; keep("passk.show", kind, "value"); draw(); }, kind);
  section("passk").append(el("div", { class: "controls" }, benchmark.field, differences && show.field),
    armSwitches((arm) => DATA.passk.some((entry) => entry.arms[arm])), chart.element,
    el("details", {}, el("summary", {}, "In numbers"), numbers));
  redraws.push(draw);
  draw();
})();

const METRICS = {
  "validation/in_domain/pass@1": "validation pass@1, in-domain average", "reward/success_rate": "success rate of the rollouts",
  "policy/entropy": "entropy of the policy, nats a token", "groups/mixed": "groups with right and wrong answers",
  "groups/all_right": "groups all right", "groups/all_wrong": "groups all wrong", "groups/without_signal": "groups without signal",
  "focal/weight_mean": "mean focal weight", "update/gradient_norm": "gradient norm", "update/clip_fraction": "share of tokens clipped",
  "update/log_ratio_max": "largest log-ratio within an update", "mismatch/log_ratio_max": "largest log-ratio of engine to trainer",
  "completion/length_mean": "mean length, tokens", "completion/truncated": "completions cut off",
  "throughput/tokens_per_second": "tokens sampled a second", "seconds/step": "seconds a step",
};

(() => {
  const home = section("learning");
  const metrics = [...new Set(DATA.learning.flatMap((run) => Object.keys(run.series)))];
  if (!metrics.length) {
    home.append(el("p", { class: "note" }, "No run here was trained."));
    return;
  }
  const first = Object.keys(METRICS).filter((name) => metrics.includes(name));
  const others = metrics.filter((name) => !first.includes(name)).sort();
  const chart = new Chart("A learning curve for each arm.");
  const start = first[0] || others[0];
  let metric = kept("learning.metric", start, metrics), span = 1, separate = kept("learning.apart", "", ["yes"]) === "yes";
  const several = new Set(DATA.learning.map((run) => run.seed)).size > 1;

  /** Running mean over `span` points, those at the ends over what there is. */
  const smooth = (values) => values.map((_, i) => {
    const window = values.slice(Math.max(0, i - Math.floor(span / 2)), i + Math.ceil(span / 2)).filter((value) => value != null);
    return window.length ? window.reduce((a, b) => a + b, 0) / window.length : null;
  });
  /** The mean over seeds at the steps that any has, with the smallest and largest. */
  const merged = (curves) => {
    const bySteps = new Map();
    for (const curve of curves) {
      const values = smooth(curve.value);
      curve.step.forEach((step, i) => { if (values[i] != null) bySteps.set(step, [...(bySteps.get(step) || []), values[i]]); });
    }
    const steps = [...bySteps.keys()].sort((a, b) => a - b);
    const of = (f) => steps.map((step) => f(bySteps.get(step)));
    return { x: steps, y: of((v) => v.reduce((a, b) => a + b, 0) / v.length), low: of((v) => Math.min(...v)), high: of((v) => Math.max(...v)) };
  };
  const draw = () => {
    const lines = [];
    for (const arm of ARMS.values()) {
      const runs = DATA.learning.filter((run) => run.arm === arm.name && run.series[metric]);
      if (!shown.has(arm.name) || !runs.length) continue;
      if (separate) for (const run of runs) lines.push({ label: `${arm.label}, seed ${run.seed}`, arm: arm.name, x: run.series[metric].step, y: smooth(run.series[metric].value) });
      else {
        const { x, y, low, high } = merged(runs.map((run) => run.series[metric]));
        lines.push({ label: arm.label, arm: arm.name, x, y, ...(runs.length > 1 ? { low, high } : {}) });
      }
    }
    chart.draw(lines, { x: "step", y: "" });
  };
  const slider = el("input", { type: "range", min: 0, max: 6, value: 0, on: { input: () => {
    span = 2 ** Number(slider.value) - (slider.value > 0 ? 1 : 0);
    keep("learning.smoothing", slider.value, "0");
    output.textContent = span > 1 ? `mean of ${span} points` : "off";
    slider.setAttribute("aria-valuetext", output.textContent);
    draw();
  } } });
  const output = el("output", {}, "off");
  const options = [{ label: "What matters", options: first.map((name) => [name, METRICS[name]]) }];
  for (const prefix of new Set(others.map((name) => name.split("/")[0])))
    options.push({ label: prefix, options: others.filter((name) => name.startsWith(`${prefix}/`)).map((name) => [name, name]) });
  const select = choice("Metric", options, (value) => { metric = value; keep("learning.metric", metric, start); draw(); }, metric);
  home.append(el("div", { class: "controls" }, select.field, field("Smoothing", slider, output),
    several && toggle("seeds apart", separate, (on) => { separate = on; keep("learning.apart", on ? "yes" : "", ""); draw(); })),
    armSwitches((arm) => DATA.learning.some((run) => run.arm === arm)), chart.element);
  if (several) home.append(el("p", { class: "small" }, "Lines are means over seeds; bands go from the lowest seed to the highest."));
  redraws.push(draw);
  slider.value = kept("learning.smoothing", "0", ["0", "1", "2", "3", "4", "5", "6"]);
  if (slider.value !== "0") slider.dispatchEvent(new Event("input"));
  draw();
})();
