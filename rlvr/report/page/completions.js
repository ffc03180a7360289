// Single completions: samples of the evaluation, and training groups with advantages and token weights.

(() => {
  const home = section("completions");
  const sources = [...(DATA.benchmarks.length ? [["evaluation", "evaluation samples"]] : []), ...(DATA.groups.length ? [["training", "training groups"]] : [])];
  if (!sources.length) {
    home.append(el("p", { class: "note" }, "No samples yet."));
    return;
  }
  const row = el("div", { class: "controls" }), list = el("div", { class: "cards" }), head = el("div", { class: "prompt" });
  let benchmark = DATA.benchmarks[0]?.name, problem = 0, arm = null, verdict = "any", group = 0, numbers = false;

  const card = (verdictName, extra, body) => el("article", { class: "card" }, el("header", {}, chip(verdictName), ...extra), body);
  const prompt = (text, ...facts) => head.replaceChildren(el("p", { class: "text" }, ...untrusted(text)), el("p", { class: "small" }, ...facts));

  function drawEvaluation() {
    const of = DATA.benchmarks.find((entry) => entry.name === benchmark), { problems } = of;
    const asked = problems[problem];
    const arms = [...ARMS.values()].filter((entry) => asked.cells[entry.name]);
    if (!arms.some((entry) => entry.name === arm)) arm = arms[0].name;
    const cell = asked.cells[arm];
    const verdicts = [...new Set(cell.samples.map(([, name]) => name))];
    if (!verdicts.includes(verdict)) verdict = "any";
    row.replaceChildren(source.field,
      chosen(choice("Benchmark", benchmarkChoices(), (name) => { benchmark = name; problem = 0; draw("Benchmark"); }), benchmark),
      chosen(choice("Problem", problems.map((entry, i) => [i, shortened(entry.prompt)]), (i) => { problem = Number(i); draw("Problem"); }), problem),
      chosen(choice("Arm", arms.map((entry) => [entry.name, entry.label]), (name) => { arm = name; draw("Arm"); }), arm),
      chosen(choice("Verdict", [["any", "any"], ...verdicts.map((name) => [name, VERDICTS[name]?.[1] ?? name])], (name) => { verdict = name; draw("Verdict"); }), verdict));
    prompt(asked.prompt, asked.answer && "Reference answer: ", asked.answer && el("code", {}, ...untrusted(asked.answer)),
      ` ${count(cell.c)} of ${count(cell.n)} samples right, ${count(cell.distinct)} distinct right answers.${leftOut(of)}`);
    const kept = cell.samples.filter(([, name]) => verdict === "any" || name === verdict);
    list.replaceChildren(...kept.map(([text, name, times]) => card(name, [el("span", { class: "small" }, `${count(times)} ×`)], el("p", { class: "text" }, ...untrusted(asked.texts[text])))));
    if (cell.more) list.append(el("p", { class: "small" }, `${count(cell.more)} samples with further texts are in the run's evaluation files, not here.`));
  }

  function drawTraining() {
    const entry = DATA.groups[group], label = (item) => `${ARMS.get(item.arm)?.label ?? item.arm}, seed ${item.seed}, step ${item.step}: ${shortened(item.prompt, 40)}`;
    const largest = Math.max(...entry.completions.map((completion) => Math.abs(completion.advantage ?? 0)), 1e-9);
    const weighted = entry.completions.some((completion) => completion.weights?.some((weight) => weight !== 1));
    row.replaceChildren(source.field, chosen(choice("Group", DATA.groups.map((item, i) => [i, label(item)]), (i) => { group = Number(i); draw("Group"); }), group),
      ...(weighted ? [toggle("weights in numbers", numbers, (on) => { numbers = on; draw(); })] : []));
    prompt(entry.prompt, `${entry.completions.length} rollouts. `, entry.focal_weight !== 1 && `Focal weight ${number(entry.focal_weight)}. `,
      weighted ? "Darker tokens weigh more in the loss; a token that w rollouts share weighs 1/w." : "Every token weighs 1 in the loss.");
    list.replaceChildren(...entry.completions.map((completion) => {
      const bar = el("span", { class: `advantage ${completion.advantage < 0 ? "minus" : "plus"}` });
      bar.style.setProperty("--part", (Math.abs(completion.advantage ?? 0) / largest).toFixed(3));
      const extra = completion.advantage == null ? [el("span", { class: "small" }, "not in the loss")]
        : [el("span", { class: "small" }, `advantage ${completion.advantage > 0 ? "+" : completion.advantage < 0 ? "−" : ""}${Math.abs(completion.advantage).toFixed(3)}`), bar];
      return card(completion.verdict, extra, el("p", { class: "text tokens" }, ...completion.tokens.map((token, i) => {
        const weight = completion.weights?.[i] ?? 1;
        const span = el("span", weighted ? { title: `weight ${number(weight)}`, class: weight > 0.5 ? "token strong" : "token" } : { class: "token plain" }, ...untrusted(token), numbers && weighted && el("sub", {}, number(weight)));
        span.style.setProperty("--part", weight.toFixed(3));
        return span;
      })));
    }));
  }

  function chosen({ select, field }, value) {
    select.value = value;
    return field;
  }
  function draw(focus) {
    if (source.select.value === "training") drawTraining(); else drawEvaluation();
    // the controls are new ones: keep the keyboard where it was
    if (focus) [...row.querySelectorAll("label")].find((label) => label.textContent === focus)?.control.focus();
  }
  const source = choice("From", sources, () => { draw("From"); });
  home.append(row, head, list);
  document.addEventListener("completions", ({ detail }) => {
    source.select.value = "evaluation";
    benchmark = detail.benchmark;
    problem = DATA.benchmarks.find((entry) => entry.name === benchmark).problems.findIndex((entry) => entry.id === detail.problem);
    draw();
    home.scrollIntoView();
    source.select.focus({ preventScroll: true });
  });
  draw();
})();
