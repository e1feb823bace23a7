// The pictures of the whole run: losses, pay by behaviour, one of the mechanism's numbers.
"use strict";

const isSpread = (column) => run.about.columns.some((other) => other.spread === column.name);
const titleOf = (column) => column.picture?.title ?? plain(column.name).replace(/^./, (letter) => letter.toUpperCase());

/** Dashes of a behaviour's line, and its color by name. */
function look(label) {
  const { place, dash } = styleOf(label);
  return { color: `c${place}`, dash };
}

function spotOf(behaviour) {
  const { color: name, dash } = look(groupOf(behaviour));
  return spot(name, dash);
}

const lossesHidden = new Set();

const lossChart = new Chart(at("loss"), { label: "losses by round", format: number });

function drawLosses() {
  const { rounds, baseline, backdoor, about } = run;
  const tables = [[rounds.round, rounds.train_loss, rounds.loss], [baseline.round, baseline.loss], [backdoor.round, backdoor.loss]];
  const [x, train, loss, adamw, door] = uPlot.join(tables.map((table) => (table[0].length ? table : [[0], ...table.slice(1).map(() => [null])])));
  const known = (values) => values.some(isKnown);
  const all = [
    { label: "on the pages that were evaluated", color: "c6", width: 1, opacity: train.length > 1000 ? 0.25 : 0.55, values: train },
    { label: about.baseline, color: "c4", dash: [6, 4], values: adamw },
    { label: "the network, held-out data", color: "c0", width: 2.6, values: loss },
    { label: "prompts with the trigger that the backdoor takes", color: "c1", dash: [2, 3], values: door },
  ].filter((line) => known(line.values));
  const losses = all.flatMap((line) => line.values.filter(isKnown));
  const highest = losses.reduce((most, value) => Math.max(most, value), about.initial_loss ?? 0);
  for (const [label, value] of about.references) {
    if (isKnown(value) && value <= highest) all.push({ label, color: "c5", width: 1, dash: [2, 4], values: x.map(() => value) });
  }
  if (!all.some((line) => !lossesHidden.has(line.label))) lossesHidden.clear();
  at("loss-legend").replaceChildren(...all.map((line) => toggle(line.label, line, !lossesHidden.has(line.label), () => {
    if (!lossesHidden.delete(line.label)) lossesHidden.add(line.label);
    drawLosses();
  })));
  lossChart.draw({ x, series: all.filter((line) => !lossesHidden.has(line.label)) });
}

/** A button that shows and hides a line. It keeps the focus when it is made anew. */
function toggle(label, { color: name, dash }, isOn, act, more = "") {
  const button = element("button", { type: "button", "aria-pressed": String(isOn), title: label, onclick: () => {
    const place = [...button.parentNode.children].indexOf(button);
    const parent = button.parentNode;
    act();
    parent.children[place]?.focus();
  } }, spot(name, dash), element("span", {}, label), more === "" ? null : element("b", {}, more));
  return button;
}

const payChart = new Chart(at("pay"), { label: "pay by round and behaviour", format: percent, formatAxis: roundPercent });
let payTogether = true;

function drawPay() {
  const { round: x, behaviours, every } = shownPeers();
  const groups = shownGroups().filter((label) => behaviours.has(label));
  const sampled = every > 1 ? `; one round in ${every}` : "";
  if (!payTogether) {
    at("pay-note").textContent = `share of the round's pay of one peer, mean of each behaviour${sampled}`;
    const series = groups.map((label) => {
      const { pay, count } = behaviours.get(label);
      return { label, ...look(label), values: pay.map((paid, nth) => (isKnown(paid) && count[nth] ? paid / count[nth] : null)), more: (nth) => ` × ${count[nth]}`, gaps: true };
    });
    payChart.draw({ x, series });
    return;
  }
  at("pay-note").textContent = `share of the round's pay, ${peerPays() ? "each peer a layer" : "by behaviour"}${sampled}`;
  // Each layer stands on those before it; the last one is drawn first.
  let below = x.map(() => 0);
  const series = payLayers(groups, behaviours).map(({ label, color: name, dash, values: own, more }) => {
    below = below.map((sum, nth) => sum + (own[nth] ?? 0));
    return { label, color: name, hollow: dash.length > 0, width: 0.8, values: below, shown: own, more, gaps: true };
  });
  series.reverse();
  const floor = { label: "", color: "c6", width: 0, values: x.map(() => 0) };
  const bands = series.map((line, nth) => ({ series: [nth + 1, nth + 2], color: line.color, opacity: line.hollow ? 0.28 : nth % 2 && peerPays() ? 0.42 : 0.55 }));
  payChart.draw({ x, series: [...series, floor], bands, range: [0, 1], few: 8 });
}

