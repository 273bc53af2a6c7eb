// What Valkey and Postgres know of one mitra, side by side.

import { age } from "../app/clock.js";
import { el } from "../app/dom.js";
import { t } from "../app/words.js";

const yesNo = (value) => t(`value.${value}`);

const ROWS = [
  ["online", (side) => yesNo(side.is_online)],
  ["active", (side) => yesNo(side.is_active)],
  ["load", (side) => `${side.load}/${side.capacity}`],
  ["heartbeat", (side) => age(side.last_heartbeat_at)],
];

function verdictOf({ agrees, holds }) {
  if (agrees === null) return "compare.no_mirror";
  if (!agrees) return "compare.differs";
  return holds ? "compare.agrees" : "compare.absent";
}

/** Return the nodes of the comparison for the operators' view of one mitra. */
export function comparison({ mirror, postgres, source }) {
  const { holds, agrees, differences } = mirror;
  const differing = new Map(differences.map((each) => [each.fact, each]));
  const line = (name, held, truth) => el("tr", { class: differing.has(name) ? "differs" : null },
    el("th", { scope: "row" }, t(`compare.${name}`)), el("td", {}, held), el("td", {}, truth));
  const lines = ROWS.map(([name, write]) => line(name, holds ? write(holds) : "–", write(postgres)));
  if (holds) {
    const should = differing.get("available")?.postgres.toLowerCase() ?? holds.is_found;
    lines.push(line("available", yesNo(holds.is_found), yesNo(should)));
  }
  return [
    el("h3", {}, t("compare.title")),
    el("table", {},
      el("thead", {}, el("tr", {}, el("td"), el("th", { scope: "col" }, t("mirror.held")), el("th", { scope: "col" }, t("mirror.true")))),
      el("tbody", {}, lines)),
    el("p", { class: agrees === false ? "differs small" : "soft small" }, t(verdictOf(mirror)), " ", t(`compare.answered.${source}`)),
  ];
}
