// The few things done to the document. Text is only ever set as text: no markup is parsed here.

export const byId = (id) => document.getElementById(id);

/** Make an element: `on*` are listeners, booleans switch attributes, the rest are attributes. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set custom properties that the style sheets draw with, such as the height of a bar. */
export function drawn(node, properties) {
  for (const [name, value] of Object.entries(properties)) node.style.setProperty(name, value);
  return node;
}

/**
 * Change `node` to hold `fresh`, unless it holds the same already: what is selected stays so, and
 * nothing is read out again. Only for what has no listeners: equal nodes keep their old ones.
 */
export function become(node, ...fresh) {
  const wanted = fresh.flat().filter((child) => child !== null && child !== undefined)
    .map((child) => (child instanceof Node ? child : document.createTextNode(child)));
  const same = wanted.length === node.childNodes.length
    && wanted.every((child, i) => node.childNodes[i].isEqualNode(child));
  if (!same) node.replaceChildren(...wanted);
  return node;
}

/**
 * Keep one child of `parent` for each item, in order, known by `key`. A child that stays is
 * filled again rather than replaced: who has the focus keeps it while the numbers change.
 */
export function keyed(parent, items, { key, make, fill }) {
  const held = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = held.get(name);
    if (child) held.delete(name);
    else (child = make(item)).dataset.key = name;
    fill(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const gone of held.values()) gone.remove();
}
