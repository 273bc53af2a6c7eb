// Starts the page: words, sign-in, and the views of who is signed in.

import { age } from "./clock.js";
import { closeAll } from "./dialogs.js";
import { become, byId, el } from "./dom.js";
import { onLogin, signOut } from "./login.js";
import { askAll, onLink } from "./poll.js";
import { showProblem } from "./problems.js";
import { currentLanguage, loadWords, onLanguage, setLanguage, t } from "./words.js";
import { hoursView } from "../views/hours.js";
import { mirror } from "../views/mirror.js";
import { mitras } from "../views/mitras.js";
import { now } from "../views/now.js";
import { signInView } from "../views/sign_in.js";

const VIEWS = [now, hoursView, mirror, mitras];
let user = null;

function languageButtons() {
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === currentLanguage()));
    button.onclick = () => setLanguage(button.dataset.language);
  }
  document.title = `${t(user ? "desk.title" : "sign_in.title")} · Temani`;
}

/** Say whether the page is up to date; what all parts miss is told once, above them. */
function showLink({ state, next, shared }) {
  const place = byId("link");
  place.className = `link ${state}`;
  become(place, el("span", {}, t(`link.${state}`), state === "failing" ? [" ", el("span", { "aria-hidden": "true" }, age(new Date(next).toISOString(), "link.next"))] : null));
  byId("desk").classList.toggle("cut", Boolean(shared));
  showProblem(byId("cut"), shared, askAll);
}

function enter(someone, why) {
  user = someone;
  byId("sign-in").hidden = Boolean(user);
  byId("desk").hidden = !user;
  byId("who").hidden = !user;
  byId("link").hidden = !user;
  byId("who-name").textContent = user?.display_name ?? "";
  languageButtons();
  if (user) {
    for (const view of VIEWS) view.start();
    byId("content").focus({ preventScroll: true });
  } else {
    for (const view of VIEWS) view.stop();
    closeAll();
    signInView.open(why);
  }
}

await loadWords();
onLanguage(languageButtons);
onLink(showLink);
onLogin(enter);
byId("sign-out").addEventListener("click", () => { signOut().catch(() => { /* forgotten here anyway */ }); });
signInView.start();
enter(null, null);
