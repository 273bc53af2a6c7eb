// Questions before anything happens, and short notes after it did.

import { byId, el } from "./dom.js";
import { asProblem, showProblem } from "./problems.js";
import { t } from "./words.js";

let serial = 0;

/** Show `text` for a few seconds; screen readers say it. */
export function note(text, kind = "good") {
  const line = el("p", { class: `note ${kind}` }, text);
  byId("notes").append(line);
  setTimeout(() => line.remove(), 6000);
}

/**
 * Ask before acting: `act()` runs when the answer is yes, and the dialog stays open with the
 * problem when it fails. `fields` are nodes between the text and the buttons.
 */
export function ask({ title, text, fields = [], yes, danger = false, act }) {
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
      if (done) note(done);
    } catch (error) {
      showProblem(problem, asProblem(error));
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

// A click beside a dialog closes it, as Escape does.
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("pointerdown", (event) => { if (event.target === dialog) dialog.close(); });
}