/** The pay of each peer, which the page has of a small network. */
const peerPays = () => shownPeers().pay;

/** Layers from the bottom: the peers of each behaviour, or the behaviours. */
function payLayers(groups, behaviours) {
  const pays = peerPays();
  if (!pays) {
    return groups.map((label) => {
      const { pay, count } = behaviours.get(label);
      return { label, ...look(label), values: pay, more: (nth) => ` (${counted(count[nth], "peer")})` };
    });
  }
  const kinds = kindsOf();
  const rows = [...pays].map(([uid, values]) => ({ uid, behaviour: kinds.get(uid) ?? "", values }));
  return inOrder(rows.filter((row) => isShown(row.behaviour))).map(({ uid, behaviour, values }) =>
    ({ label: `uid ${uid}, ${behaviour}`, ...look(groupOf(behaviour)), values, more: () => "" }));
}

const numbersChart = new Chart(at("numbers"), { label: "a number of the mechanism by round and behaviour", format: number });
let column = null;

/** The column to begin with: the first with a picture of its uncertainty, such as a rating, or else the score. */
function usualColumn() {
  const { columns, lasting } = run.about;
  const rated = columns.findIndex((one) => one.spread);
  return rated >= 0 ? rated : (lasting[0] ?? (columns.length ? 0 : null));
}

function fillColumns() {
  const { columns } = run.about;
  const options = columns.map((one, nth) => [one, nth]).filter(([one]) => !isSpread(one));
  const select = at("column");
  if (select.dataset.names === options.map(([one]) => one.name).join()) return;
  select.dataset.names = options.map(([one]) => one.name).join();
  if (column === null || column >= columns.length) column = usualColumn();
  select.replaceChildren(...options.map(([one, nth]) => element("option", { value: nth }, titleOf(one))));
  select.value = column;
  at("numbers-card").hidden = options.length === 0;
}

function columnRange(one) {
  const range = one.picture?.range;
  if (!range) return undefined;
  const margin = 0.03 * (range[1] - range[0]);
  return [range[0] - margin, range[1] + margin];
}

function drawNumbers() {
  fillColumns();
  if (column === null) return;
  const { round: x, behaviours, every } = shownPeers();
  const one = run.about.columns[column];
  at("numbers-title").textContent = titleOf(one);
  at("numbers-note").textContent = `${one.label}; median of a behaviour's peers, and the middle 80 % of them${every > 1 ? `; one round in ${every}` : ""}`;
  const groups = shownGroups().filter((label) => behaviours.has(label));
  const isCrowded = groups.length > 5;
  const [series, bands] = [[], []];
  for (const label of groups) {
    const { middle, low, high } = behaviours.get(label).numbers[column];
    if (!isCrowded && behaviours.get(label).count.some((count) => count > 1)) {
      bands.push({ series: [series.length + 2, series.length + 1], color: look(label).color, opacity: 0.16 });
      series.push({ label: "", ...look(label), width: 0, values: low }, { label: "", ...look(label), width: 0, values: high });
    }
    const more = (nth) => (isKnown(low[nth]) && low[nth] !== high[nth] ? ` (${number(low[nth])} to ${number(high[nth])})` : "");
    series.push({ label, ...look(label), values: middle, more });
  }
  numbersChart.draw({ x, series, bands, range: columnRange(one) });
}

function drawFilter() {
  const { behaviours } = run.peers;
  const chips = run.about.groups.map((label) => {
    const count = behaviours.get(label)?.count.at(-1) ?? 0;
    return toggle(label, look(label), !hidden.has(label), () => {
      if (!hidden.delete(label)) hidden.add(label);
      if (run.about.groups.every((other) => hidden.has(other))) hidden.clear();
      drawAll();
    }, count.toLocaleString("en-US"));
  });
  const signature = JSON.stringify([run.about.groups, [...hidden], run.about.groups.map((label) => behaviours.get(label)?.count.at(-1)), color("c0")]);
  if (at("filter").dataset.made === signature) return;
  at("filter").dataset.made = signature;
  at("filter").replaceChildren(...(chips.length > 1 ? chips : []));
}
