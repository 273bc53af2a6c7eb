// The mirror in Valkey: its state, the last full comparison, and what it had otherwise.

import { age, length } from "../app/clock.js";
import { ask } from "../app/dialogs.js";
import { become, byId, el, keyed } from "../app/dom.js";
import { call } from "../app/login.js";
import { Poll } from "../app/poll.js";
import { asProblem, showProblem } from "../app/problems.js";
import { hasWord, onLanguage, t } from "../app/words.js";
import { drawer } from "./drawer.js";
import { because } from "./reason.js";
import { followReseed, forgetReseed } from "./reseed.js";

const PATH = "/api/control/availability/drift?limit=10";
const COLUMNS = ["mitra", "fact", "held", "true", "cause", "when"];

let drift = null;
let older = []; // pages that were asked for by hand; the newest is polled
let cursor = null;
let problem = null;
let parts = null;

function build() {
  parts = {
    title: el("h2", { id: "mirror-title" }),
    reseed: el("button", { type: "button", class: "button plain small", onclick: reseed }),
    problem: el("div", { class: "problem", role: "alert", hidden: true }),
    progress: el("div", { class: "progress", role: "status" }),
    state: el("div", { class: "facts" }),
    head: el("tr", { role: "row" }),
    body: el("tbody", { role: "rowgroup" }),
    heading: el("h3", { class: "eyebrow", id: "drift-title" }),
    none: el("p", { class: "empty" }),
    more: el("button", { type: "button", class: "button plain small", onclick: showOlder }),
  };
  parts.table = el("table", { role: "table", class: "drift stacked", "aria-labelledby": "drift-title" },
    el("thead", { role: "rowgroup" }, parts.head), parts.body);
  byId("mirror").replaceChildren(el("div", { class: "head" }, parts.title, parts.reseed),
    parts.problem, parts.progress, parts.state, parts.heading, el("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": "drift-title" }, parts.table), parts.none, parts.more);
}

function reseed() {
  ask({
    title: t("mirror.reseed.title"),
    text: t("mirror.reseed.text"),
    yes: t("mirror.reseed.yes"),
    async act() {
      const asked = await call("POST", "/api/control/availability/reseed");
      followReseed(asked, parts.progress, () => poll.now());
      return t("mirror.reseed.done");
    },
  });
}

async function showOlder() {
  parts.more.disabled = true;
  try {
    const page = await call("GET", `${PATH}&cursor=${cursor ?? drift.recent.next_cursor}`);
    older = [...older, ...page.recent.items];
    cursor = page.recent.next_cursor ?? "";
    draw();
  } catch (error) {
    showProblem(parts.problem, asProblem(error), showOlder);
  } finally {
    parts.more.disabled = false;
  }
}

/** Write a fact's value: yes and no in words, a load as it is, nothing as a word. */
function value(held) {
  if (held === null) return el("span", { class: "soft" }, t("mirror.nothing"));
  return hasWord(`value.${held.toLowerCase()}`) ? t(`value.${held.toLowerCase()}`) : held;
}

function rowOf(item) {
  return el("tr", { role: "row" },
    el("th", { role: "rowheader", scope: "row" }, el("button", { type: "button", class: "name", onclick: () => drawer.open(item.mitra_id) })),
    COLUMNS.slice(1).map((name) => el("td", { role: "cell", class: name })));
}

function fillRow(row, item) {
  const [mitra, fact, held, truth, cause, when] = row.children;
  const label = (name) => el("span", { class: "label" }, t(`mirror.${name}`));
  become(mitra.firstChild, item.display_name ?? item.mitra_id.slice(0, 8));
  become(fact, label("fact"), t(`mirror.fact.${item.fact}`));
  become(held, label("held"), value(item.mirror));
  become(truth, label("true"), value(item.postgres));
  become(cause, label("cause"), el("span", {}, t(`mirror.cause.${item.cause}`),
    item.at_most_seconds === null ? null : el("span", { class: "soft small below" }, t("mirror.at_most", { age: length(item.at_most_seconds) }))));
  become(when, label("when"), el("span", {}, age(item.found_at),
    el("span", { class: "soft small below" }, t("mirror.healed.yes", { by: t(`mirror.by.${item.found_by}`) }))));
}

/** Say what helps, in our own words where there are some. */
function advice({ advice: told, advice_codes: codes = [] }) {
  const known = codes.filter((code) => hasWord(`banner.${code}.todo`));
  const lines = known.length === codes.length ? known.map((code) => t(`banner.${code}.todo`)) : [told];
  return lines.map((line) => el("p", { class: "small todo" }, line));
}

function stateLines() {
  const { mirror, last_turn: turn } = drift;
  const words = turn?.found ? "mirror.turn" : "mirror.turn.clean";
  return [
    el("p", { class: "statement" },
      el("span", { class: "badge", "data-fact": mirror.state }, t(`mirror.state.${mirror.state}`)),
      mirror.since ? el("span", { class: "small soft" }, age(mirror.since, "time.since")) : null),
    mirror.reason ? el("p", { class: "soft small" }, ...because(mirror.reason, mirror.reason_code)) : null,
    ...advice(mirror),
    el("p", { class: "soft small turn" }, turn ? [t(words, turn), " ", age(turn.ended_at)] : t("mirror.turn.none")),
  ];
}

function draw() {
  become(parts.title, t("mirror.title"));
  become(parts.reseed, t("mirror.reseed"));
  become(parts.heading, t("mirror.drift"));
  become(parts.head, COLUMNS.map((name) => el("th", { role: "columnheader", scope: "col" }, t(`mirror.${name}`))));
  become(parts.none, t("mirror.drift.none"));
  become(parts.more, t("mirror.more"));
  showProblem(parts.problem, problem, () => poll.now());
  const known = new Set(drift?.recent.items.map((item) => item.drift_id));
  const items = [...(drift?.recent.items ?? []), ...older.filter((item) => !known.has(item.drift_id))];
  parts.table.hidden = parts.heading.hidden = items.length === 0;
  parts.none.hidden = !drift || items.length > 0;
  parts.more.hidden = !(cursor ?? drift?.recent.next_cursor);
  if (!drift) return;
  become(parts.state, ...stateLines());
  keyed(parts.body, items, { key: (item) => item.drift_id, make: rowOf, fill: fillRow });
}

const poll = new Poll({
  path: PATH,
  every: 4,
  show(answer) { drift = answer; problem = null; draw(); },
  fail(failed) { problem = failed; draw(); },
});

onLanguage(() => { if (poll.running) draw(); });

export const mirror = {
  start() { build(); draw(); poll.start(); },
  stop() {
    poll.stop();
    forgetReseed();
    [drift, older, cursor, problem] = [null, [], null, null];
    byId("mirror").replaceChildren();
  },
};
