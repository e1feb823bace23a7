// What the page holds of the run, and how it grows.
"use strict";

const run = { generation: -1, about: null, rounds: null, baseline: null, backdoor: null, peers: null, board: [], latest: new Map(), keys: {} };

/** The rounds that are shown, first and last; null for all. */
let view = null;
/** The peers of the rounds that are shown, if they are known more finely than those of the whole run. */
let fine = null;

const behaviourIndex = (peers) => new Map(peers.behaviours.map((behaviour) => [behaviour.label, behaviour]));

function takePeers(peers) {
  const { round, every, status } = peers;
  return { round, every, behaviours: behaviourIndex(peers), status: new Map(Object.entries(status)), pay: payIndex(peers.pay) };
}

const payIndex = (pay) => (pay ? new Map(Object.entries(pay).map(([uid, values]) => [Number(uid), values])) : null);

const joined = (before, more) => (more.length ? before.concat(more) : before);

function appendColumns(into, from) {
  for (const name of Object.keys(from)) into[name] = joined(into[name], from[name]);
}

/** Fills the rounds in which a behaviour had no peer. */
function padded(behaviour, length) {
  const missing = length - behaviour.count.length;
  if (missing <= 0) return;
  const none = new Array(missing).fill(null);
  behaviour.count = behaviour.count.concat(new Array(missing).fill(0));
  behaviour.pay = behaviour.pay.concat(none);
  for (const spread of behaviour.numbers) {
    for (const name of ["middle", "low", "high"]) spread[name] = spread[name].concat(none);
  }
}

function appendPeers(into, from) {
  const before = into.round.length;
  into.round = joined(into.round, from.round);
  for (const more of from.behaviours) {
    let known = into.behaviours.get(more.label);
    if (!known) {
      known = { label: more.label, count: [], pay: [], numbers: more.numbers.map(() => ({ middle: [], low: [], high: [] })) };
      into.behaviours.set(more.label, known);
    }
    padded(known, before);
    known.count = joined(known.count, more.count);
    known.pay = joined(known.pay, more.pay);
    more.numbers.forEach((spread, nth) => appendColumns(known.numbers[nth], spread));
  }
  for (const [uid, letters] of Object.entries(from.status)) {
    into.status.set(uid, (into.status.get(uid) ?? "").padEnd(before) + letters);
  }
  for (const behaviour of into.behaviours.values()) padded(behaviour, into.round.length);
  if (from.round.length === 0) return;
  const more = payIndex(from.pay);
  // A network that has grown is no longer small.
  if (!into.pay || !more) {
    into.pay = null;
    return;
  }
  for (const uid of more.keys()) {
    if (!into.pay.has(uid)) into.pay.set(uid, new Array(before).fill(null));
  }
  for (const [uid, values] of into.pay) into.pay.set(uid, values.concat(more.get(uid) ?? new Array(from.round.length).fill(null)));
}

/** Takes what the server sends: all, or what has come since. */
function take(data) {
  if (data.anew) {
    run.rounds = data.rounds;
    run.baseline = data.baseline;
    run.backdoor = data.backdoor;
    run.peers = takePeers(data.peers);
    fine = null;
  } else {
    appendColumns(run.rounds, data.rounds);
    appendColumns(run.baseline, data.baseline);
    appendColumns(run.backdoor, data.backdoor);
    appendPeers(run.peers, data.peers);
  }
  run.generation = data.generation;
  run.about = data.about;
  run.board = data.board;
  run.latest = new Map(data.latest.map((now) => [now.uid, now]));
  run.keys = data.keys;
  // Kinds with a color of their own come before variants that take what is left.
  const variants = run.about.groups.filter((label) => !isOwn(label));
  [...run.about.groups.filter(isOwn), ...variants].forEach(styleOf);
}

/** What the page holds, for the server. */
function held() {
  const { generation, rounds, baseline, backdoor, peers, about } = run;
  if (!about) return "";
  const counts = { generation, rounds: rounds.round.length, baseline: baseline.round.length, backdoor: backdoor.round.length };
  return new URLSearchParams({ ...counts, kept: peers.round.length, finished: about.finished }).toString();
}

/** The peers to draw: finer ones where the view is narrow and they have come. */
const shownPeers = () => (view && fine ? fine : run.peers);

/** The newest round. */
function lastRound() {
  const network = run.rounds.round.at(-1) ?? 0;
  return Math.max(network, run.baseline.round.at(-1) ?? 0);
}

/** Colors by the kind of a behaviour, as in the pictures; the others take what is free. */
const KINDS = { honest: 0, copycat: 1, "sign-flip": 1, lazy: 4, rescaled: 4, "free-rider": 3, noise: 3, stale: 5, malformed: 5, desync: 2, late: 2, peer: 0 };
const COLORS = 8;
const DASHES = [[], [7, 4], [2, 3], [8, 3, 2, 3]];
const styles = new Map();

const kindOf = (label) => label.split(/[ (:,×]/)[0];
const isOwn = (label) => label in KINDS;

/** The color and the dashes of a behaviour; it keeps them while the page is open. */
function styleOf(label) {
  if (styles.has(label)) return styles.get(label);
  const taken = [...styles.values()];
  const liked = KINDS[kindOf(label)] ?? 6;
  const free = (place) => !taken.some((style) => style.place === place);
  let place = liked;
  for (let step = 0; step < COLORS && !free(place); step++) place = (place + 1) % COLORS;
  if (!free(place)) place = liked;
  const dash = DASHES[taken.filter((style) => style.place === place).length % DASHES.length];
  const style = { place, dash };
  styles.set(label, style);
  return style;
}

/** The group of a behaviour: itself, or those that share a line. */
const groupOf = (label) => (run.about.groups.includes(label) ? label : (run.about.groups.at(-1) ?? label));

const hidden = new Set();
const isShown = (label) => !hidden.has(groupOf(label));
const shownGroups = () => run.about.groups.filter(isShown);
