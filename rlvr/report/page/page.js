"use strict";
// What all parts of the page share. Whatever a policy wrote is put on the screen by textContent alone.

const DATA = JSON.parse(document.getElementById("data").textContent);
const ARMS = new Map(DATA.arms.map((arm) => [arm.name, arm]));
const redraws = []; // called when the arms switched on or the colours change
const redraw = () => redraws.forEach((draw) => draw());

// What is chosen is kept in the address, after the section, so that a link shows the same:
// #forgotten?forgotten.benchmark=gcd&off=grpo
const [PLACE, QUERY] = location.hash.slice(1).split("?");
const STATE = new URLSearchParams(QUERY);
const shown = new Set([...ARMS.keys()].filter((name) => !STATE.getAll("off").includes(name))); // arms switched on

/** What the address says of a choice, if that is one of the accepted; else what holds without. */
const kept = (name, plain, accepted) => (STATE.has(name) && accepted.includes(STATE.get(name)) ? STATE.get(name) : plain);

/** Put a choice into the address; what holds without one is left out. */
function keep(name, value, plain) {
  if (value === plain) STATE.delete(name); else STATE.set(name, value);
  address(name.split(".")[0]);
}
function keepArms() {
  STATE.delete("off");
  for (const name of ARMS.keys()) if (!shown.has(name)) STATE.append("off", name);
  address(location.hash.slice(1).split("?")[0]);
}
const address = (place) => history.replaceState(null, "", `#${place}${STATE.toString() ? `?${STATE}` : ""}`);
addEventListener("hashchange", () => {
  const [place, query] = location.hash.slice(1).split("?");
  if (query === undefined) address(place); // a link to a section
  else if (query !== STATE.toString()) location.reload(); // another page's address, put into this one
});
addEventListener("DOMContentLoaded", () => { if (QUERY !== undefined) document.getElementById(PLACE)?.scrollIntoView(); });

/** A DOM element: attributes, `on` handlers, and children that are elements or plain text. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

const section = (id) => document.getElementById(id);
const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
const count = (number) => number.toLocaleString("en-US");
const number = (value) => (value == null ? "–" : String(Number(value.toPrecision(4))));
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A control under its label. */
let controls = 0;
function field(text, control, ...more) {
  control.id = `control-${controls++}`;
  return el("div", { class: "field" }, el("label", { for: control.id }, text), el("div", {}, control, ...more));
}

/** A labelled <select>; options are [value, text], or {label, options} for a group of them. */
function choice(text, options, onchange, chosen) {
  const option = ([value, label]) => el("option", { value }, label);
  const select = el("select", { on: { change: () => onchange(select.value) } },
    ...options.map((entry) => (Array.isArray(entry) ? option(entry) : el("optgroup", { label: entry.label }, ...entry.options.map(option)))));
  if (chosen !== undefined) select.value = chosen;
  return { select, field: field(text, select) };
}

/** A labelled checkbox. */
function toggle(text, checked, onchange) {
  const box = el("input", { type: "checkbox", checked, on: { change: () => onchange(box.checked) } });
  return el("label", { class: "toggle" }, box, text);
}

/** Colour and dashes of an arm. A baseline has its partner's colour, dashed; the untrained policy is grey. */
const HUES = 7, ROUNDS = [null, [10, 3, 2, 3], [2, 3]], PAIRS = [[6, 4], [12, 6], [4, 8]];
const LOOKS = (() => {
  const looks = new Map();
  let hue = 0;
  for (const arm of ARMS.values()) {
    if (arm.before) looks.set(arm.name, { colour: "--grey", dash: [2, 4] });
    else if (!looks.has(arm.name)) {
      const colour = `--hue-${hue % HUES}`, round = Math.floor(hue++ / HUES);
      const partners = [...ARMS.values()].filter((other) => other.baseline === arm.name);
      const pair = partners.length === 1 && !partners[0].before;
      looks.set(arm.name, { colour, dash: pair ? PAIRS[round % PAIRS.length] : ROUNDS[round % ROUNDS.length] });
      if (pair) looks.set(partners[0].name, { colour, dash: ROUNDS[round % ROUNDS.length] });
    }
  }
  return looks;
})();

/** A piece of an arm's line. */
function swatch(arm) {
  const look = LOOKS.get(arm), svg = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
  const picture = svg("svg"), line = svg("path");
  picture.setAttribute("viewBox", "0 0 24 8");
  picture.setAttribute("aria-hidden", "true");
  line.setAttribute("d", "M1 4H23");
  if (look.dash) line.setAttribute("stroke-dasharray", look.dash.map((length) => length / 1.5).join(" "));
  line.style.stroke = `var(${look.colour})`;
  picture.append(line);
  return picture;
}

/** Switches for the arms of a section that `has` something to show of them; a switch holds for all sections. */
function armSwitches(has = () => true) {
  const row = el("fieldset", { class: "arms" }, el("legend", {}, "Arms"));
  const boxes = [...ARMS.values()].filter((arm) => has(arm.name)).map((arm) => {
    const box = el("input", { type: "checkbox", value: arm.name, on: { change: () => {
      if (box.checked) shown.add(arm.name); else shown.delete(arm.name);
      keepArms();
      redraw();
    } } });
    row.append(el("label", { class: "arm" }, box, swatch(arm.name), arm.label));
    return [box, arm.name];
  });
  const all = el("button", { type: "button", class: "quiet", on: { click: () => {
    const on = shown.size < ARMS.size;
    for (const name of ARMS.keys()) if (on) shown.add(name); else shown.delete(name);
    keepArms();
    redraw();
  } } }, "all / none");
  if (boxes.length > 1) row.append(all);
  const update = () => boxes.forEach(([box, name]) => { box.checked = shown.has(name); });
  redraws.push(update);
  update();
  return row;
}

