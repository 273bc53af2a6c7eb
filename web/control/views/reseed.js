// How far a rebuild of the mirror is, from the order until it is done.

import { become, el } from "../app/dom.js";
import { call } from "../app/login.js";
import { asProblem, showProblem } from "../app/problems.js";
import { t } from "../app/words.js";

const LOOK_EVERY_MS = 700;
const PATIENCE = 5; // failures in a row before this looks no more

let following = 0;

/** Show in `place` how the ordered reseed goes; `done()` is called once it ended. */
export async function followReseed({ reseed_id: id }, place, done) {
  const mine = following += 1;
  for (let fails = 0; mine === following && place.isConnected;) {
    try {
      const found = await call("GET", `/api/control/availability/reseeds/${id}`);
      fails = 0;
      show(found, place);
      if (found.state === "done" || found.state === "failed") return done();
    } catch (error) {
      fails += 1;
      if (fails === PATIENCE || error.status === 401) return showIn(place, asProblem(error));
    }
    await new Promise((resolve) => { setTimeout(resolve, LOOK_EVERY_MS); });
  }
}

function showIn(place, problem) {
  const box = el("div", { class: "problem" });
  showProblem(box, problem);
  place.replaceChildren(box);
}

function show({ state, mitras, total, healed, error, error_code: code }, place) {
  if (state === "failed") {
    return void become(place, el("div", { class: "problem" },
      el("p", {}, t(code === "lost" ? "reseed.lost" : "reseed.failed")),
      error ? el("p", { class: "reference" }, t("problem.reference"), " ", el("code", { lang: "en" }, error)) : null));
  }
  const bar = el("progress", { max: Math.max(1, total), value: mitras, "aria-label": t("mirror.reseed") });
  become(place, state === "done" ? null : bar, el("p", { class: "small soft" }, t(`reseed.${state}`, { n: mitras, total, healed: healed ?? 0 })));
}

/** Look no more at whatever is followed. */
export function forgetReseed() {
  following += 1;
}
