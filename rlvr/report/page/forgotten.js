// Problems against arms, before and after training; and for one problem the right answers of each arm.

const benchmarkChoices = () => DATA.benchmarks.map((benchmark) => [benchmark.name, benchmark.label]);
/** Whether all problems of a benchmark had room in this file, in words. */
const leftOut = ({ problems, of }) => (problems.length < of ? ` ${count(problems.length)} of the benchmark's ${count(of)} problems are in this file, evenly spaced; there is no room for more.` : "");
const rate = (cell) => (cell && cell.n ? cell.c / cell.n : null);
const before = [...ARMS.values()].find((arm) => arm.before)?.name;

if (section("forgotten") && DATA.benchmarks.length) (() => {
  const home = section("forgotten");
  const names = DATA.benchmarks.map((entry) => entry.name), kinds = ["rate", ...(before ? ["change"] : []), "distinct"];
  const [order0, down0] = before ? ["lost", true] : ["problem", false];
  let benchmark = DATA.benchmarks.find((entry) => entry.name === kept("forgotten.benchmark", names[0], names));
  let kind = kept("forgotten.colour", "rate", kinds), onlyLost = Boolean(before) && STATE.get("forgotten.lost") === "yes";
  let sort = { key: kept("forgotten.sort", order0, ["lost", "problem", ...ARMS.keys()]), down: STATE.has("forgotten.down") ? STATE.get("forgotten.down") === "yes" : down0 };
  let open = benchmark.problems.find((problem) => problem.id === STATE.get("forgotten.problem")) ?? null;
  /** The state of the map, in the address. */
  const remember = () => {
    keep("forgotten.benchmark", benchmark.name, names[0]);
    keep("forgotten.colour", kind, "rate");
    keep("forgotten.lost", onlyLost ? "yes" : "", "");
    keep("forgotten.sort", sort.key, order0);
    keep("forgotten.down", sort.down === down0 ? "" : sort.down ? "yes" : "no", "");
    keep("forgotten.problem", open ? open.id : "", "");
  };
  const table = el("table", { class: "heat" }), detail = el("div", { class: "detail", "aria-live": "polite" }), tally = el("p", { class: "small" });

  const isLost = (problem, arm) => before && arm !== before && problem.cells[before]?.c > 0 && problem.cells[arm]?.n > 0 && problem.cells[arm].c === 0;
  const arms = () => [...ARMS.values()].filter((arm) => shown.has(arm.name) && benchmark.problems.some((problem) => problem.cells[arm.name]));
  const trained = () => arms().filter((arm) => !arm.before);
  /** How much of what was solved before is lost, summed over the arms shown. */
  const loss = (problem) => trained().reduce((sum, arm) => sum + Math.max(0, rate(problem.cells[before]) - (rate(problem.cells[arm.name]) ?? 0)), 0);
  const value = (problem, arm) => {
    const cell = problem.cells[arm];
    if (!cell || !cell.n) return null;
    if (kind === "distinct") return cell.distinct;
    if (kind === "change") return arm === before ? null : rate(cell) - rate(problem.cells[before]);
    return rate(cell);
  };
  const sortKeys = { lost: loss, problem: (problem) => benchmark.problems.indexOf(problem) };
  const header = (key, text) => {
    const active = sort.key === key;
    const button = el("button", { type: "button", "data-sort": key, on: { click: () => {
      sort = { key, down: active ? !sort.down : true };
      remember();
      draw();
      table.querySelector(`[data-sort="${CSS.escape(key)}"]`).focus();
    } } }, text, el("span", { "aria-hidden": "true" }, active ? (sort.down ? " ↓" : " ↑") : ""));
    return el("th", { scope: "col", "aria-sort": active ? (sort.down ? "descending" : "ascending") : "none" }, button);
  };
  const cellOf = (problem, arm, largest) => {
    const cell = problem.cells[arm.name], shown = value(problem, arm.name);
    if (shown == null) return el("td", { class: "none" }, "·");
    const lost = isLost(problem, arm.name);
    const text = kind === "distinct" ? String(shown) : kind === "change" ? `${shown > 0 ? "+" : shown < 0 ? "−" : ""}${Math.abs(100 * shown).toFixed(0)}` : (100 * shown).toFixed(shown > 0 && shown < 0.01 ? 1 : 0);
    const part = kind === "distinct" ? shown / Math.max(largest, 1) : Math.abs(shown);
    const classes = [kind === "change" ? (shown < 0 ? "down" : "up") : "seq", part > 0.5 ? "strong" : "", lost ? "lost" : ""].join(" ");
    const td = el("td", { class: classes, title: `${arm.label}: ${count(cell.c)} of ${count(cell.n)} right, ${count(cell.distinct)} distinct right answers${lost ? "; forgotten" : ""}` }, text, lost && el("span", { class: "away" }, " forgotten"));
    td.style.setProperty("--part", part.toFixed(3));
    return td;
  };
  const mean = (numbers) => { const known = numbers.filter((n) => n != null); return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null; };

  function draw() {
    const columns = arms();
    const key = sortKeys[sort.key] || ((problem) => value(problem, sort.key) ?? -Infinity);
    let rows = [...benchmark.problems].sort((a, b) => (sort.down ? key(b) - key(a) : key(a) - key(b)));
    if (onlyLost) rows = rows.filter((problem) => trained().some((arm) => isLost(problem, arm.name)));
    const largest = Math.max(...rows.flatMap((problem) => columns.map((arm) => problem.cells[arm.name]?.distinct ?? 0)), 1);
    const summary = (text, of) => el("tr", { class: "sum" }, el("th", { scope: "row" }, text), ...columns.map((arm) => el("td", {}, of(arm))));
    table.replaceChildren(
      el("caption", { class: "away" }, `${benchmark.label}: problems against arms`),
      el("thead", {}, el("tr", {}, header("problem", "Problem"), ...columns.map((arm) => header(arm.name, arm.before ? `${arm.label} (before)` : arm.label))),
        before && summary("forgotten problems", (arm) => (arm.before ? "" : String(benchmark.problems.filter((problem) => isLost(problem, arm.name)).length))),
        summary("success rate, %", (arm) => (100 * mean(benchmark.problems.map((problem) => rate(problem.cells[arm.name])))).toFixed(1)),
        summary("distinct right answers a problem", (arm) => mean(benchmark.problems.map((problem) => problem.cells[arm.name]?.distinct ?? null)).toFixed(1))),
      el("tbody", {}, ...rows.map((problem) => el("tr", { class: problem === open ? "open" : "" },
        el("th", { scope: "row" }, el("button", { type: "button", "aria-pressed": String(problem === open), on: { click: () => { open = problem; remember(); draw(); showProblem(true); } } }, ...untrusted(shortened(problem.prompt)))),
        ...columns.map((arm) => cellOf(problem, arm, largest))))));
    tally.textContent = `${rows.length} of ${benchmark.problems.length} problems${sort.key === "lost" && before ? ", those that lost most first" : ""}.${leftOut(benchmark)}`;
    if (open) showProblem(false);
  }

  /** The distinct right answers of a problem, found by whom and how often. */
  function showProblem(move) {
    const columns = arms();
    const found = new Map(); // text -> arm -> count
    for (const arm of columns) for (const [text, times] of open.cells[arm.name]?.answers ?? []) {
      if (!found.has(text)) found.set(text, new Map());
      found.get(text).set(arm.name, times);
    }
    const first = before && shown.has(before) ? before : columns[0]?.name;
    const rows = [...found].sort(([, a], [, b]) => (b.get(first) ?? 0) - (a.get(first) ?? 0) || Math.max(...b.values()) - Math.max(...a.values()));
    const left = Math.max(0, ...columns.map((arm) => (open.cells[arm.name]?.distinct ?? 0) - (open.cells[arm.name]?.answers.length ?? 0)));
    const heading = el("h3", { tabindex: "-1" }, ...untrusted(shortened(open.prompt, 120)));
    detail.replaceChildren(heading,
      open.answer && el("p", { class: "small" }, "Reference answer: ", el("code", {}, ...untrusted(open.answer))),
      rows.length ? el("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Distinct right answers by arm" }, el("table", { class: "answers" },
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Right answer"), ...columns.map((arm) => el("th", { scope: "col" }, arm.label, el("small", {}, `${count(open.cells[arm.name]?.distinct ?? 0)} distinct`))))),
        el("tbody", {}, ...rows.map(([text, times]) => el("tr", {}, el("th", { scope: "row" }, el("code", {}, ...untrusted(shortened(open.texts[text], 200)))),
          ...columns.map((arm) => answerCell(times.get(arm.name) ?? 0, open.cells[arm.name], arm, times.get(before))))))))
        : el("p", { class: "note" }, "No arm that is switched on has solved it."),
      el("p", { class: "small" }, `Samples that gave each answer${left ? "; not all of an arm have room in this file, so “lost” is said only where it is certain" : ""}. `,
        el("button", { type: "button", class: "quiet", on: { click: () => document.dispatchEvent(new CustomEvent("completions", { detail: { benchmark: benchmark.name, problem: open.id } })) } }, "Read the completions")));
    if (move) heading.focus({ preventScroll: false });
  }
  function answerCell(times, cell, arm, timesBefore) {
    const complete = cell && cell.answers.length === cell.distinct;
    if (!times) return el("td", { class: timesBefore && !arm.before && complete ? "gone" : "none" }, timesBefore && !arm.before && complete ? "lost" : "·");
    const td = el("td", { class: `seq ${times / cell.n > 0.5 ? "strong" : ""}`, title: `${percent(times / cell.n, 1)} of the samples` }, count(times));
    td.style.setProperty("--part", Math.sqrt(times / cell.n).toFixed(3));
    return td;
  }

  const pick = choice("Benchmark", benchmarkChoices(), (name) => { benchmark = DATA.benchmarks.find((entry) => entry.name === name); open = null; detail.replaceChildren(); remember(); draw(); }, benchmark.name);
  const show = choice("Colour by", [["rate", "success rate, %"], ...(before ? [["change", "change, points"]] : []), ["distinct", "distinct right answers"]], (name) => { kind = name; remember(); draw(); }, kind);
  const order = choice("Sort by", [...(before ? [["lost", "most lost"]] : []), ["problem", "order of the benchmark"], ...[...ARMS.values()].map((arm) => [arm.name, arm.label])], (key) => { sort = { key, down: key !== "problem" }; remember(); draw(); }, sort.key);
  home.append(el("div", { class: "controls" }, pick.field, show.field, order.field, before && toggle("only forgotten problems", onlyLost, (on) => { onlyLost = on; remember(); draw(); })),
    armSwitches((arm) => DATA.benchmarks.some((entry) => entry.problems.some((problem) => problem.cells[arm]))), el("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Problems against arms" }, table), tally, detail);
  if (!before) home.append(el("p", { class: "note" }, "The untrained policy was not evaluated here, so there is nothing to compare with. The same command with arm=base training.steps=0 evaluates it."));
  redraws.push(draw);
  draw();
})();

function shortened(text, length = 60) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}
