// Ask again and again, politely: not while nobody looks, slower while it fails.

import { call } from "./login.js";
import { asProblem } from "./problems.js";
import { onLanguage } from "./words.js";

const LONGEST_WAIT = 30;
const polls = new Set();
const listeners = new Set();

/**
 * Call `listener({ state, next, shared })` when polls begin or cease to fail: `state` is
 * "waiting" before the first answer, "live" or "failing"; `next` is in ms, Date.now(); `shared` is
 * the problem that every part of the page has, null when each has its own.
 */
export const onLink = (listener) => { listeners.add(listener); };

function tellLink() {
  const failing = [...polls].filter((poll) => poll.problem);
  const next = failing.length ? Math.min(...failing.map((poll) => poll.next)) : null;
  const state = failing.length ? "failing" : [...polls].some((poll) => poll.answered) ? "live" : "waiting";
  const codes = new Set([...polls].map((poll) => poll.problem?.code));
  const shared = polls.size > 1 && codes.size === 1 ? failing[0]?.problem ?? null : null;
  for (const listener of listeners) listener({ state, next, shared });
}

/** Ask everything at once. */
export const askAll = () => { for (const poll of polls) poll.now(); };

/** Seconds to wait after `fails` failures in a row; the jitter keeps many pages from marching in step. */
export function wait(every, fails, retryAfter = 0, chance = Math.random()) {
  if (!fails) return every;
  const slower = Math.min(LONGEST_WAIT, every * 2 ** fails);
  return Math.max(retryAfter, slower * (0.75 + chance / 2));
}

/** One question asked every so often while `start`ed; `show(answer)` or `fail(problem)` hears. */
export class Poll {
  constructor({ path, every, show, fail }) {
    Object.assign(this, { path, every, show, fail, fails: 0, next: 0, running: false, answered: false, problem: null });
    this.turn = 0;
    this.timer = null;
  }

  start() {
    this.running = true;
    polls.add(this);
    return this.now();
  }

  stop() {
    this.running = false;
    this.turn += 1; // an answer on its way is not shown any more
    this.fails = 0;
    this.answered = false;
    this.problem = null;
    clearTimeout(this.timer);
    polls.delete(this);
    tellLink();
  }

  /** Ask at once, then go on; an answer to an earlier question is dropped. */
  async now() {
    if (!this.running) return;
    clearTimeout(this.timer);
    const turn = this.turn += 1;
    let retryAfter = 0;
    try {
      const answer = await call("GET", typeof this.path === "function" ? this.path() : this.path);
      if (turn !== this.turn) return;
      this.fails = 0;
      this.answered = true;
      this.problem = null;
      this.show(answer);
    } catch (error) {
      if (turn !== this.turn) return;
      this.problem = asProblem(error);
      this.problem.polled = true;
      this.fails += 1;
      retryAfter = this.problem.retryAfter ?? 0;
      this.fail(this.problem);
    }
    if (this.running) this.later(wait(this.every, this.fails, retryAfter));
  }

  later(seconds) {
    this.next = Date.now() + seconds * 1000;
    this.timer = setTimeout(() => { if (!document.hidden) this.now(); }, seconds * 1000);
    tellLink();
  }
}

// A hidden page asks nothing, so an unattended login ends when auth says that it is idle.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const poll of polls) if (poll.next <= Date.now()) poll.now();
});
onLanguage(tellLink);
addEventListener("online", () => { for (const poll of polls) if (poll.problem) poll.now(); });
