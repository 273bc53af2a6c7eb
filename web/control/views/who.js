// Who did something: an operator by the start of her id, herself by a word of her own.

import { currentUser } from "../app/login.js";
import { t } from "../app/words.js";

const AN_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-/;

/** Say by whom; nothing where nobody is known, and a name that was written by hand as it is. */
export function by(who) {
  if (!who) return "";
  if (who === currentUser()?.user_id) return t("hours.by_you");
  return t("hours.by", { who: AN_ID.test(who) ? who.slice(0, 8) : who });
}
