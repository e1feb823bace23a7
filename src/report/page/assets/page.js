// Starts the page: takes the data in it, or asks its server again and again; draws all; zooms.
"use strict";

/** Time between two questions to the server, while the run goes on and after it. */
const EVERY = 1000;
const EVERY_AFTER = 5000;
/** How long an answer may take. */
const PATIENCE = 30000;

let gone = "";
let lastAnswer = null;

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
  if (answer.status === 204) return null;
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

function fillTiles(list, tiles) {
  list.replaceChildren(...tiles.map(([name, value, more]) => element("div", {}, element("dt", {}, name), element("dd", {}, value), more ? element("dd", { class: "more" }, more) : null)));
}

function drawTiles() {
  const { rounds, baseline, peers, about } = run;
  const tiles = [];
  const [loss, at_] = lastKnown(rounds.loss);
  const [adamw, step] = lastKnown(baseline.loss);
  if (loss !== null) {
    const place = placeOf(baseline.round, rounds.round[at_]);
    const [same] = lastKnown(baseline.loss, place);
    const apart = isKnown(same) ? `${number(Math.abs(loss - same))} ${loss > same ? "above" : "below"} AdamW` : `after round ${number(rounds.round[at_])}`;
    tiles.push(["held-out loss", number(loss), apart]);
  }
  if (adamw !== null) tiles.push(["AdamW's loss", number(adamw), `after step ${number(baseline.round[step])}`]);
  if (!about.central && run.latest.size) {
    const passed = [...run.latest.values()].filter((now) => now.status === "passed").length;
    tiles.push(["aggregated", number(rounds.aggregated.at(-1)), `of ${counted(rounds.uploads.at(-1) ?? 0, "upload")}`]);
    tiles.push(["passed", number(passed), `of ${counted(run.latest.size, "peer")}`]);
    const honest = about.groups.filter((label) => label.startsWith("honest")).map((label) => peers.behaviours.get(label)).filter(Boolean);
    const paid = honest.reduce((sum, behaviour) => sum + (lastKnown(behaviour.pay)[0] ?? 0), 0);
    if (honest.length && about.groups.length > 1) tiles.push(["pay of honest peers", percent(paid), "of the newest round"]);
  }
  fillTiles(at("tiles"), tiles);
}

function drawHeading() {
  const { about } = run;
  at("name").textContent = `${about.name}, seed ${about.seed}`;
  document.title = `${about.name}, seed ${about.seed}`;
  const kind = about.central ? "AdamW alone" : `${about.real ? "a real network" : "a simulation"}, judged by ${about.mechanism}`;
  at("summary").textContent = [about.summary, kind].filter(Boolean).join("; ");
  at("progress").max = Math.max(1, about.rounds);
  at("progress").value = about.done;
  at("done").textContent = `${number(about.done)} of ${counted(about.rounds, "round")}`;
  const state = at("state");
  const isLive = served && !about.finished && !gone;
  state.textContent = gone ? "no connection" : about.finished ? "finished" : served ? "live" : "unfinished";
  state.className = `pill${isLive ? " live" : ""}${gone ? " gone" : ""}`;
  const warnings = [...about.diverged, gone].filter(Boolean);
  if (at("alert").dataset.made !== warnings.join("\n")) {
    at("alert").dataset.made = warnings.join("\n");
    at("alert").replaceChildren(...warnings.map((text) => element("p", {}, text)));
    at("alert").hidden = warnings.length === 0;
  }
  at("facts").replaceChildren(...[["folder", about.folder], ...about.facts].flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
  document.body.classList.toggle("central", about.central);
}

function drawSpan() {
  const [from, to] = view ?? [0, lastRound()];
  at("span").textContent = `rounds ${number(from)} to ${number(Math.min(to, lastRound()))}`;
  at("whole").disabled = at("farther").disabled = view === null;
}

/** Draws everything that depends on data, filter, view or color scheme. */
function drawAll() {
  if (!run.about) return;
  drawHeading();
  drawTiles();
  drawSpan();
  drawLosses();
  if (run.about.central) return;
  drawFilter();
  drawPay();
  drawNumbers();
  drawGrid();
  drawBoard();
}

/** Shows these rounds; null for all. */
function show(rounds) {
  const last = lastRound();
  if (rounds) {
    const from = Math.max(0, Math.min(rounds[0], last - 1));
    const to = Math.min(last, Math.max(rounds[1], from + 1));
    rounds = from <= 0 && to >= last ? null : [from, to];
  }
  view = rounds;
  if (!view) fine = null;
  drawAll();
  refine();
}

/** Asks for more of the rounds that are shown, if the page holds few of them. */
async function refine() {
  const wanted = view;
  if (!served || !wanted || run.peers.every === 1) return;
  try {
    const { generation, peers } = await ask(`span?from=${wanted[0]}&to=${wanted[1]}`);
    if (view !== wanted || generation !== run.generation) return;
    fine = takePeers(peers);
    drawAll();
  } catch {
    // What is held stays; the next question to the server tells that it is gone.
  }
}

/** Zooms by a factor, around the middle. */
function zoom(factor) {
  const [from, to] = view ?? [0, lastRound()];
  const [middle, half] = [(from + to) / 2, Math.max(1, ((to - from) / 2) * factor)];
  show([Math.round(middle - half), Math.round(middle + half)]);
}

async function follow() {
  let isNew = false;
  try {
    const data = await ask(`data?${held()}`);
    lastAnswer = new Date();
    isNew = data !== null || gone !== "";
    gone = "";
    if (data) take(data);
    if (data?.anew) refine();
  } catch (error) {
    const since = lastAnswer ? ` What is shown is from ${lastAnswer.toLocaleTimeString()}.` : "";
    const isSaid = error instanceof Error && error.name === "Error";
    const why = isSaid ? error.message : "The program that serves this page does not answer. If it has ended, start `sim watch` again.";
    isNew = !gone;
    gone = why + since;
  }
  if (isNew) {
    drawAll();
    if (!run.about) {
      at("alert").textContent = gone;
      at("alert").hidden = false;
    }
  }
  if (opened !== null && isNew && !gone && (!shownHistory || Date.now() - asked > EVERY_AFTER)) {
    asked = Date.now();
    await loadPeer();
  }
  const isSlow = document.hidden || gone || run.about?.finished;
  setTimeout(follow, isSlow ? EVERY_AFTER : EVERY);
}

let asked = 0;
const embedded = at("data");
const served = !embedded;

at("closer").addEventListener("click", () => zoom(0.5));
at("farther").addEventListener("click", () => zoom(2));
at("whole").addEventListener("click", () => show(null));
at("column").addEventListener("change", () => {
  column = Number(at("column").value);
  drawNumbers();
});
for (const radio of document.querySelectorAll("input[name=pay]")) {
  radio.addEventListener("change", () => {
    payTogether = radio.value === "all";
    drawPay();
  });
}
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input[type=search], select");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  if (event.key === "+" || event.key === "=") zoom(0.5);
  else if (event.key === "-" || event.key === "−") zoom(2);
  else if (event.key === "0") show(null);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  drawAll();
  drawPeer();
});

function openNamed() {
  const named = location.hash.match(/^#peer=(\d+)$/);
  if (named && Number(named[1]) !== opened) openPeer(Number(named[1]));
}

(async () => {
  if (embedded) {
    const whole = JSON.parse(embedded.textContent);
    take(whole.data);
    whole.histories.forEach((history) => histories.set(history.uid, history));
    drawAll();
  } else {
    await follow();
  }
  openNamed();
  addEventListener("hashchange", openNamed);
})();
