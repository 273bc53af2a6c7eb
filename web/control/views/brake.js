// The brake of auto-offline: a sweep that was stopped, and an operator's word that it may go on.

import { age } from "../app/clock.js";
import { ask } from "../app/dialogs.js";
import { become, byId, el } from "../app/dom.js";
import { call } from "../app/login.js";
import { t } from "../app/words.js";
import { by } from "./who.js";

let parts = null;
let shown = null;

function build() {
  parts = {
    says: el("div", { class: "says" }),
    // It stays while the numbers change: who is about to press it, or has the focus on it, keeps it.
    go: el("button", { type: "button", class: "button danger small", onclick: confirm }),
  };
  byId("brake").replaceChildren(el("div", {}, parts.says, parts.go));
}

function confirm() {
  const { brake_id: seen, mitras: n } = shown;
  ask({
    title: t("brake.confirm.title", { n }),
    text: [t("brake.confirm.check"), t("brake.confirm.text")],
    yes: t("brake.confirm.yes"),
    danger: true,
    async act() {
      const { mitras } = await call("POST", "/api/control/availability/brake/confirm", { brake_id: seen });
      return t("brake.confirm.done", { n: mitras });
    },
  });
}

function meaning({ needs_operator: needed, confirmed_by: who }) {
  if (who) return t("brake.confirmed", { by: by(who) });
  return t(needed ? "brake.waits" : "brake.goes_on");
}

function says(brake) {
  const { mitras: n, online, fresh } = brake;
  return [
    el("p", {}, el("strong", {}, t("brake.title")), " ", t("brake.says", { n, online })),
    el("p", { class: "small" }, age(brake.since, "time.since"), " · ", t("brake.fresh", { n: fresh, online })),
    el("p", { class: "small" }, meaning(brake)),
    brake.needs_operator ? el("p", { class: "small" }, t("brake.todo")) : null,
  ];
}

/** Show the stopped pass; null, or an API of before, shows nothing. */
export function showBrake(brake) {
  shown = brake ?? null;
  byId("brake").hidden = !shown;
  if (!shown) {
    parts = null;
    return void byId("brake").replaceChildren();
  }
  if (!parts) build();
  become(parts.says, ...says(shown));
  become(parts.go, t("brake.confirm"));
  parts.go.hidden = !shown.needs_operator;
}
