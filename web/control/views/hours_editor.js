// The editor of the service hours: what is typed here applies only after a second look.

import { ask } from "../app/dialogs.js";
import { byId, el } from "../app/dom.js";
import { call } from "../app/login.js";
import { Problem, showProblem } from "../app/problems.js";
import { dayName } from "../app/week.js";
import { t } from "../app/words.js";

const ZONES = { "Asia/Jakarta": "WIB", "Asia/Makassar": "WITA", "Asia/Jayapura": "WIT" };

const labelled = (word, node) => el("label", {}, el("span", {}, t(word)), node);
const timeInput = (name, value) => el("input", { type: "time", name, value: value ?? "" });
const plainButton = (word, onclick) => el("button", { type: "button", class: "button plain small", onclick }, t(word));

function removable(...fields) {
  const line = el("div", { class: "line" }, fields, plainButton("editor.remove", () => {
    const next = line.nextElementSibling ?? line.previousElementSibling;
    line.remove();
    (next?.querySelector("input, select") ?? byId("editor").querySelector(".add")).focus();
  }));
  return line;
}

function weeklyLine({ day, opens, closes }) {
  const days = [1, 2, 3, 4, 5, 6, 7].map((each) => el("option", { value: each, selected: each === day }, dayName(each)));
  return removable(labelled("editor.day", el("select", { name: "day" }, days)),
    labelled("editor.opens", timeInput("opens", opens)), labelled("editor.closes", timeInput("closes", closes)));
}

function dateLine({ date, opens, closes }) {
  return removable(labelled("editor.date", el("input", { type: "date", name: "date", value: date ?? "" })),
    labelled("editor.opens", timeInput("opens", opens)), labelled("editor.closes", timeInput("closes", closes)));
}

function zoneSelect(current) {
  const names = new Set([...Object.keys(ZONES), current]);
  return el("select", { name: "zone" }, [...names].map((name) =>
    el("option", { value: name, selected: name === current }, ZONES[name] ? `${ZONES[name]} – ${name}` : name)));
}

/** What a field holds; a date or time that was begun and not ended would else read as none. */
const isUnfinished = (line) => [...line.querySelectorAll("input")].some((field) => field.validity.badInput);
const valuesOf = (line) => Object.fromEntries([...line.querySelectorAll("input, select")].map((field) => [field.name, field.value]));

/** The line after the last one: the same hours on the next day. */
function following(list) {
  const last = list.lastElementChild ? valuesOf(list.lastElementChild) : { day: 7, opens: "08:00", closes: "22:00" };
  return { ...last, day: Number(last.day) % 7 + 1 };
}

function bodyOf(version, zone, weekly, dates) {
  const lines = [...weekly.children].map(valuesOf);
  const special = [...dates.children].map(valuesOf);
  const unfinished = [...weekly.children, ...dates.children].some(isUnfinished) || lines.some((line) => !line.opens || !line.closes)
    || special.some((line) => !line.date || Boolean(line.opens) !== Boolean(line.closes));
  if (unfinished) throw new Problem({ code: "hours_unfinished", status: -1 });
  return {
    version,
    time_zone: zone.value,
    weekly: lines.map(({ day, opens, closes }) => ({ day: Number(day), opens, closes })),
    exceptions: special.map(({ date, opens, closes }) => (opens ? { date, opens, closes } : { date })),
  };
}

/** Leave the editor, but not before asking what becomes of what was typed. */
function leave(dialog, isChanged) {
  if (!isChanged) return void dialog.close();
  ask({
    title: t("editor.leave.title"),
    text: t("editor.leave.text"),
    yes: t("editor.leave.yes"),
    danger: true,
    async act() { /* nothing to do but what comes after */ },
    after: () => dialog.close(),
  });
}

/** Open the editor on `hours`; `replaced(answer)` hears what is so after saving. */
export function editHours(hours, replaced) {
  const dialog = byId("editor");
  let { version } = hours;
  const zone = zoneSelect(hours.time_zone);
  const weekly = el("div", { class: "lines" }, hours.weekly.map(weeklyLine));
  const dates = el("div", { class: "lines" }, [...hours.exceptions].sort((a, b) => a.date.localeCompare(b.date)).map(dateLine));
  const problem = el("div", { class: "problem", role: "alert", hidden: true });
  const add = (list, line) => { list.append(line); line.querySelector("select, input").focus(); };
  const moreHours = plainButton("editor.add", () => add(weekly, weeklyLine(following(weekly))));
  moreHours.classList.add("add");
  const typed = () => JSON.stringify([zone.value, ...[...weekly.children, ...dates.children].map((line) => [isUnfinished(line), valuesOf(line)])]);
  const before = typed();
  const cancel = (event) => { event.preventDefault(); leave(dialog, typed() !== before); };

  async function save(body) {
    try {
      replaced(await call("PUT", "/api/control/availability/service-hours", { ...body, version }));
    } catch (error) {
      // Who saves again after having read that replaces what the other one decided.
      if (error.code === "config_conflict") ({ version } = error.told);
      throw error;
    }
    return t("editor.saved");
  }

  function submit(event) {
    event.preventDefault();
    try {
      const body = bodyOf(version, zone, weekly, dates);
      showProblem(problem, null);
      ask({
        title: t("editor.confirm.title"),
        text: [t(body.weekly.length ? "editor.confirm.text" : "editor.confirm.always")],
        yes: t("editor.confirm.yes"),
        act: () => save(body),
        after: () => dialog.close(),
      });
    } catch (error) {
      showProblem(problem, error);
    }
  }

  dialog.replaceChildren(el("form", { novalidate: true, onsubmit: submit },
    el("h2", { id: "editor-title" }, t("editor.title")),
    el("p", { class: "soft small" }, t("editor.lead")),
    labelled("editor.zone", zone),
    el("fieldset", {}, el("legend", {}, t("editor.weekly")), weekly, el("div", { class: "buttons start" }, moreHours)),
    el("fieldset", {}, el("legend", {}, t("editor.special")), el("p", { class: "soft small" }, t("editor.date_hint")), dates,
      el("div", { class: "buttons start" }, plainButton("editor.add_date", () => add(dates, dateLine({}))))),
    problem,
    el("div", { class: "buttons" }, el("button", { type: "button", class: "button plain", onclick: cancel }, t("dialog.no")), el("button", { type: "submit", class: "button" }, t("editor.save")))));
  dialog.oncancel = cancel;
  dialog.showModal();
}
