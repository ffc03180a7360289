// One kind of chart: lines over steps or k, with bands. uPlot draws; the readout says the numbers in words.

class Chart {
  /** `summary` names the chart to those who can't see it. */
  constructor(summary) {
    this.canvas = el("div", { class: "chart", tabindex: "0", role: "img", "aria-label": `${summary} Arrow keys move the cursor.`, on: { keydown: (event) => this.key(event) } });
    this.readout = el("p", { class: "readout", "aria-live": "polite" });
    this.element = el("div", {}, this.canvas, this.readout);
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

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!this.plot || step === undefined) return;
    event.preventDefault();
    const last = this.data[0].length - 1;
    const index = Math.min(last, Math.max(0, (this.plot.cursor.idx ?? last) + step));
    this.plot.setCursor({ left: this.plot.valToPos(this.data[0][index], "x"), top: 10 });
  }
}
