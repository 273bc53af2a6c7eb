// What customers see, the numbers of now, and whether the mirror answers them.

import { age, serverNow } from "../app/clock.js";
import { become, byId, drawn, el } from "../app/dom.js";
import { Poll } from "../app/poll.js";
import { showProblem } from "../app/problems.js";
import { number, onLanguage, t } from "../app/words.js";
import { showBrake } from "./brake.js";
import { because } from "./reason.js";

const OLD_AFTER_MS = 12_000; // the services promise numbers of at most 10 s

let summary = null;
let problem = null;

function beaconCard() {
  const { state, count, why, opens_at: opensAt } = summary.beacon;
  const small = state === "disabled" && opensAt
    ? age(opensAt, "beacon.opens", true)
    : el("span", {}, t(`beacon.${state}.note`, { why: why ? t(`hours.why.${why}`) : "" }));
  return [
    el("span", { class: "lamp", "data-state": state, "aria-hidden": "true" }),
    el("div", {},
      el("h3", { class: "eyebrow" }, t("beacon.title")),
      el("p", { class: "beacon-says", role: "status" }, t(`beacon.${state}`, { n: count })),
      el("p", { class: "soft small" }, small)),
    el("p", { class: "soft small stamp" }, age(summary.as_of, "time.counted")),
  ];
}

function numbersCard() {
  const silent = Math.max(0, summary.online - summary.reachable);
  const tile = (name, value, extra) => el("div", { class: "tile", "data-fact": name },
    el("dt", {}, t(`numbers.${name}`)), el("dd", { class: "value" }, number(value)),
    el("dd", { class: "soft small" }, extra ?? t(`numbers.${name}.note`)));
  const share = (name, value) => (value ? drawn(el("i", { "data-fact": name }), { "--share": value }) : null);
  return [
    el("dl", {},
      tile("online", summary.online),
      tile("reachable", summary.reachable, silent ? t("numbers.silent", { n: silent }) : t("numbers.reachable.note")),
      tile("available", summary.available), tile("busy", summary.busy)),
    el("div", { class: "shares", "aria-hidden": "true" },
      share("available", summary.available), share("busy", summary.busy), share("silent", silent)),
    el("p", { class: "soft small stamp" }, age(summary.as_of, "time.counted"), " · ", t(`source.${summary.source}`)),
  ];
}

function loadsCard() {
  const title = el("h3", { class: "eyebrow" }, t("loads.title"));
  if (!summary.loads) return [title, el("p", { class: "soft" }, t("loads.none"))];
  const counts = Object.entries(summary.loads).map(([slots, n]) => [Number(slots), n]);
  const most = Math.max(1, ...counts.map(([, n]) => n));
  const widest = Math.max(3, ...counts.map(([slots]) => slots));
  const columns = Array.from({ length: widest + 1 }, (_, slots) => {
    const n = summary.loads[slots] ?? 0;
    return drawn(el("li", { class: n ? null : "none" },
      el("b", { "aria-hidden": "true" }, number(n)), el("i", { "aria-hidden": "true" }),
      el("span", { "aria-hidden": "true" }, number(slots)),
      el("span", { class: "visually-hidden" }, t("loads.column", { slots, n }))), { "--height": n / most });
  });
  return [title, el("ol", { class: "columns" }, columns),
    el("p", { class: "soft small stamp" }, t("loads.axis"), " · ", age(summary.loads_as_of, "time.counted"))];
}

function banner() {
  const place = byId("banner");
  const { state, reason, reason_code: code, since } = summary.mirror;
  const fallback = state !== "ok" || summary.source === "postgres";
  place.hidden = !fallback;
  if (!fallback) return void place.replaceChildren();
  const key = state === "ok" ? "away" : code === "no_writes" ? code : state;
  become(place, el("div", {},
    el("p", {}, el("strong", {}, t("banner.title")), " ", t(`banner.${key}`)),
    el("p", { class: "small" }, since ? [age(since, "time.since"), " · "] : null, ...because(reason, code)),
    el("p", { class: "small" }, t(`banner.${key}.todo`))));
}

function draw() {
  showProblem(byId("now").querySelector(".problem"), problem, () => poll.now());
  if (!summary) return;
  banner();
  showBrake(summary.brake);
  become(byId("beacon"), ...beaconCard());
  become(byId("numbers"), ...numbersCard());
  become(byId("loads"), ...loadsCard());
  byId("now").classList.toggle("old", serverNow() - Date.parse(summary.as_of) > OLD_AFTER_MS);
}

const poll = new Poll({
  path: "/api/control/availability/summary",
  every: 2,
  show(answer) { summary = answer; problem = null; draw(); },
  fail(failed) { problem = failed; draw(); },
});

onLanguage(() => { if (poll.running) draw(); });

export const now = {
  start() { poll.start(); },
  stop() {
    poll.stop();
    summary = problem = null;
    showBrake(null);
    for (const id of ["banner", "beacon", "numbers", "loads"]) byId(id).replaceChildren();
  },
};
