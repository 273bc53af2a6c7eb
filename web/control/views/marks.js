// Small signs that several views draw: a mitra's state, her slots.

import { el } from "../app/dom.js";
import { t } from "../app/words.js";

/** Return one word for a mitra in the list. */
export function stateOf(mitra) {
  if (mitra.available) return "available";
  if (mitra.reachable) return "busy";
  if (!mitra.is_active) return "deactivated";
  return mitra.is_online ? "silent" : "offline";
}

export function badge(mitra) {
  const state = stateOf(mitra);
  return el("span", { class: "badge", "data-fact": state }, t(`state.${state}`));
}

/** Draw one dot for each slot, filled where a session holds it. */
export function pips(load, capacity) {
  const dots = Array.from({ length: Math.max(load, capacity) }, (_, i) => el("i", { class: i < load ? "held" : null }));
  return el("span", { class: "pips", role: "img", "aria-label": t("load.of", { load, capacity }), title: t("load.of", { load, capacity }) },
    dots.length <= 8 ? dots : null, el("span", {}, `${load}/${capacity}`));
}
