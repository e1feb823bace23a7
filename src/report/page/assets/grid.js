// The status of each peer in each round, as a picture of small cells.
"use strict";

const STATUS_COLORS = {
  passed: "s-passed", absent: "s-absent", too_early: "s-time", too_late: "s-time", late_key: "s-time", wrong_key: "s-bad", misplaced_key: "s-bad",
  malformed: "s-bad", out_of_sync: "s-sync", copy: "s-copy", excluded: "s-out", unregistered: "card",
};
const MEANINGS = [
  ["s-in", "aggregated"], ["s-passed", "passed"], ["s-absent", "absent"], ["s-time", "too early, too late, late key"], ["s-sync", "out of sync"],
  ["s-bad", "malformed, wrong key"], ["s-copy", "copy"], ["s-out", "excluded"],
];

/** Status and aggregation that a letter stands for; null for none. */
function meaning(letter) {
  if (!letter || letter === " ") return null;
  const isIn = letter < "a";
  return { status: run.about.statuses[letter.toLowerCase().charCodeAt(0) - 97], isIn };
}

const tellStatus = (letter) => {
  const found = meaning(letter);
  return found ? plain(found.status) + (found.isIn ? ", aggregated" : "") : "not there";
};

/** The pixel of each letter, in this color scheme. */
function letterColors() {
  const rgb = (name) => {
    const hex = color(name).replace("#", "");
    const full = hex.length === 3 ? [...hex].map((digit) => digit + digit).join("") : hex;
    const [red, green, blue] = [0, 2, 4].map((place) => parseInt(full.slice(place, place + 2), 16));
    return new Uint32Array(new Uint8ClampedArray([red, green, blue, 255]).buffer)[0];
  };
  const colors = new Map();
  run.about.statuses.forEach((status, nth) => {
    const small = String.fromCharCode(97 + nth);
    colors.set(small, rgb(STATUS_COLORS[status] ?? "s-out"));
    colors.set(small.toUpperCase(), rgb("s-in"));
  });
  return colors;
}

class Grid {
  /** `open` is called with a uid; without it the picture is of one peer. */
  constructor(host, label, open) {
    this.host = host;
    this.open = open;
    this.canvas = element("canvas", { tabindex: "0", role: "img" });
    this.label = label;
    this.tip = element("div", { class: "tip", role: "status" });
    this.tip.hidden = true;
    host.append(this.canvas, this.tip);
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.leave());
    this.canvas.addEventListener("blur", () => this.leave());
    this.canvas.addEventListener("click", (event) => {
      this.point(event);
      this.choose();
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.paint()).observe(host);
  }

  /** Draws rows of `{uid, behaviour, letters}` over the rounds `x`. */
  draw(x, rows) {
    Object.assign(this, { x, rows });
    this.canvas.setAttribute("aria-label", `${this.label}: ${counted(rows.length, "peer")}, ${counted(x.length, "round")}; arrow keys tell one cell`);
    this.paint();
  }

  paint() {
    const { x, rows, canvas } = this;
    const width = this.host.clientWidth;
    if (!x || width === 0) return;
    const [first, last] = this.seen();
    const columns = Math.max(1, last - first + 1);
    const height = rows.length === 1 ? 22 : Math.max(2, Math.min(34, Math.floor(320 / Math.max(1, rows.length))));
    this.margin = rows.length === 1 ? 0 : 7;
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(Math.max(height, rows.length * height) * scale);
    canvas.style.height = `${canvas.height / scale}px`;
    Object.assign(this, { first, columns, height });
    const context = canvas.getContext("2d");
    if (rows.length === 0 || x.length === 0) return;
    const cells = new ImageData(columns, rows.length);
    const pixels = new Uint32Array(cells.data.buffer);
    const colors = letterColors();
    rows.forEach(({ letters }, row) => {
      for (let column = 0; column < columns; column++) pixels[row * columns + column] = colors.get(letters[first + column]) ?? 0;
    });
    const small = new OffscreenCanvas(columns, rows.length);
    small.getContext("2d").putImageData(cells, 0, 0);
    // More rounds than dots: neighbours are mixed, so that none is lost.
    context.imageSmoothingEnabled = columns > canvas.width;
    context.imageSmoothingQuality = "high";
    const margin = this.margin * scale;
    context.drawImage(small, margin, 0, canvas.width - margin, canvas.height);
    if (height >= 5 && rows.length > 1) {
      context.fillStyle = color("card");
      for (let row = 1; row < rows.length; row++) context.fillRect(margin, row * height * scale - scale / 2, canvas.width, scale);
    }
    rows.forEach(({ behaviour }, row) => {
      context.fillStyle = color(look(groupOf(behaviour)).color);
      if (this.margin) context.fillRect(0, row * height * scale, 4 * scale, height * scale);
    });
  }

