// Each fact that decides whether a mitra gets requests: a sign, a sentence, its age, what helps.

import { age, length } from "../app/clock.js";
import { el } from "../app/dom.js";
import { t } from "../app/words.js";

const SIGNS = { yes: "✓", no: "✕", unknown: "–" };

/** Facts that only follow from another: a mitra who is offline need not be heard. */
const kindOf = (fact) => (fact.ok === null ? "unknown" : fact.ok ? "yes" : "no");

function sentence(fact, kind, never) {
  if (fact.fact === "online" && kind === "no") {
    if (never) return t("fact.online.never");
    if (fact.reason) return t("fact.online.no.because", { reason: t(`reason.${fact.reason}`) });
  }
  if (fact.fact === "service" && kind === "no") return t("fact.service.no", { why: t(`hours.why.${fact.why}`) });
  return t(`fact.${fact.fact}.${kind}`);
}

/** What is measured beside the yes or no. */
function detail(fact) {
  if (fact.fact === "load") return t("load.of", fact);
  if (fact.fact === "service" && fact.opens_at) return age(fact.opens_at, "hours.opens", true);
  if (fact.fact !== "fresh") return null;
  if (!fact.last_heartbeat_at) return fact.ok === null ? null : t("fact.fresh.never");
  return [age(fact.last_heartbeat_at, "fact.fresh.beat"), `, ${t("fact.fresh.limit", { limit: length(fact.limit_seconds) })}`];
}

function sinceWhen(fact, never) {
  if (fact.since) return age(fact.since, "time.since");
  // Of some facts nobody asks since when: an open service, an app that is heard, one never online.
  return never || fact.fact === "service" || fact.fact === "fresh" ? null : t("fact.since_unknown");
}

/** Return the list of a mitra's facts. */
export function factList({ facts, is_online: isOnline, went_online_at: wentOnlineAt }) {
  const never = !isOnline && !wentOnlineAt;
  return el("ul", { class: "checks" }, facts.map((fact) => {
    const kind = kindOf(fact);
    const more = [sinceWhen(fact, never && fact.fact === "online"), detail(fact)].filter(Boolean);
    return el("li", { class: kind, "data-name": fact.fact },
      el("span", { class: "sign", role: "img", "aria-label": t(`sign.${kind}`) }, SIGNS[kind]),
      el("strong", {}, sentence(fact, kind, never)),
      more.length ? el("span", { class: "soft small" }, more.flatMap((each, i) => (i ? [" · ", each] : [each])).flat()) : null,
      kind === "no" ? el("span", { class: "todo" }, t(`fact.${fact.fact}.todo`)) : null);
  }));
}
