// One peer: its pay, its numbers, its uploads, and why it was or was not paid.
"use strict";

const dialog = at("peer");
const peerPay = new Chart(at("peer-pay"), { label: "pay of the peer", format: percent, formatAxis: roundPercent, isWhole: true });
const peerNumbers = new Chart(at("peer-numbers"), { label: "a number of the peer", format: number, isWhole: true });
const peerStatus = new Grid(at("peer-status"), "uploads of the peer", null);
/** Histories that came with the page, by uid. */
const histories = new Map();

let opened = null;
let shownHistory = null;

/** Opens a peer's history. */
async function openPeer(uid) {
  opened = uid;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  location.replace(`#peer=${uid}`);
  shownHistory = null;
  drawPeer();
  await loadPeer();
}

/** Asks for the history of the opened peer. */
async function loadPeer() {
  const uid = opened;
  try {
    const found = histories.get(uid) ?? (await ask(`peer?uid=${uid}`));
    if (uid !== opened) return;
    shownHistory = found;
    drawPeer();
  } catch (error) {
    if (uid === opened && !shownHistory) at("story").textContent = `The history of uid ${uid} cannot be had: ${error.message}`;
  }
}

/** Columns at which `sim explain` breaks its lines, and the indent of what it carries over. */
const WIDTH = 110;
const CARRIED = 6;

/** The lines of a story as they were before they were broken. */
function unbroken(story) {
  const lines = [];
  let last = "";
  for (const line of story.split("\n")) {
    const indent = line.search(/\S/);
    const isBroken = indent === 0 && /^\S.*[^.]$/.test(last) && [...last].length + 1 + [...line.split(" ")[0]].length > WIDTH;
    if (lines.length && (indent === CARRIED || isBroken)) lines[lines.length - 1] += ` ${line.trim()}`;
    else lines.push(line);
    last = line;
  }
  return lines;
}

/** A story as paragraphs; rounds stand out. */
function tellStory(story) {
  let isPart = false;
  return unbroken(story.replaceAll("->", "\u2192")).flatMap((line) => {
    if (line === "") {
      isPart = true;
      return [];
    }
    const colon = line.indexOf(":");
    const end = colon >= 0 ? colon : line.endsWith(".") ? 0 : line.length;
    const names = [line.startsWith("  ") ? "entry" : "", isPart ? "part" : ""];
    isPart = false;
    return [element("p", { class: names.filter(Boolean).join(" ") }, element("strong", {}, line.slice(0, end).trim()), line.slice(end))];
  });
}

function drawPeer() {
  if (opened === null) return;
  const line = run.board.find((other) => other.uid === opened);
  const held = shownHistory?.uid === opened ? shownHistory : null;
  const holder = held?.holders.at(-1);
  at("peer-name").textContent = `Peer with uid ${opened}`;
  const key = holder?.key ?? run.keys[opened];
  const note = [line?.behaviour ?? holder?.behaviour, key ? `key ${key}` : null, held && held.holders.length > 1 ? `${held.holders.length} holders of the slot in turn` : null];
  at("peer-note").textContent = note.filter(Boolean).join("; ");
  const now = run.latest.get(opened);
  const { columns, lasting } = run.about;
  const tiles = [["pay, last tenth", percent(line?.final)], ["of all pay", percent(line?.total)], ["in the newest round", tellNow(now)]];
  lasting.forEach((place, nth) => {
    if (!isSpread(columns[place]) && line) tiles.push([plain(columns[place].name), number(line.numbers[nth])]);
  });
  fillTiles(at("peer-tiles"), tiles.slice(0, 6));
  if (held && at("story").dataset.told !== held.story) at("story").replaceChildren(...tellStory(held.story));
  if (!held) at("story").replaceChildren("…");
  at("story").dataset.told = held ? held.story : "";
  if (!held) return;
  drawPeerCharts(held, line?.behaviour ?? holder?.behaviour ?? "");
}

/** Values of other rounds, at the rounds of the peer. */
function atRounds(rounds, from, values) {
  return rounds.map((round) => {
    const place = placeOf(from, round);
    return place >= 0 && from[place] === round ? values[place] : null;
  });
}

function drawPeerCharts(held, behaviour) {
  const { round: x } = held;
  const { behaviours, round } = run.peers;
  const own = look(groupOf(behaviour));
  const honest = run.about.groups.find((label) => label.startsWith("honest"));
  const others = behaviours.get(honest ?? groupOf(behaviour));
  const named = honest ? "mean of the honest" : "mean of all";
  const mean = others ? others.pay.map((paid, nth) => (isKnown(paid) && others.count[nth] ? paid / others.count[nth] : null)) : [];
  peerPay.draw({ x, series: [
    { label: named, color: "c6", width: 1.2, dash: [4, 4], values: atRounds(x, round, mean) },
    { label: `uid ${opened}`, ...own, dash: [], width: 2, values: held.pay, gaps: true, fill: 0.12 },
  ] });
  peerStatus.draw(x, [{ uid: opened, behaviour, letters: held.status }]);
  at("peer-title").hidden = at("peer-numbers").hidden = column === null;
  if (column === null) return;
  const one = run.about.columns[column];
  const spread = run.about.columns.findIndex((other) => other.name === one.spread);
  at("peer-title").textContent = titleOf(one);
  const values = held.numbers[column];
  const series = [];
  const bands = [];
  if (spread >= 0) {
    const off = (sign) => values.map((value, nth) => (isKnown(value) && isKnown(held.numbers[spread][nth]) ? value + sign * held.numbers[spread][nth] : null));
    series.push({ label: "", ...own, width: 0, values: off(-1) }, { label: "", ...own, width: 0, values: off(1) });
    bands.push({ series: [2, 1], color: own.color, opacity: 0.16 });
  }
  if (others) series.push({ label: named.replace("mean", "median"), color: "c6", width: 1.2, dash: [4, 4], values: atRounds(x, round, others.numbers[column].middle) });
  const more = (nth) => (spread >= 0 && isKnown(held.numbers[spread][nth]) ? ` ± ${number(held.numbers[spread][nth])}` : "");
  series.push({ label: `uid ${opened}`, ...own, dash: [], width: 2, values, more });
  peerNumbers.draw({ x, series, bands, range: columnRange(one) });
}

/** The peer before or after the opened one, as the table is sorted. */
function step(way) {
  const lines = boardLines(boardColumns());
  const place = lines.findIndex((line) => line.uid === opened);
  const next = lines[(place + way + lines.length) % lines.length];
  if (next) openPeer(next.uid);
}

at("before").addEventListener("click", () => step(-1));
at("after").addEventListener("click", () => step(1));
at("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("close", () => {
  const uid = opened;
  opened = null;
  location.replace("#");
  at("board").querySelector(`tr[data-uid="${uid}"] button`)?.focus({ preventScroll: true });
});
