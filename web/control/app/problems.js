// What went wrong, in words that say what to do next.

import { length } from "./clock.js";
import { become, el } from "./dom.js";
import { dateName, dayName } from "./week.js";
import { hasWord, t } from "./words.js";

/** A refusal or a failure; `code` is stable, `retryAfter` is in seconds, `told` the whole document. */
export class Problem extends Error {
  constructor({ code, status = 0, detail = "", retryAfter = null, reference = null, told = {} }) {
    super(detail || code);
    Object.assign(this, { code, status, detail, retryAfter, reference, told });
    this.polled = false; // whether it is asked again without anybody doing anything
  }

  /** Whether the engineers can do more about it than who reads it. */
  get isOurs() {
    return this.status >= 500 || !hasWord(`problem.${this.code}`);
  }
}

/** Return `error` as a problem; a mistake in this page is one too. */
export function asProblem(error) {
  if (error instanceof Problem) return error;
  console.error(error);
  return new Problem({ code: "page_failed", status: -1, detail: String(error) });
}

/** Say what happened and what to do. */
export function inWords(problem) {
  const [key, polledKey] = [`problem.${problem.code}`, `problem.${problem.code}.polled`];
  const { day, date, errors = [] } = problem.told;
  const values = { ...problem.told, wait: length(Math.ceil(problem.retryAfter ?? 0)), day: day && dayName(day), date: date && dateName(date) };
  if (problem.polled && hasWord(polledKey)) return t(polledKey, values);
  if (hasWord(key)) return t(key, values);
  if (errors.length) {
    return t("problem.input", { detail: errors.map((each) => `${each.pointer}: ${each.message}`).join("; ") });
  }
  if (problem.status >= 500) return t("problem.internal");
  return t("problem.other", { detail: problem.detail });
}

/** Fill a place for problems; null empties and hides it. `again` offers a button to try again. */
export function showProblem(place, problem, again) {
  place.hidden = !problem;
  if (!problem) return void place.replaceChildren();
  // The button stays while the same is told again: who is about to press it, or has the focus on it, keeps it.
  const held = place.querySelector("button");
  const had = held !== null && held === document.activeElement;
  const button = again ? held ?? el("button", { type: "button", class: "button plain small" }) : null;
  if (button) Object.assign(button, { textContent: t("problem.again"), onclick: again });
  become(place,
    el("p", {}, inWords(problem)),
    problem.reference && problem.isOurs ? el("p", { class: "reference" }, t("problem.reference"), " ", el("code", {}, problem.reference)) : null,
    button);
  if (had && button) button.focus({ preventScroll: true });
}
