// How long a mitra was online: a bar for each day, and the sum that Postgres made.

import { at, length, serverNow } from "../app/clock.js";
import { become, drawn, el } from "../app/dom.js";
import { call } from "../app/login.js";
import { asProblem, showProblem } from "../app/problems.js";
import { locale, t } from "../app/words.js";

const PERIODS = [1, 7, 30];

/** Midnight of the day `ago` days before today, on this computer's clocks. */
function midnight(ago) {
  const day = new Date(serverNow());
  day.setHours(0, 0, 0, 0);
  day.setDate(day.getDate() - ago);
  return day;
}

/** Return `{ sum, from, to }` of the pieces of `intervals` within one day; shares of the day. */
export function piecesOf(intervals, begins) {
  const ends = new Date(begins);
  ends.setDate(ends.getDate() + 1); // not always 24 h later
  const size = ends - begins;
  return intervals.flatMap(({ starts_at: starts, ends_at: stops }) => {
    const from = Math.max(Date.parse(starts), begins);
    const to = Math.min(Date.parse(stops), ends);
    return to > from ? [{ ms: to - from, from: (from - begins) / size, size: (to - from) / size }] : [];
  });
}

function dayLine(intervals, begins) {
  const pieces = piecesOf(intervals, begins);
  const seconds = pieces.reduce((sum, piece) => sum + piece.ms, 0) / 1000;
  const name = new Intl.DateTimeFormat(locale(), { weekday: "short", day: "numeric", month: "short" }).format(begins);
  return el("li", {}, el("span", {}, name),
    el("span", { class: "track", "aria-hidden": "true" }, pieces.map(({ from, size }) =>
      drawn(el("i"), { "--from": `${from * 100}%`, "--size": `${size * 100}%` }))),
    el("span", { class: seconds ? "sum" : "sum soft" }, seconds ? length(seconds) : "–"));
}

function stretchLine({ starts_at: starts, ends_at: ends, seconds, reason, is_open: isOpen }) {
  const until = isOpen ? t("drawer.still") : reason ? t(`reason.${reason}`) : "";
  return el("li", {}, el("span", {}, `${at(starts)} – ${isOpen ? t("drawer.now") : at(ends)}`),
    el("span", { class: "soft" }, length(seconds)), el("span", { class: "soft" }, until));
}

/** Return the part of the drawer about `mitraId`; `read()` asks anew, `draw()` writes anew. */
export function onlineTimePart(mitraId) {
  let days = 7;
  let found = null;
  let turn = 0;
  const title = el("h3", { class: "grow" });
  const problem = el("div", { class: "problem", role: "alert", hidden: true });
  const body = el("div", { class: "times-body" });
  const list = el("ul");
  const summary = el("summary");
  const details = el("details", { class: "versions" }, summary, list);
  const legend = el("legend", { class: "visually-hidden" });
  const choice = (n) => el("label", {},
    el("input", { type: "radio", name: "period", value: n, checked: n === days, onchange: () => { days = n; read(); } }),
    el("span", { "data-days": n }));
  const choices = el("fieldset", { class: "segments" }, legend, PERIODS.map(choice));
  const node = el("section", {}, el("div", { class: "head" }, title, choices), problem, body, details);

  async function read() {
    const mine = turn += 1;
    const from = midnight(days - 1).toISOString();
    try {
      const answer = await call("GET", `/api/control/availability/mitras/${mitraId}/online-time?from=${encodeURIComponent(from)}&limit=500`);
      if (mine !== turn) return;
      found = answer;
      showProblem(problem, null);
    } catch (error) {
      if (mine !== turn) return;
      showProblem(problem, asProblem(error), read);
    }
    draw();
  }

  function draw() {
    become(title, t("drawer.times"));
    become(legend, t("drawer.period"));
    for (const label of choices.querySelectorAll("[data-days]")) label.textContent = t(`drawer.period.${label.dataset.days}`);
    details.hidden = !found?.count;
    if (!found) return;
    if (!found.count) return void become(body, el("p", { class: "soft" }, t("drawer.none")));
    const lines = Array.from({ length: days }, (_, ago) => dayLine(found.items, midnight(ago)));
    become(body, el("p", { class: "total" }, t("drawer.total", { time: length(found.seconds) })), el("ol", { class: "days" }, lines));
    become(summary, t("drawer.intervals", { n: found.count }));
    become(list, [...found.items].reverse().map(stretchLine));
  }

  return { node, read, draw };
}
