// One mitra: why she gets requests or does not, what each store knows of her, her time online.

import { ask } from "../app/dialogs.js";
import { become, byId, el } from "../app/dom.js";
import { call } from "../app/login.js";
import { Poll } from "../app/poll.js";
import { showProblem } from "../app/problems.js";
import { onLanguage, t } from "../app/words.js";
import { comparison } from "./comparison.js";
import { factList } from "./facts.js";
import { badge } from "./marks.js";
import { onlineTimePart } from "./online_time.js";

let parts = null;
let poll = null;
let mitra = null;
let problem = null;

const dialog = () => byId("drawer");
const called = () => mitra?.display_name ?? t("mitras.unnamed");

function build(mitraId) {
  parts = {
    title: el("h2", { id: "drawer-title" }),
    badge: el("span"),
    close: el("button", { type: "button", class: "button plain small", onclick: () => dialog().close() }),
    problem: el("div", { class: "problem", role: "alert", hidden: true }),
    loading: el("p", { class: "empty" }),
    why: el("section", { class: "why" }),
    compare: el("section", { class: "compare" }),
    times: onlineTimePart(mitraId),
    force: el("button", { type: "button", class: "button danger", onclick: () => force(mitraId) }),
  };
  parts.body = el("div", { class: "drawer-body" }, parts.problem, parts.loading, parts.why, parts.times.node, parts.compare,
    el("div", { class: "buttons" }, parts.force));
  dialog().replaceChildren(el("div", { class: "drawer-head" }, parts.title, parts.badge, parts.close), parts.body);
}

function force(mitraId) {
  ask({
    title: t("drawer.force.title", { name: called() }),
    text: t("drawer.force.text"),
    yes: t("drawer.force.yes"),
    danger: true,
    async act() {
      await call("POST", `/api/control/availability/mitras/${mitraId}/force-offline`);
      poll?.now();
      parts.times.read();
      drawer.onChange();
      return t("drawer.force.done", { name: called() });
    },
  });
}

function draw() {
  become(parts.close, t("drawer.close"));
  become(parts.force, t("drawer.force"));
  become(parts.loading, t("frame.loading"));
  parts.times.draw();
  showProblem(parts.problem, problem, () => poll.now());
  parts.loading.hidden = Boolean(mitra || problem);
  parts.force.hidden = !mitra?.is_online;
  for (const part of [parts.why, parts.times.node, parts.compare]) part.hidden = !mitra;
  if (!mitra) return void become(parts.title, "…");
  become(parts.title, called());
  become(parts.badge, badge({ ...mitra, is_active: !mitra.reasons.includes("deactivated") }));
  const hindering = mitra.facts.filter((fact) => fact.ok === false).length;
  become(parts.why, el("h3", {}, t("drawer.why")),
    el("p", { class: hindering ? "verdict no" : "verdict" }, hindering ? t("drawer.no", { n: hindering }) : t("drawer.yes")), factList(mitra));
  become(parts.compare, ...comparison(mitra));
}

function closed() {
  poll?.stop();
  poll = mitra = problem = null;
  dialog().replaceChildren();
}

onLanguage(() => { if (poll) draw(); });
byId("drawer").addEventListener("close", closed);

export const drawer = {
  /** Called after something changed that the list shows. */
  onChange() {},

  /** Open the drawer on one mitra and keep it up to date until it is closed. */
  open(mitraId) {
    build(mitraId);
    poll = new Poll({
      path: `/api/control/availability/mitras/${mitraId}`,
      every: 3,
      show(answer) { mitra = answer; problem = null; draw(); },
      fail(failed) { problem = failed; draw(); },
    });
    draw();
    dialog().showModal();
    parts.close.focus();
    poll.start();
    parts.times.read();
  },
};
