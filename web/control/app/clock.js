// The server's clock as this page knows it, and ages that grow by themselves.

import { el } from "./dom.js";
import { locale, onLanguage, t } from "./words.js";

let ahead = 0; // milliseconds that the server's clock is ahead of this machine's

/** Learn the server's time; an operator's machine may be minutes off. */
export const learn = (serverTime) => { ahead = Date.parse(serverTime) - Date.now(); };
export const serverNow = () => Date.now() + ahead;

/** Write a length of time with its two largest units: 3 h 12 min. */
export function length(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [d, h, m] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  const s = whole % 60;
  const units = [[d, "day"], [h, "hour"], [m, "minute"], [s, "second"]];
  const first = units.findIndex(([n]) => n > 0);
  if (first < 0) return t("unit.second", { n: 0 });
  // Of five minutes nobody wants the seconds, and of 3 h 0 min not the minutes.
  const shown = units.slice(first, first + (first === 2 && m > 1 ? 1 : 2)).filter(([n]) => n > 0);
  return shown.map(([n, unit]) => t(`unit.${unit}`, { n })).join(" ");
}

const moment = (at, options) => new Intl.DateTimeFormat(locale(), options).format(new Date(at));

let serviceZone; // undefined: this computer's

/** Learn on whose clocks the service opens and closes; says whether this browser knows them. */
export function learnZone(name) {
  serviceZone = undefined;
  try { new Intl.DateTimeFormat("en", { timeZone: name }); } catch { return false; }
  serviceZone = name;
  return true;
}

/** Write a moment: the time of today, else with its day; on this computer's clocks, or `timeZone`'s. */
export function at(value, timeZone) {
  const day = { weekday: "short", day: "numeric", month: "short", timeZone };
  const isToday = moment(value, day) === moment(serverNow(), day);
  return moment(value, { ...(isToday ? { timeZone } : day), hour: "2-digit", minute: "2-digit" });
}

export const full = (value) => moment(value, { dateStyle: "full", timeStyle: "long" });

/**
 * Make a `<time>` that says how long ago `value` was, and goes on saying it; with `there` its time
 * is written on the service's clocks.
 */
export function age(value, words = "time.ago", there = false) {
  if (!value) return el("span", { class: "never" }, t("time.never"));
  const node = el("time", { datetime: value, title: full(value), "data-age": words, "data-there": there });
  tell(node);
  return node;
}

function tell(node) {
  const seconds = (serverNow() - Date.parse(node.dateTime)) / 1000;
  const words = t(node.dataset.age, { age: length(Math.abs(seconds)), at: at(node.dateTime, "there" in node.dataset ? serviceZone : undefined) });
  if (node.textContent !== words) node.textContent = words;
}

const tellAll = () => { for (const node of document.querySelectorAll("time[data-age]")) tell(node); };
setInterval(tellAll, 1000);
onLanguage(tellAll);
