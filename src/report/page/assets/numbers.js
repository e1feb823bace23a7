// Numbers, words and elements.
"use strict";

const at = (id) => document.getElementById(id);

/** A new element. Texts of a run come from others, so they are set as texts and never as markup. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name === "color") made.style.background = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A spot in the color of a line; hollow for dashed lines. */
function spot(name, dash = []) {
  const made = element("span", { class: dash.length ? "dot hollow" : "dot", color: color(name) });
  if (dash.length) made.style.borderColor = color(name);
  return made;
}

const isKnown = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** Five digits of a number; whole numbers have all of theirs. */
function number(value) {
  if (!isKnown(value)) return "–";
  if (Number.isInteger(value)) return (value || 0).toLocaleString("en-US").replace("-", "−");
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e7) return value.toExponential(3).replaceAll("-", "−");
  return String(Number(value.toPrecision(5))).replace("-", "−");
}

/** A share as a percentage. */
function percent(value) {
  if (!isKnown(value)) return "–";
  const shown = 100 * value;
  return `${shown === 0 ? "0" : shown.toFixed(shown < 10 ? 2 : 1)} %`;
}

/** The same at an axis, where the steps say how many digits are needed. */
const roundPercent = (value) => `${Number((100 * value).toFixed(3))} %`;

const counted = (count, one) => `${count.toLocaleString("en-US")} ${one}${count === 1 ? "" : "s"}`;

const plain = (name) => name.replaceAll("_", " ");

/** The last known value of a column, at or before a place, and its place. */
function lastKnown(values, from = values.length - 1) {
  for (let place = from; place >= 0; place--) {
    if (isKnown(values[place])) return [values[place], place];
  }
  return [null, -1];
}

/** The place of the last value in a sorted column that is not above another; −1 if there is none. */
function placeOf(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** A color of the style sheet, as it is in this color scheme. */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
