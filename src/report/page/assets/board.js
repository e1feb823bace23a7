// The table of peers.
"use strict";

let sorting = { by: "final", down: true };
let found = "";

/** The columns of the table: name, title, value to sort by, text, and from which width on it is shown. */
function boardColumns() {
  const { columns, lasting } = run.about;
  const now = (line) => (isHolder(line) ? run.latest.get(line.uid) : undefined);
  const numbers = lasting.map((place, nth) => [columns[place], nth]).filter(([one]) => !isSpread(one)).map(([one, nth], order) => ({
    by: one.name, title: plain(one.name), value: (line) => line.numbers[nth], text: (line) => number(line.numbers[nth]), width: order === 0 ? "" : "wide",
  }));
  return [
    { by: "uid", title: "uid", value: (line) => -line.uid, width: "" },
    { by: "behaviour", title: "behaviour", value: (line) => line.behaviour, width: "" },
    { by: "status", title: "now", value: (line) => now(line)?.status ?? "", text: (line) => tellNow(now(line)), width: "middle" },
    { by: "final", title: "pay, last tenth", value: (line) => line.final, text: (line) => percent(line.final), width: "" },
    { by: "total", title: "of all pay", value: (line) => line.total, text: (line) => percent(line.total), width: "middle" },
    ...numbers,
    { by: "aggregated", title: "aggregated", value: (line) => line.aggregated, text: (line) => number(line.aggregated), width: "wide" },
    { by: "failed", title: "failed", value: (line) => line.failed, text: (line) => number(line.failed), width: "wide" },
    { by: "work", title: "work", value: (line) => line.work, text: (line) => number(line.work), width: "wide", isOptional: true },
    { by: "profit", title: "profit", value: (line) => line.profit, text: (line) => number(line.profit), width: "wide", isOptional: true },
  ].filter((one) => !one.isOptional || run.board.some((line) => isKnown(one.value(line))));
}

const tellNow = (now) => (now ? plain(now.status) + (now.aggregated ? ", in" : "") : "gone");

/** Whether a line of the leaderboard is of the peer that holds the slot now: the first one, as a slot may have had several. */
const isHolder = (line) => run.board.find((other) => other.uid === line.uid) === line;

function boardLines(columns) {
  const by = columns.find((one) => one.by === sorting.by) ?? columns[0];
  const way = sorting.down ? -1 : 1;
  const wanted = found.trim().toLowerCase();
  const matches = (line) => wanted === "" || String(line.uid) === wanted || (wanted.length > 2 && (run.keys[line.uid] ?? "").startsWith(wanted.slice(0, 12)));
  const lines = run.board.filter((line) => isShown(line.behaviour) && matches(line));
  const order = (a, b) => {
    const [one, other] = [by.value(a), by.value(b)];
    if (one === null || other === null) return (one === null) - (other === null);
    return way * (typeof one === "string" ? one.localeCompare(other) : one - other) || a.uid - b.uid;
  };
  return lines.sort(order);
}

function drawBoard() {
  const columns = boardColumns();
  const head = at("board").tHead;
  const signature = JSON.stringify([columns.map((one) => one.title), sorting]);
  if (head.dataset.made !== signature) {
    head.dataset.made = signature;
    const focused = document.activeElement?.dataset?.by;
    head.replaceChildren(element("tr", {}, ...columns.map((one) => {
      const cell = element("th", { class: one.width, scope: "col" }, element("button", { type: "button", "data-by": one.by, onclick: () => sortBy(one.by) }, one.title));
      if (one.by === sorting.by) cell.setAttribute("aria-sort", sorting.down === (one.by !== "uid") ? "descending" : "ascending");
      return cell;
    })));
    if (focused) head.querySelector(`[data-by="${CSS.escape(focused)}"]`)?.focus();
  }
  const lines = boardLines(columns);
  const most = run.board.reduce((highest, line) => Math.max(highest, line.final ?? 0), 0);
  const body = at("board").tBodies[0];
  while (body.rows.length > lines.length) body.deleteRow(-1);
  lines.forEach((line, nth) => fillRow(body.rows[nth] ?? body.insertRow(), line, columns, most));
  const sampled = run.about.sampled ? `; counted over one round in ${run.about.every}` : "";
  at("peers-note").textContent = `${counted(lines.length, "peer")} of ${run.board.length}; open one for its history${sampled}`;
}

/** Writes a line into a row, touching only what differs. */
function fillRow(row, line, columns, most) {
  const cells = columns.map((one) => (one.text ? one.text(line) : ""));
  const made = JSON.stringify([line.uid, line.behaviour, cells, most, color("c0"), columns.length]);
  if (row.dataset.made === made) return;
  const isFocused = row.contains(document.activeElement) && row.dataset.uid === String(line.uid);
  row.dataset.made = made;
  row.dataset.uid = line.uid;
  row.onclick = () => openPeer(line.uid);
  row.replaceChildren(...columns.map((one, nth) => {
    if (one.by === "uid") return element("td", {}, element("button", { type: "button", "aria-label": `uid ${line.uid}, open` }, String(line.uid)));
    if (one.by === "behaviour") {
      return element("td", {}, spotOf(line.behaviour), line.behaviour);
    }
    if (one.by === "final") {
      const bar = element("i", {});
      bar.style.width = `${most > 0 ? (100 * (line.final ?? 0)) / most : 0}%`;
      return element("td", { class: one.width }, cells[nth], element("span", { class: "meter", "aria-hidden": "true" }, bar));
    }
    return element("td", { class: one.width }, cells[nth]);
  }));
  if (isFocused) row.querySelector("button").focus();
}

function sortBy(by) {
  sorting = { by, down: sorting.by === by ? !sorting.down : by !== "behaviour" && by !== "status" };
  drawBoard();
}

at("find").addEventListener("input", () => {
  found = at("find").value;
  drawBoard();
});
