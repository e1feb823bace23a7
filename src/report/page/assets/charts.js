// A line chart: hover or arrow keys for values, drag or keys to zoom. All charts show the same rounds.
"use strict";

const charts = new Set();

class Chart {
  /** `options`: label for readers of screens, `format` of values, `isWhole` if it does not follow the zoom. */
  constructor(host, options) {
    this.host = host;
    this.options = options;
    this.plot = null;
    this.made = "";
    this.spec = null;
    this.tip = element("div", { class: "tip", role: "status" });
    this.tip.hidden = true;
    this.none = element("p", { class: "none" });
    host.tabIndex = 0;
    host.setAttribute("role", "group");
    host.setAttribute("aria-label", `${options.label}; arrow keys show values`);
    host.append(this.none, this.tip);
    host.addEventListener("keydown", (event) => this.key(event));
    host.addEventListener("blur", () => this.leave());
    new ResizeObserver(() => this.resize()).observe(host);
    charts.add(this);
  }

  /** Draws columns: `x`, and `series` of `{label, color, dash, width, values, fill, shown}`, where `shown` are the values to tell. */
  draw(spec) {
    this.spec = spec;
    const { series, bands = [] } = spec;
    this.none.textContent = spec.x.length === 0 || series.length === 0 ? "nothing to draw yet" : "";
    const made = JSON.stringify([series.map(({ values, shown, ...look }) => look), bands, spec.range ?? null, color("ink")]);
    const data = [spec.x, ...series.map((line) => line.values)];
    if (made === this.made && this.plot) {
      this.plot.setData(data);
      return;
    }
    this.made = made;
    this.plot?.destroy();
    this.plot = new uPlot(this.uplotOptions(series, bands), data, this.host);
    this.plot.root.setAttribute("aria-hidden", "true");
  }

  uplotOptions(series, bands) {
    const axis = { stroke: color("quiet"), grid: { stroke: color("grid"), width: 1 }, ticks: { stroke: color("line"), size: 4 }, font: "12px system-ui, sans-serif" };
    const range = this.spec.range;
    return {
      ...this.size(),
      legend: { show: false },
      padding: [8, 10, 0, 0],
      cursor: {
        sync: { key: "rounds", scales: ["x", null], setSeries: false },
        drag: { x: true, y: false, setScale: false },
        points: { size: 7, width: 1.5 },
        y: false,
        bind: { dblclick: () => () => show(null) },
      },
      scales: { x: { time: false, range: (_, low, high) => this.xRange(low, high) }, y: range ? { range } : {} },
      axes: [
        { ...axis, size: 34, space: 60, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? number(tick) : "")) },
        { ...axis, size: 62, space: 40, values: (_, ticks) => ticks.map((tick) => (this.options.formatAxis ?? this.options.format)(tick)) },
      ],
      series: [{}, ...series.map((line) => Chart.line(line))],
      bands: bands.map(({ series: pair, color: name, opacity }) => ({ series: pair, fill: Chart.faded(color(name), opacity) })),
      hooks: { setCursor: [() => this.tell()], setSelect: [(plot) => this.select(plot)] },
    };
  }

  static line(line) {
    const stroke = line.opacity ? Chart.faded(color(line.color), line.opacity) : color(line.color);
    const fill = line.fill ? Chart.faded(color(line.color), line.fill) : undefined;
    return { label: line.label, stroke: line.width === 0 ? "transparent" : stroke, width: line.width ?? 1.8, dash: line.dash, fill, spanGaps: line.gaps !== true,
      points: { show: line.points === true, size: 4, fill: stroke } };
  }

  /** A color with some of its opacity. */
  static faded(name, opacity) {
    const full = name.length === 4 ? `#${[...name.slice(1)].map((digit) => digit + digit).join("")}` : name;
    return `${full}${Math.round(255 * opacity).toString(16).padStart(2, "0")}`;
  }

  size() {
    return { width: Math.max(120, this.host.clientWidth), height: this.host.clientHeight || 200 };
  }

  resize() {
    if (this.plot && this.host.clientWidth > 0) this.plot.setSize(this.size());
  }

  xRange(low, high) {
    if (!this.options.isWhole) return view ?? [0, Math.max(1, lastRound())];
    if (low === null) return [0, 1];
    return low === high ? [low, low + 1] : [low, high];
  }

  select(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    if (!this.options.isWhole) show([Math.floor(from), Math.ceil(to)]);
  }

  key(event) {
    const { plot } = this;
    if (!plot || event.ctrlKey || event.metaKey || event.altKey || event.target !== this.host) return;
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const x = plot.data[0];
    const [low, high] = [plot.scales.x.min, plot.scales.x.max];
    const first = x.findIndex((round) => round >= low);
    const last = placeOf(x, high);
    if (first < 0 || last < first) return;
    const from = plot.cursor.idx ?? (step > 0 ? first - 1 : last + 1);
    const to = Math.min(last, Math.max(first, from + step * (event.shiftKey ? 10 : 1)));
    this.byKey = true;
    plot.setCursor({ left: plot.valToPos(x[to], "x"), top: plot.over.clientHeight / 3 });
  }

  /** The lines with the largest values, if there are too many to tell. */
  largest(idx) {
    const { series, few } = this.spec;
    const value = (line) => (line.shown ?? line.values)[idx] ?? -Infinity;
    return [...series].sort((a, b) => value(b) - value(a)).slice(0, few);
  }

  leave() {
    this.byKey = false;
    this.tip.hidden = true;
  }

  /** Shows the values at the cursor, if it is over this chart. */
  tell() {
    const { plot, tip } = this;
    const { idx, left } = plot.cursor;
    const isHere = plot.over.matches(":hover") || (this.byKey && document.activeElement === this.host);
    if (!isHere || idx === null || idx === undefined || left < 0) {
      tip.hidden = true;
      return;
    }
    const round = plot.data[0][idx];
    const told = this.spec.few ? this.largest(idx) : this.spec.series;
    const rows = told.filter((line) => line.label !== "").map((line) => {
      const values = line.shown ?? line.values;
      const [value, place] = line.gaps ? [values[idx], idx] : lastKnown(values, idx);
      if (!isKnown(value)) return null;
      const when = place === idx ? "" : ` (round ${plot.data[0][place]})`;
      return element("tr", {}, element("td", {}, spot(line.color, line.dash), `${line.label}${when}`),
        element("td", {}, element("strong", {}, this.options.format(value)), line.more ? line.more(idx) : ""));
    });
    tip.replaceChildren(element("div", { class: "quiet" }, `round ${number(round)}`), element("table", {}, element("tbody", {}, ...rows)));
    tip.hidden = false;
    const x = left + plot.over.offsetLeft;
    const beside = x + 16 + tip.offsetWidth > this.host.clientWidth ? x - 16 - tip.offsetWidth : x + 16;
    tip.style.left = `${Math.max(0, Math.min(beside, this.host.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = "6px";
  }
}
