// One kind of chart: lines over steps or k, with bands. uPlot draws; the readout says the numbers in words.

class Chart {
  /** `summary` names the chart to those who can't see it. */
  constructor(summary) {
    this.canvas = el("div", { class: "chart", tabindex: "0", role: "img", "aria-label": `${summary} Arrow keys move the cursor.`, on: { keydown: (event) => this.key(event) } });
    this.readout = el("p", { class: "readout", "aria-live": "polite" });
    this.save = el("button", { type: "button", class: "quiet", on: { click: () => this.download() } }, "save as SVG");
    this.element = el("div", {}, this.canvas, this.readout, this.save);
    this.width = 0;
    new ResizeObserver(() => {
      if (this.plot && this.canvas.clientWidth !== this.width) this.resize();
    }).observe(this.canvas);
  }

  /** lines: [{label, arm, x, y, low, high}]; options: {x: name, y: name, log2: boolean, percent: boolean} */
  draw(lines, options) {
    this.plot?.destroy();
    this.lines = lines;
    this.options = options;
    this.canvas.classList.toggle("empty", !lines.length);
    this.save.hidden = !lines.length;
    this.readout.textContent = lines.length ? "" : "Nothing to draw: no arm that has this is switched on.";
    if (!lines.length) { this.plot = null; return; }
    const log = options.log2 ? Math.log2 : (x) => x;
    const tables = [], series = [{}], bands = [];
    for (const line of lines) {
      const look = LOOKS.get(line.arm), colour = style(look.colour);
      tables.push([line.x.map(log), line.y, ...(line.low ? [line.low, line.high] : [])]);
      series.push({ label: line.label, stroke: colour, width: 2, dash: look.dash || undefined, spanGaps: true, points: { show: line.x.length < 40, size: 5, fill: colour } });
      if (line.low) {
        const at = series.length;
        const edge = { stroke: "transparent", width: 0, spanGaps: true, points: { show: false } };
        series.push(edge, { ...edge });
        bands.push({ series: [at + 1, at], fill: `${colour}1c` });
      }
    }
    this.data = uPlot.join(tables);
    this.width = this.canvas.clientWidth;
    const axis = { stroke: style("--soft"), font: `12px ${style("--sans")}`, labelFont: `12px ${style("--sans")}`, grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line"), width: 1, size: 4 } };
    this.plot = new uPlot({
      width: this.width, height: this.height(), series, bands,
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales: {
        x: { time: false, range: (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) },
        y: { range: (_, low, high) => {
          const room = 0.06 * (high - low || Math.abs(high) || 1);
          return options.percent ? [Math.max(0, low - room), Math.min(100, high + room)] : [low - room, high + room];
        } },
      },
      axes: [
        { ...axis, label: options.x, labelSize: 16, labelGap: 0, size: 30, space: 56, ...(options.log2 ? { incrs: [1, 2, 4, 8], values: (_, splits) => splits.map((split) => 2 ** split) } : { incrs: [1, 2, 5].flatMap((n) => [n, 10 * n, 100 * n, 1000 * n, 10000 * n]).sort((a, b) => a - b) }) },
        { ...axis, label: options.y, labelSize: 20, size: 58, values: (_, splits) => splits.map((split) => String(Number(split.toPrecision(6)))) },
      ],
      hooks: { setCursor: [() => this.say()] },
    }, this.data, this.canvas);
    this.say();
  }

  height() { return Math.max(240, Math.min(380, this.width * 0.5)); }

  resize() {
    this.width = this.canvas.clientWidth;
    this.plot.setSize({ width: this.width, height: this.height() });
  }

  /** The numbers under the cursor, or at the end. */
  say() {
    const index = this.plot?.cursor.idx ?? this.data[0].length - 1;
    const x = this.data[0][index];
    const said = (value) => (this.options.log2 ? value.toFixed(1) : number(value));
    const parts = [];
    let at = 1;
    for (const line of this.lines) {
      const value = this.data[at][index];
      if (value != null) {
        const bounds = line.low ? ` (${said(this.data[at + 1][index])} to ${said(this.data[at + 2][index])})` : "";
        parts.push(el("span", {}, swatch(line.arm), ` ${line.label} `, el("b", {}, said(value)), bounds));
      }
      at += line.low ? 3 : 1;
    }
    this.readout.replaceChildren(el("strong", {}, `${this.options.x} ${number(this.options.log2 ? 2 ** x : x)}`), ...parts);
  }

  download() { saveAsSvg(figure(this.lines, this.options, this.plot.scales), this.options.y || "curve"); }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!this.plot || step === undefined) return;
    event.preventDefault();
    const last = this.data[0].length - 1;
    const index = Math.min(last, Math.max(0, (this.plot.cursor.idx ?? last) + step));
    this.plot.setCursor({ left: this.plot.valToPos(this.data[0][index], "x"), top: 10 });
  }
}

