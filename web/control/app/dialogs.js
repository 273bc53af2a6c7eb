// Questions before anything happens, and short notes after it did.

import { byId, el } from "./dom.js";
import { asProblem, inWords, showProblem } from "./problems.js";
import { t } from "./words.js";

let serial = 0;

/** Show `text` for a few seconds; screen readers say it. */
export function note(text, kind = "good") {
  const line = el("p", { class: `note ${kind}` }, text);
  const notes = byId("notes");
  // What lies outside of an open dialog is behind it, and nobody reads it out.
  const home = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  if (notes.parentElement !== home) home.append(notes);
  notes.append(line);
  setTimeout(() => line.remove(), 6000);
}

/**
 * Ask before acting: `act()` runs when the answer is yes, and the dialog stays open with the
 * problem when it fails. `fields` are nodes between the text and the buttons; `after()` runs when
 * all is done and the dialog is gone.
 */
export function ask({ title, text, fields = [], yes, danger = false, act, after }) {
  const dialog = byId("ask");
  const problem = el("div", { class: "problem", role: "alert", hidden: true });
  const go = el("button", { type: "submit", class: danger ? "button danger" : "button" }, yes);
  const no = el("button", { type: "button", class: "button plain", onclick: () => dialog.close() }, t("dialog.no"));
  const form = el("form", { novalidate: true },
    el("h2", { id: "ask-title" }, title), ...[text].flat().map((each) => el("p", {}, each)), ...fields, problem,
    el("div", { class: "buttons" }, no, go));
  const mine = serial += 1;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    showProblem(problem, null);
    try {
      const done = await act();
      if (mine === serial) dialog.close();
      after?.();
      if (done) note(done);
    } catch (error) {
      showProblem(problem, asProblem(error));
      if (mine !== serial || !dialog.open) note(inWords(asProblem(error)), "bad"); // she did not wait
    } finally {
      go.disabled = false;
    }
  });
  dialog.replaceChildren(form);
  dialog.showModal();
  (fields.length ? form.querySelector("input, select, textarea") ?? no : no).focus();
}

/** Close whatever is open, such as when the login ended. */
export function closeAll() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

/** Whether a press is beside the dialog; on its own scroll bar it is not. */
function isBeside(dialog, { target, clientX: x, clientY: y }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return target === dialog && (x < left || x > right || y < top || y > bottom);
}

// A click beside a dialog asks it to close, as Escape does. It must begin and end there: who marks
// text in a field and lets go outside means the text. Of a double click only the first counts, so
// that what it opened stays open.
for (const dialog of document.querySelectorAll("dialog")) {
  let began = false;
  dialog.addEventListener("close", () => { if (dialog.contains(byId("notes"))) document.body.append(byId("notes")); });
  dialog.addEventListener("pointerdown", (event) => { began = isBeside(dialog, event); });
  dialog.addEventListener("click", (event) => {
    if (!began || event.detail > 1 || !isBeside(dialog, event)) return;
    if (dialog.dispatchEvent(new Event("cancel", { cancelable: true }))) dialog.close();
  });
}