// Control characters and marks that change the direction of text are shown, not obeyed.
const UNSEEN = /([\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff])/;

/** Nodes for text that is not to be trusted. */
function untrusted(text) {
  return text.split(UNSEEN).filter(Boolean).map((part) => (UNSEEN.test(part)
    ? el("span", { class: "unseen", title: "an invisible character" }, `U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`)
    : document.createTextNode(part)));
}

const VERDICTS = {
  correct: ["✓", "right"], wrong: ["✗", "wrong"], no_answer: ["∅", "no answer"], truncated: ["…", "cut off"],
  reference_unparsable: ["?", "reference unreadable"], timeout: ["⧖", "verifier timed out"], error: ["!", "verifier failed"],
};
function chip(verdict) {
  const [sign, text] = VERDICTS[verdict] || ["", verdict];
  return el("span", { class: `chip ${verdict === "correct" ? "good" : verdict === "wrong" ? "bad" : "other"}` }, `${sign} ${text}`);
}

/** The switch between the system's colours, light and dark. */
(() => {
  const button = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  button.addEventListener("click", () => {
    const theme = themes[(themes.indexOf(document.documentElement.dataset.theme || "auto") + 1) % 3];
    document.documentElement.dataset.theme = theme;
    button.querySelector("span").textContent = theme;
    button.setAttribute("aria-label", `Colours: ${theme === "auto" ? "as the system has them" : theme}`);
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
})();

/** Time by stage: a bar of its parts, and the total. */
(() => {
  const cells = [...document.querySelectorAll(".stages")];
  const stages = cells.map((cell) => JSON.parse(cell.dataset.stages));
  const total = (parts) => Object.values(parts).reduce((sum, part) => sum + part, 0);
  const longest = Math.max(...stages.map(total), 1e-9);
  const duration = (seconds) => (seconds < 90 ? `${seconds.toFixed(0)} s` : seconds < 5400 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`);
  const order = ["profiling", "sampling", "verification", "advantage", "update", "weight_sync", "other", "evaluation"];
  const names = order.filter((name) => stages.some((parts) => name in parts));
  cells.forEach((cell, index) => {
    const parts = stages[index];
    const text = names.filter((name) => parts[name] != null).map((name) => `${name} ${duration(parts[name])}`).join(", ");
    const bar = el("span", { class: "bar", role: "img", "aria-label": text || "no times yet", title: text });
    for (const name of names) if (parts[name]) {
      const piece = el("i", { class: `stage-${order.indexOf(name)}` });
      piece.style.width = `${(100 * parts[name]) / longest}%`;
      bar.append(piece);
    }
    cell.append(bar, el("span", { class: "total" }, duration(total(parts))));
  });
  const sums = names.map((name) => stages.reduce((sum, parts) => sum + (parts[name] || 0), 0));
  const all = sums.reduce((a, b) => a + b, 0) || 1;
  section("provenance").querySelector(".scroll").after(el("ul", { class: "legend" }, ...names.map((name, i) =>
    el("li", {}, el("i", { class: `stage-${order.indexOf(name)}` }), `${name === "other" ? "loading, validation, checkpoints" : name.replace("_", " ")} ${duration(sums[i])} (${percent(sums[i] / all)})`))));
})();

/** Columns that sum the others up stand first where the screen is narrow. */
(() => {
  const narrow = matchMedia("(max-width: 40rem)");
  const order = () => {
    for (const box of document.querySelectorAll("[data-averages]")) {
      const averages = JSON.parse(box.dataset.averages);
      const rank = (place) => (place === 0 || !narrow.matches ? place : averages.includes(place) ? place - 1000 : place);
      for (const row of box.querySelectorAll("tr")) {
        const cells = [...row.children];
        cells.forEach((cell, i) => { cell.dataset.place ??= i; });
        const rest = cells.slice().sort((a, b) => rank(Number(a.dataset.place)) - rank(Number(b.dataset.place)));
        const first = rest.find((cell) => cell.dataset.place === "0");
        row.append(first, ...rest.filter((cell) => cell !== first));
      }
    }
  };
  narrow.addEventListener("change", order);
  order();
})();

/** A box with more to its right says so: with a shade at the edge, and how many columns there are. */
function saysThatItScrolls(box) {
  const edges = el("div", { class: "edges" }), hint = el("p", { class: "hint", "aria-hidden": "true" });
  box.replaceWith(edges);
  edges.append(box);
  edges.after(hint);
  const look = () => {
    const right = box.scrollLeft + box.clientWidth + 1;
    edges.classList.toggle("more", box.scrollWidth > right + 1);
    edges.classList.toggle("less", box.scrollLeft > 1);
    const hidden = [...box.querySelectorAll("thead tr:first-child > *")].filter((cell) => cell.offsetLeft + cell.offsetWidth > right).length;
    hint.textContent = hidden && box.scrollWidth > right + 1 ? `scroll for ${hidden} more column${hidden === 1 ? "" : "s"} →` : "";
  };
  box.addEventListener("scroll", look, { passive: true });
  const sizes = new ResizeObserver(look);
  sizes.observe(box);
  for (const child of box.children) sizes.observe(child);
}
addEventListener("DOMContentLoaded", () => {
  const all = () => document.querySelectorAll(".scroll").forEach((box) => { if (!box.parentElement.classList.contains("edges")) saysThatItScrolls(box); });
  all();
  new MutationObserver(all).observe(document.getElementById("main"), { childList: true, subtree: true });
});
