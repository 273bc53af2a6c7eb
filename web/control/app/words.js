// Indonesian and English: which language is shown, and the words of it.

const LANGUAGES = ["id", "en"];
const KEPT_AS = "temani.language";
const all = {};
const listeners = new Set();
let language = "id";
let plurals = new Intl.PluralRules(language);

/** Load both languages; the one chosen last wins, then the browser's. */
export async function loadWords() {
  await Promise.all(LANGUAGES.map(async (name) => {
    const answer = await fetch(new URL(`../words/${name}.json`, import.meta.url));
    if (!answer.ok) throw new Error(`words/${name}.json: ${answer.status}`);
    all[name] = await answer.json();
  }));
  setLanguage(chosen());
}

function chosen() {
  const kept = read();
  if (LANGUAGES.includes(kept)) return kept;
  const first = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase());
  // "in" is what Indonesian was called before 1989; old phones still say it.
  return first.map((tag) => (tag === "in" ? "id" : tag)).find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

function read() {
  try { return localStorage.getItem(KEPT_AS); } catch { return null; }
}

/** Show everything in `name`; whoever drew something is told to draw it again. */
export function setLanguage(name) {
  language = name;
  plurals = new Intl.PluralRules(name);
  try { localStorage.setItem(KEPT_AS, name); } catch { /* a browser that keeps nothing */ }
  document.documentElement.lang = name;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) {
    node.setAttribute("aria-label", t(node.dataset.tLabel));
  }
  for (const listener of listeners) listener();
}

export const onLanguage = (listener) => { listeners.add(listener); };
export const currentLanguage = () => language;
export const locale = () => (language === "id" ? "id-ID" : "en-GB");
export const hasWord = (key) => key in all[language];

/** Return the words of `key`, with `{name}` replaced; `n` also chooses between one and many. */
export function t(key, values = {}) {
  let words = all[language]?.[key] ?? key;
  if (typeof words === "object") words = words[plurals.select(values.n)] ?? words.other;
  return words.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : String(value ?? "");
  });
}

/** Write a number as people here write it. */
export const number = (value) => new Intl.NumberFormat(locale()).format(value);
