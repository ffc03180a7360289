// pass@k at many tries against pass@k at few: where each arm ends, and the way there in validation.

if (section("frontier")) (() => {
  const home = section("frontier"), canvas = el("div", { class: "chart picture", role: "img" });
  const entries = DATA.passk.filter((entry) => Object.values(entry.arms).some((curve) => curve.k.length > 1));
  const keys = entries.map((entry) => entry.key), WAY = "way";
  const found = (run) => Object.keys(run.series).map((name) => /^validation\/in_domain\/pass@(\d+)$/.exec(name)).filter(Boolean).map((match) => Number(match[1])).sort((a, b) => a - b);
  const validated = DATA.learning.filter((run) => found(run).length > 1);
  let key = kept("frontier.benchmark", keys[0], keys), show = kept("frontier.show", "end", ["end", ...(validated.length ? [WAY] : [])]);
  const ksOf = () => (show === WAY ? found(validated[0]) : Object.values(entries.find((entry) => entry.key === key).arms).map((curve) => curve.k).sort((a, b) => b.length - a.length)[0]);
  const chosen = (name, plain) => Number(kept(`frontier.${name}`, String(plain), ksOf().map(String)));
  const xs = () => chosen("x", ksOf()[0]), ys = () => chosen("y", ksOf().at(-1));

  /** Where each arm ends, with its intervals; a thin line joins the arms of one member or series. */
  function ends(kx, ky) {
    const { arms } = entries.find((entry) => entry.key === key), points = [];
    for (const arm of ARMS.values()) {
      const curve = arms[arm.name], i = curve?.k.indexOf(kx), j = curve?.k.indexOf(ky);
      if (!shown.has(arm.name) || !curve || curve.value[i] == null || curve.value[j] == null) continue;
      const interval = curve.low[i] == null ? {} : { left: [curve.low[i]], right: [curve.high[i]], low: [curve.low[j]], high: [curve.high[j]] };
      points.push({ label: arm.label, arm: arm.name, marks: true, hollow: Boolean(arm.rate), x: [curve.value[i]], y: [curve.value[j]], ...interval });
    }
    const joined = new Map();
    for (const point of points) {
      const { line, place, rate } = ARMS.get(point.arm);
      if (line && !rate) joined.set(line, [...(joined.get(line) ?? []), { place, x: point.x[0], y: point.y[0] }]);
    }
    const joins = [...joined].filter(([, members]) => members.length > 1).map(([line, members]) => {
      members.sort((a, b) => (a.place ?? 0) - (b.place ?? 0));
      return { label: line, quiet: true, x: members.map(({ x }) => x), y: members.map(({ y }) => y) };
    });
    return [...joins, ...points];
  }

  /** The mean over seeds at every step that all seeds of an arm have; the last point is the large one. */
  function ways(kx, ky) {
    const lines = [];
    for (const arm of ARMS.values()) {
      const runs = validated.filter((run) => run.arm === arm.name && found(run).includes(kx) && found(run).includes(ky));
      if (!shown.has(arm.name) || !runs.length) continue;
      const mean = (k) => {
        const sums = new Map();
        for (const { series } of runs) {
          const { step, value } = series[`validation/in_domain/pass@${k}`];
          step.forEach((at, i) => { if (value[i] != null) sums.set(at, [...(sums.get(at) ?? []), 100 * value[i]]); });
        }
        return new Map([...sums].filter(([, values]) => values.length === runs.length).map(([at, values]) => [at, values.reduce((a, b) => a + b, 0) / values.length]));
      };
      const x = mean(kx), y = mean(ky), steps = [...x.keys()].filter((step) => y.has(step)).sort((a, b) => a - b);
      lines.push({ label: arm.label, arm: arm.name, marks: true, hollow: Boolean(arm.rate), x: steps.map((step) => x.get(step)), y: steps.map((step) => y.get(step)) });
    }
    return lines;
  }

  const bounds = (values) => {
    const low = Math.min(...values), high = Math.max(...values), room = 0.06 * (high - low || 1);
    return { min: Math.max(0, low - room), max: Math.min(100, high + room) };
  };
  const numbers = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The frontier in numbers" });
  const row = el("div", { class: "controls" });
  let drawn = null;

  function draw() {
    const kx = xs(), ky = ys(), lines = (show === WAY ? ways : ends)(kx, ky);
    const options = { x: `pass@${kx}, %`, y: `pass@${ky}, %` };
    const scales = { x: bounds(lines.flatMap((line) => [...line.x, ...(line.left ?? []), ...(line.right ?? [])])), y: bounds(lines.flatMap((line) => [...line.y, ...(line.low ?? []), ...(line.high ?? [])])) };
    drawn = lines.length ? (width) => figure(lines, options, scales, width) : null;
    canvas.setAttribute("aria-label", `pass@${ky} against pass@${kx} for each arm; the numbers are below.`);
    fit();
    save.hidden = !drawn;
    const said = (line, axis, low, high) => `${line[axis].at(-1).toFixed(1)}${line[low] ? ` (${line[low].at(-1).toFixed(1)} to ${line[high].at(-1).toFixed(1)})` : ""}`;
    numbers.replaceChildren(el("table", {},
      el("thead", {}, el("tr", {}, ...["", options.x, options.y].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, ...lines.filter((line) => !line.quiet && line.x.length).map((line) => el("tr", {}, el("th", { scope: "row" }, line.label), el("td", {}, said(line, "x", "left", "right")), el("td", {}, said(line, "y", "low", "high")))))));
  }
  function fit() {
    canvas.classList.toggle("empty", !drawn);
    canvas.replaceChildren(drawn ? drawn(Math.max(canvas.clientWidth, 280)) : el("p", { class: "small" }, "Nothing to draw: no arm that has this is switched on."));
  }

  /** The controls anew, since one decides what another offers. */
  function offer(focus) {
    const choose = (text, name, options, value, plain) => choice(text, options, (chosen) => {
      keep(`frontier.${name}`, chosen, plain);
      if (name === "benchmark") key = chosen;
      if (name === "show") show = chosen;
      offer(text);
    }, value).field;
    const ks = ksOf().map((k) => [String(k), `pass@${k}`]);
    row.replaceChildren(...(show === WAY ? [] : [choose("Benchmark", "benchmark", entries.map((entry) => [entry.key, entry.label]), key, keys[0])]),
      choose("Across", "x", ks, String(xs()), ks[0][0]), choose("Up", "y", ks, String(ys()), ks.at(-1)[0]),
      ...(validated.length ? [choose("Show", "show", [["end", "where arms end"], [WAY, "the way there, in validation"]], show, "end")] : []));
    if (focus) [...row.querySelectorAll("label")].find((label) => label.textContent === focus)?.control.focus();
    draw();
  }
  const save = el("button", { type: "button", class: "quiet", on: { click: () => saveAsSvg(drawn(760), "frontier") } }, "save as SVG");
  home.append(row, armSwitches((arm) => entries.some((entry) => entry.arms[arm])), canvas, save, el("details", {}, el("summary", {}, "In numbers"), numbers));
  redraws.push(draw);
  offer();
  let width = canvas.clientWidth;
  new ResizeObserver(() => { if (canvas.clientWidth !== width) { width = canvas.clientWidth; fit(); } }).observe(canvas);
})();
