// The list of mitras, a page at a time; each row opens why she gets requests or does not.

import { age } from "../app/clock.js";
import { become, byId, el, keyed } from "../app/dom.js";
import { Poll } from "../app/poll.js";
import { showProblem } from "../app/problems.js";
import { onLanguage, t } from "../app/words.js";
import { drawer } from "./drawer.js";
import { badge, pips } from "./marks.js";

const PAGE = 20;
const FILTERS = { all: "", online: "&online=true", offline: "&online=false" };

let filter = "all";
let cursors = [null]; // the cursor of each page up to this one
let page = null;
let waiting = true; // for the first answer to what was chosen
let problem = null;
let parts = null;
let shownPage = 1;

const place = () => byId("mitras");
const path = () => {
  const cursor = cursors.at(-1);
  return `/api/control/availability/mitras?limit=${PAGE}${FILTERS[filter]}${cursor ? `&cursor=${cursor}` : ""}`;
};

function build() {
  const choice = (name) => el("label", {},
    el("input", { type: "radio", name: "mitras-filter", value: name, checked: name === filter, onchange: () => choose(name) }),
    el("span", { "data-word": `mitras.filter.${name}` }));
  parts = {
    title: el("h2", { id: "mitras-title" }),
    choices: el("fieldset", { class: "segments" }, el("legend", { class: "visually-hidden", "data-word": "mitras.filter" }), Object.keys(FILTERS).map(choice)),
    problem: el("div", { class: "problem", role: "alert", hidden: true }),
    head: el("tr", { role: "row" }),
    body: el("tbody", { role: "rowgroup" }),
    none: el("p", { class: "empty", role: "status" }),
    back: el("button", { type: "button", class: "button plain small", onclick: () => turn(-1) }),
    forth: el("button", { type: "button", class: "button plain small", onclick: () => turn(1) }),
    which: el("span", { class: "soft small", role: "status" }),
  };
  parts.table = el("table", { role: "table", "aria-labelledby": "mitras-title", class: "mitras" },
    el("thead", { role: "rowgroup" }, parts.head), parts.body);
  parts.pages = el("nav", { class: "pages", "aria-labelledby": "mitras-title" }, parts.back, parts.which, parts.forth);
  place().replaceChildren(
    el("div", { class: "head" }, parts.title, parts.choices), parts.problem,
    parts.table,
    parts.none, parts.pages);
}

function choose(name) {
  filter = name;
  cursors = [null];
  ask();
}

function ask() {
  waiting = true;
  draw();
  poll.now();
}

function turn(by) {
  if (waiting) return; // the page that is shown is not the one to go on from
  if (by > 0) cursors.push(page.next_cursor);
  else cursors.pop();
  ask();
  place().scrollIntoView({ block: "start" });
}

function rowOf(mitra) {
  const open = () => drawer.open(mitra.mitra_id);
  return el("tr", { role: "row", onclick: (event) => { if (!event.target.closest("button") && event.detail < 2) open(); } },
    el("th", { role: "rowheader", scope: "row" }, el("button", { type: "button", class: "name", onclick: open })),
    ["state", "load", "beat", "online"].map((name) => el("td", { role: "cell", class: name })),
    el("td", { role: "cell", class: "go" }, el("button", { type: "button", class: "button plain small", onclick: open })));
}

function fillRow(row, mitra) {
  const [name, state, load, beat, online, go] = row.children;
  const called = mitra.display_name ?? t("mitras.unnamed");
  become(name.firstChild, called);
  become(state, badge(mitra));
  become(load, pips(mitra.load, mitra.capacity));
  become(beat, el("span", { class: "label" }, t("mitras.beat")), age(mitra.last_heartbeat_at));
  const since = mitra.is_online
    ? age(mitra.went_online_at, "time.for")
    : el("span", { class: "soft" }, mitra.offline_reason ? t(`reason.${mitra.offline_reason}`) : "–");
  online.classList.toggle("never", !mitra.is_online && !mitra.offline_reason);
  become(online, el("span", { class: "label" }, t(mitra.is_online ? "mitras.online" : "mitras.offline_because")), since);
  become(go.firstChild, t("mitras.why"));
  go.firstChild.setAttribute("aria-label", t("mitras.why_of", { name: called }));
}

function draw() {
  become(parts.title, t("mitras.title"));
  for (const node of place().querySelectorAll("[data-word]")) node.textContent = t(node.dataset.word);
  become(parts.head, ["name", "state", "load", "beat", "online_or_why", "go"].map((name) => el("th", { role: "columnheader", scope: "col" },
    name === "go" ? el("span", { class: "visually-hidden" }, t("mitras.why")) : t(`mitras.${name}`))));
  become(parts.back, t("mitras.back"));
  become(parts.forth, t("mitras.forth"));
  showProblem(parts.problem, problem, () => poll.now());
  place().setAttribute("aria-busy", String(waiting));
  const isEmpty = page?.items.length === 0;
  parts.table.hidden = !page || isEmpty;
  parts.none.hidden = page ? !isEmpty : Boolean(problem);
  const which = cursors.length > 1 ? "more" : filter;
  become(parts.none, page && !waiting ? t(`mitras.none.${which}`) : t("frame.loading"));
  parts.pages.hidden = !page || (cursors.length === 1 && !page.next_cursor);
  if (!page) return;
  keyed(parts.body, page.items, { key: (mitra) => mitra.mitra_id, make: rowOf, fill: fillRow });
  parts.back.disabled = cursors.length === 1;
  parts.forth.disabled = !page.next_cursor;
  if (!waiting) shownPage = cursors.length; // until the rows are there it is still the one before
  become(parts.which, t("mitras.page", { page: shownPage }));
}

const poll = new Poll({
  path,
  every: 4,
  show(answer) { page = answer; problem = null; waiting = false; draw(); },
  fail(failed) { problem = failed; draw(); },
});

onLanguage(() => { if (poll.running) draw(); });

export const mitras = {
  start() {
    build();
    draw();
    poll.start();
    drawer.onChange = () => poll.now();
  },
  stop() {
    poll.stop();
    [page, problem, cursors, filter, waiting] = [null, null, [null], "all", true];
    place().replaceChildren();
  },
};
