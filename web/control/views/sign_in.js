// The door: e-mail and password, as auth asks for them.

import { byId } from "../app/dom.js";
import { signIn } from "../app/login.js";
import { asProblem, Problem, showProblem } from "../app/problems.js";
import { onLanguage } from "../app/words.js";

let shown = null; // the problem that stands there, to be said again in another language

function tell(problem) {
  shown = problem;
  showProblem(byId("sign-in-problem"), problem);
}

async function submit(event) {
  event.preventDefault();
  const [email, password, button] = [byId("email"), byId("password"), byId("sign-in-button")];
  if (!email.value.trim() || !password.value) {
    tell(new Problem({ code: "credentials_missing", status: -1 }));
    return void (email.value.trim() ? password : email).focus();
  }
  button.disabled = true;
  tell(null);
  try {
    await signIn(email.value.trim(), password.value);
    password.value = "";
  } catch (error) {
    tell(asProblem(error));
    password.select();
  } finally {
    button.disabled = false;
  }
}

export const signInView = {
  start() {
    byId("sign-in-form").addEventListener("submit", submit);
    byId("show-password").addEventListener("change", (event) => {
      byId("password").type = event.target.checked ? "text" : "password";
    });
    onLanguage(() => tell(shown));
  },

  /** Show the door; `why` is the problem that ended the login before, if one did. */
  open(why) {
    tell(why);
    byId("show-password").checked = false;
    byId("password").type = "password";
    byId(byId("email").value ? "password" : "email").focus();
  },
};
