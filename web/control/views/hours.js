// Service hours and the maintenance switch: what is so now, and the week.

import { age, at, learnZone, serverNow } from "../app/clock.js";
import { ask } from "../app/dialogs.js";
import { become, byId, drawn, el } from "../app/dom.js";
import { call } from "../app/login.js";
import { Poll } from "../app/poll.js";
import { Problem, showProblem } from "../app/problems.js";
import { dateName, dayName, share, stretches, there } from "../app/week.js";
import { onLanguage, t } from "../app/words.js";
import { editHours } from "./hours_editor.js";
import { versionsPart } from "./hours_versions.js";

const PATH = "/api/control/availability/service-hours";

let hours = null;
let problem = null;
let parts = null;

function build() {
  parts = {
    title: el("h2", { id: "hours-title" }),
    edit: el("button", { type: "button", class: "button plain small", onclick: () => editHours(hours, replaced) }),
    turn: el("button", { type: "button", class: "button small", onclick: () => (hours.maintenance.on ? reopen() : close()) }),
    problem: el("div", { class: "problem", role: "alert", hidden: true }),
    state: el("div", { class: "facts" }),
    week: el("div", {}),
    versions: versionsPart(`${PATH}/versions?limit=10`),
  };
  byId("hours").replaceChildren(
    el("div", { class: "head" }, parts.title, parts.edit, parts.turn),
    parts.problem, parts.state, parts.week, parts.versions.node);
}

function replaced(answer) {
  hours = answer;
  problem = null;
  draw();
}

function close() {
  const reason = el("input", { name: "note", maxlength: 200, autocomplete: "off" });
  const until = el("input", { name: "until", type: "datetime-local" });
  ask({
    title: t("hours.close.title"),
    text: t("hours.close.text"),
    fields: [el("label", {}, t("hours.close.note"), reason), el("label", {}, t("hours.close.until"), until)],
    yes: t("hours.close.yes"),
    danger: true,
    async act() {
      if (until.validity.badInput) throw new Problem({ code: "end_unfinished", status: -1 });
      const body = { on: true };
      if (reason.value.trim()) body.note = reason.value.trim();
      if (until.value) body.until = new Date(until.value).toISOString();
      replaced(await call("PUT", "/api/control/availability/maintenance", body));
      return t("hours.close.done");
    },
  });
}

function reopen() {
  ask({
    title: t("hours.reopen.title"),
    text: t("hours.reopen.text"),
    yes: t("hours.reopen.yes"),
    async act() {
      replaced(await call("PUT", "/api/control/availability/maintenance", { on: false }));
      return t("hours.reopen.done");
    },
  });
}

function stateLines() {
  const { is_open: isOpen, why, note, opens_at: opensAt, closes_at: closesAt } = hours.now;
  const next = isOpen ? closesAt : opensAt;
  const words = isOpen ? "hours.closes" : "hours.opens";
  return [
    el("p", { class: "statement" },
      el("span", { role: "status" }, el("span", { class: "badge", "data-fact": isOpen ? "ok" : "closed" }, t(isOpen ? "hours.open" : "hours.closed"))),
      el("span", { class: "small soft" }, next ? age(next, words, true) : t("hours.stays"))),
    why ? el("p", {}, t("hours.reason", { why: t(`hours.why.${why}`) })) : null,
    note ? el("p", { class: "soft" }, t("hours.note", { note })) : null,
  ];
}

function weekLines() {
  if (!hours.weekly.length) return el("p", { class: "soft turn" }, t("hours.always"));
  const now = there(hours.time_zone, serverNow());
  const days = stretches(hours.weekly);
  return el("ol", { class: "week" }, [...days].map(([day, open]) => {
    const isToday = day === now?.day;
    const own = hours.weekly.filter((each) => each.day === day).map(({ opens, closes }) => `${opens}–${closes}`);
    return el("li", { class: isToday ? "today" : null },
      el("span", {}, dayName(day, "short")),
      el("span", { class: "track", "aria-hidden": "true" },
        open.map(([from, to]) => drawn(el("i"), { "--from": share(from), "--size": share(to - from) })),
        isToday ? drawn(el("b"), { "--from": share(now.minute) }) : null),
      el("span", { class: "times" }, own.length ? own.map((each) => el("span", {}, each)) : t("hours.shut")));
  }));
}

function zoneLine(zone) {
  return learnZone(zone) ? t("hours.zone.now", { zone, now: at(serverNow(), zone) }) : t("hours.zone", { zone });
}

function specialLines() {
  const today = there(hours.time_zone, serverNow())?.date;
  const ahead = hours.exceptions.filter((each) => !today || each.date >= today).sort((a, b) => a.date.localeCompare(b.date));
  if (!ahead.length) return null;
  return el("div", { class: "special" }, el("h3", { class: "eyebrow" }, t("hours.special")),
    el("ul", {}, ahead.map(({ date, opens, closes }) => el("li", {},
      el("span", {}, dateName(date)), el("span", { class: "soft" }, opens ? `${opens}–${closes}` : t("hours.shut"))))));
}

function draw() {
  become(parts.title, t("hours.title"));
  become(parts.edit, t("hours.edit"));
  parts.edit.disabled = parts.turn.disabled = !hours;
  showProblem(parts.problem, problem, () => poll.now());
  parts.versions.draw(hours?.version);
  become(parts.turn, t(hours?.maintenance.on ? "hours.reopen" : "hours.close"));
  parts.turn.classList.toggle("plain", !hours?.maintenance.on);
  if (!hours) return;
  const zone = zoneLine(hours.time_zone); // first: the other lines are written on its clocks
  become(parts.state, ...stateLines());
  become(parts.week, weekLines(), el("p", { class: "small soft turn" }, zone), specialLines());
}

const poll = new Poll({
  path: PATH,
  every: 5,
  show: replaced,
  fail(failed) { problem = failed; draw(); },
});

onLanguage(() => { if (poll.running) draw(); });

export const hoursView = {
  start() { build(); draw(); poll.start(); },
  stop() {
    poll.stop();
    hours = problem = null;
    byId("hours").replaceChildren();
  },
};
