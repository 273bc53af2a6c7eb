// The login of this page. Its tokens live in this module's memory and nowhere else: closing or
// reloading the page forgets them, and no other page or extension storage ever sees them.

import { send } from "./api.js";
import { learn } from "./clock.js";
import { Problem } from "./problems.js";

const RENEW_BEFORE_MS = 45_000;
const FINAL = new Set(["refresh_invalid", "refresh_expired", "refresh_reused", "login_revoked"]);

const deviceId = [...crypto.getRandomValues(new Uint8Array(16))]
  .map((byte) => byte.toString(16).padStart(2, "0")).join("");
const listeners = new Set();
let tokens = null; // { access, refresh, until, user }; `until` on performance.now()
let renewing = null;
let logins = 0; // counts each beginning and end: what was asked in one login concerns no other

/** Call `listener(user | null, why | null)` at each sign-in and at each end of the login. */
export const onLogin = (listener) => { listeners.add(listener); };

/** Return who is signed in; null when nobody is. */
export const currentUser = () => tokens?.user ?? null;

const tell = (why = null) => { for (const listener of listeners) listener(tokens?.user ?? null, why); };

function keep(answer) {
  learn(answer.server_time);
  tokens = {
    access: answer.access_token,
    refresh: answer.refresh_token,
    until: performance.now() + answer.expires_in * 1000,
    user: answer.user,
  };
}

/** Sign in; raises Problem. */
export async function signIn(email, password) {
  const body = { email, password, device_id: deviceId, device_name: "Temani control center" };
  keep(await send("POST", "/api/control/auth/login", { body }));
  logins += 1;
  tell();
}

/** Sign out here. The tokens are forgotten even if the service cannot be told. */
export async function signOut() {
  const access = tokens?.access;
  end(null);
  if (access) await send("POST", "/api/control/auth/logout", { body: { scope: "local" }, token: access });
}

function end(why) {
  if (!tokens) return;
  tokens = null;
  logins += 1;
  tell(why);
}

/** Call a route as the signed-in operator; an ended login ends here too. Raises Problem. */
export async function call(method, path, body) {
  const login = logins;
  if (tokens && tokens.until - performance.now() < RENEW_BEFORE_MS) await renew();
  try {
    return await authorized(login, method, path, body);
  } catch (problem) {
    if (problem.status !== 401 || login !== logins) throw problem;
    if (problem.code !== "token_expired") { end(problem); throw problem; }
    await renew();
    return authorized(login, method, path, body);
  }
}

function authorized(login, method, path, body) {
  if (!tokens || login !== logins) throw new Problem({ code: "unauthenticated", status: 401 });
  return send(method, path, { body, token: tokens.access });
}

/** Renew the tokens, once however many ask. Only a final refusal ends the login. */
function renew() {
  renewing ??= renewOnce().finally(() => { renewing = null; });
  return renewing;
}

async function renewOnce() {
  const held = tokens;
  if (!held) return;
  try {
    const body = { refresh_token: held.refresh, device_id: deviceId };
    const answer = await send("POST", "/api/control/auth/refresh", { body });
    if (tokens === held) keep(answer); // else somebody signed out meanwhile
  } catch (problem) {
    if (FINAL.has(problem.code)) end(problem);
    else if (performance.now() < held.until) return; // the old one is still good: try next time
    throw problem;
  }
}
