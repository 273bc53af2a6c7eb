// Why something of the mirror is not as it should be: in our words, with the engineers' own beside.

import { el } from "../app/dom.js";
import { hasWord, t } from "../app/words.js";

/** Return what a state's or a failure's reason is shown as; the raw text is English. */
export function because(reason, code) {
  if (!reason) return [];
  const words = `mirror.because.${code}`;
  return [hasWord(words) ? t(words) : null, " ", el("code", { lang: "en" }, reason)];
}
