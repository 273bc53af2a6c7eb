// Who changed the service hours, and when: read only when somebody opens it.

import { at, full } from "../app/clock.js";
import { become, el } from "../app/dom.js";
import { call } from "../app/login.js";
import { asProblem, showProblem } from "../app/problems.js";
import { t } from "../app/words.js";
import { by } from "./who.js";

/** Return the part and what draws it again; it is read anew for each version seen. */
export function versionsPart(path) {
  const title = el("summary");
  const problem = el("div", { class: "problem", role: "alert", hidden: true });
  const list = el("ol");
  const node = el("details", { class: "versions", ontoggle: () => read() }, title, problem, list);
  let items = [];
  let version = null;
  let seen = null;

  async function read() {
    if (!node.open || seen === version) return;
    const wanted = version;
    try {
      ({ items } = await call("GET", path));
      seen = wanted;
      showProblem(problem, null);
    } catch (error) {
      showProblem(problem, asProblem(error), read);
    }
    drawList();
  }

  function drawList() {
    become(list, items.map((each) => el("li", {},
      el("span", {}, t(`hours.what.${kind(each)}`), each.maintenance.note ? ` – ${each.maintenance.note}` : ""),
      el("span", { class: "soft" }, by(each.changed_by)),
      el("time", { class: "soft", datetime: each.changed_at, title: full(each.changed_at) }, at(each.changed_at)))));
  }

  return {
    node,
    draw(now) {
      version = now;
      become(title, t("hours.versions"));
      drawList();
      read();
    },
  };
}

function kind({ what, maintenance }) {
  return what === "maintenance" ? `maintenance_${maintenance.on ? "on" : "off"}` : what;
}