/** A figure as a file, in the colours of the page, with its legend: for a talk. */
function saveAsSvg(root, what) {
  const text = new XMLSerializer().serializeToString(root);
  const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  const name = `${document.querySelector("h1").textContent} ${what}`.replace(/[^\w=@.+-]+/g, "-").replace(/^-|-$/g, "");
  el("a", { href: address, download: `${name}.svg` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

/** Round numbers between two bounds, five or so. */
function ticks(low, high) {
  const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= raw);
  return Array.from({ length: Math.floor(high / step) - Math.ceil(low / step) + 1 }, (_, i) => (Math.ceil(low / step) + i) * step);
}

/** Lines, bands, axes and a legend as one SVG element; `scales` are the bounds of its axes.
 * An entry with `marks` is points with a line through them: of another look where `hollow`, with crosses where
 * it has `low` and `high`, `left` and `right`; `quiet` ones are not in the legend. */
function figure(lines, options, scales, width = 760) {
  const plot = { left: 62, right: width - 16, top: 14, bottom: 360 }, columns = width > 560 ? 2 : 1;
  const named = lines.filter((entry) => !entry.quiet), rows = Math.ceil(named.length / columns);
  const svg = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) if (value != null) element.setAttribute(name, value);
    if (text != null) element.textContent = text;
    return element;
  };
  const log = options.log2 ? Math.log2 : (x) => x;
  const X = (x) => plot.left + ((plot.right - plot.left) * (x - scales.x.min)) / (scales.x.max - scales.x.min);
  const Y = (y) => plot.bottom - ((plot.bottom - plot.top) * (y - scales.y.min)) / (scales.y.max - scales.y.min);
  const at = (x, y) => `${X(log(x)).toFixed(1)},${Y(y).toFixed(1)}`;
  const height = plot.bottom + 52 + 20 * rows;
  const root = svg("svg", { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${width} ${height}`, width, height, "font-family": "system-ui, sans-serif", "font-size": 13 });
  const ink = style("--ink"), line = style("--line");
  const xs = options.log2 ? ticks(scales.x.min, scales.x.max).filter(Number.isInteger) : ticks(scales.x.min, scales.x.max);
  for (const x of xs) {
    root.append(svg("path", { d: `M${X(x)} ${plot.top}V${plot.bottom}`, stroke: line }));
    root.append(svg("text", { x: X(x), y: plot.bottom + 18, "text-anchor": "middle", fill: ink }, String(options.log2 ? 2 ** x : Number(x.toPrecision(6)))));
  }
  for (const y of ticks(scales.y.min, scales.y.max)) {
    root.append(svg("path", { d: `M${plot.left} ${Y(y)}H${plot.right}`, stroke: line }));
    root.append(svg("text", { x: plot.left - 8, y: Y(y) + 4, "text-anchor": "end", fill: ink }, String(Number(y.toPrecision(6)))));
  }
  root.append(svg("text", { x: (plot.left + plot.right) / 2, y: plot.bottom + 38, "text-anchor": "middle", fill: ink }, options.x));
  root.append(svg("text", { transform: `translate(16 ${(plot.top + plot.bottom) / 2}) rotate(-90)`, "text-anchor": "middle", fill: ink }, options.y));
  for (const entry of lines) {
    const look = LOOKS.get(entry.arm), colour = entry.quiet ? style("--soft") : style(look.colour), dash = entry.marks || entry.quiet ? null : look.dash?.join(" ");
    const known = entry.x.map((x, j) => [x, j]).filter(([, j]) => entry.y[j] != null);
    if (entry.low && !entry.marks) root.append(svg("polygon", { points: [...known.map(([x, j]) => at(x, entry.high[j])), ...known.slice().reverse().map(([x, j]) => at(x, entry.low[j]))].join(" "), fill: colour, "fill-opacity": 0.12 }));
    root.append(svg("polyline", { points: known.map(([x, j]) => at(x, entry.y[j])).join(" "), fill: "none", stroke: colour, "stroke-width": entry.marks || entry.quiet ? 1 : 2, "stroke-dasharray": dash }));
    for (const [x, j] of entry.marks ? known : []) {
      if (entry.left) root.append(svg("path", { d: `M${X(entry.left[j])} ${Y(entry.y[j])}H${X(entry.right[j])}M${X(x)} ${Y(entry.low[j])}V${Y(entry.high[j])}`, stroke: colour, "stroke-opacity": 0.45 }));
      const mark = svg("circle", { cx: X(x).toFixed(1), cy: Y(entry.y[j]).toFixed(1), r: known.length > 1 && j < known.length - 1 ? 2.5 : 5.5, fill: entry.hollow ? style("--paper") : colour, stroke: colour, "stroke-width": 2 });
      mark.append(svg("title", {}, `${entry.label}: ${options.x} ${x}, ${options.y} ${entry.y[j]}`));
      root.append(mark);
    }
  }
  named.forEach((entry, i) => {
    const look = LOOKS.get(entry.arm), colour = style(look.colour);
    const left = plot.left + (i % columns) * ((plot.right - plot.left) / columns + 4), top = plot.bottom + 62 + 20 * Math.floor(i / columns);
    if (entry.marks) root.append(svg("circle", { cx: left + 14, cy: top - 4, r: 5, fill: entry.hollow ? style("--paper") : colour, stroke: colour, "stroke-width": 2 }));
    else root.append(svg("path", { d: `M${left} ${top - 4}h28`, stroke: colour, "stroke-width": 2.4, "stroke-dasharray": look.dash?.join(" ") }));
    root.append(svg("text", { x: left + 36, y: top, fill: ink }, entry.label));
  });
  return root;
}