  /** The first and the last column of the view. */
  seen() {
    const { x } = this;
    if (!view || x.length === 0) return [0, x.length - 1];
    const first = Math.max(0, placeOf(x, view[0] - 1) + 1);
    return [Math.min(first, x.length - 1), Math.max(0, placeOf(x, view[1]))].sort((a, b) => a - b);
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const across = (event.clientX - box.left - this.margin) / (box.width - this.margin);
    this.row = Math.min(this.rows.length - 1, Math.max(0, Math.floor((event.clientY - box.top) / this.height)));
    this.column = Math.min(this.columns - 1, Math.max(0, Math.floor(across * this.columns)));
    this.tell();
  }

  key(event) {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -1e9], End: [0, 1e9] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && this.row !== undefined) {
      this.choose();
    } else if (moves[event.key]) {
      event.preventDefault();
      const [down, right] = moves[event.key];
      const far = event.shiftKey ? 10 : 1;
      const within = (value, most) => Math.min(most, Math.max(0, value));
      this.row = this.row === undefined ? 0 : within(this.row + down, this.rows.length - 1);
      this.column = this.column === undefined ? this.columns - 1 : within(this.column + far * right, this.columns - 1);
      this.tell();
    }
  }

  choose() {
    const row = this.rows[this.row];
    if (row && this.open) this.open(row.uid);
  }

  tell() {
    const row = this.rows[this.row];
    if (!row) return;
    const place = this.first + this.column;
    const { tip } = this;
    tip.replaceChildren(element("div", { class: "quiet" }, `round ${number(this.x[place])}`),
      element("div", {}, spotOf(row.behaviour), element("strong", {}, `uid ${row.uid}`), ` ${row.behaviour}`), element("div", {}, tellStatus(row.letters[place])));
    tip.hidden = false;
    const x = this.margin + ((this.column + 0.5) / this.columns) * (this.host.clientWidth - this.margin);
    const beside = x + 14 + tip.offsetWidth > this.host.clientWidth ? x - 14 - tip.offsetWidth : x + 14;
    tip.style.left = `${Math.max(0, beside)}px`;
    tip.style.top = `${Math.max(0, Math.min(this.row * this.height - 20, this.canvas.clientHeight - tip.offsetHeight))}px`;
  }

  leave() {
    this.tip.hidden = true;
  }
}

const statusGrid = new Grid(at("grid"), "uploads", (uid) => openPeer(uid));

/** The behaviour of each uid. */
const kindsOf = () => new Map(run.board.toReversed().map((line) => [line.uid, line.behaviour]));

/** Behaviours in their order, and peers by uid. */
function inOrder(rows) {
  const order = new Map(run.about.groups.map((label, nth) => [label, nth]));
  return rows.sort((a, b) => order.get(groupOf(a.behaviour)) - order.get(groupOf(b.behaviour)) || a.uid - b.uid);
}

function drawGrid() {
  const { round, status, every } = shownPeers();
  const kinds = kindsOf();
  const rows = [...status].map(([uid, letters]) => ({ uid: Number(uid), letters, behaviour: kinds.get(Number(uid)) ?? "" }));
  statusGrid.draw(round, inOrder(rows.filter((row) => isShown(row.behaviour))));
  at("status-note").textContent = `a row a peer, by behaviour and uid; a column ${every > 1 ? `one round in ${every}` : "a round"}`;
  const letters = new Set(rows.flatMap((row) => [...new Set(row.letters)]));
  const there = new Set([...letters].map(meaning).filter(Boolean).map(({ status: name, isIn }) => (isIn ? "s-in" : STATUS_COLORS[name])));
  at("status-legend").replaceChildren(...MEANINGS.filter(([name]) => there.has(name)).map(([name, text]) =>
    element("span", {}, element("span", { class: "dot", color: color(name) }), text)));
}
