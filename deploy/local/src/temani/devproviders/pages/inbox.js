"use strict";
const $ = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};
const row = (...nodes) => { const line = make("div", "row"); line.append(...nodes); return line; };
const rupiah = new Intl.NumberFormat("id-ID", { style: "currency", currency: "IDR", maximumFractionDigits: 0 });
const json = async (url, options) => {
  const answer = await fetch(url, options);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
};

// Tabs
const tabs = [...document.querySelectorAll("nav button")];
const show = (name) => {
  for (const tab of tabs) {
    const on = tab.dataset.tab === name;
    tab.setAttribute("aria-selected", on);
    $(tab.dataset.tab).hidden = !on;
  }
  if (name === "payments") loadOrders();
  if (name === "faults") loadFaults();
};
for (const tab of tabs) tab.onclick = () => { location.hash = tab.dataset.tab; };
const fromHash = () => show(tabs.some((tab) => "#" + tab.dataset.tab === location.hash) ? location.hash.slice(1) : "inbox");
addEventListener("hashchange", fromHash);

// Messages
const channels = { whatsapp: "WhatsApp", sms: "SMS", missed_call: "Missed call" };
const seen = new Set();
const ago = (date) => {
  const seconds = Math.max(0, Math.round((Date.now() - date) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return new Date(date).toLocaleTimeString();
};
const copyButton = (code) => {
  const button = make("button", "button", "Copy");
  button.onclick = async () => {
    await navigator.clipboard.writeText(code);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  return button;
};
const matches = (card) => card.dataset.phone.includes($("filter").value.replace(/\D/g, "").replace(/^0/, ""));
const refilter = () => { for (const card of $("messages").children) card.hidden = !matches(card); };
const addMessage = (message, fresh) => {
  if (seen.has(message.id)) return;
  seen.add(message.id);
  const card = make("li", fresh ? "card new" : "card");
  card.dataset.phone = message.to;
  const when = make("span", "when", ago(Date.parse(message.at)));
  when.dataset.at = Date.parse(message.at);
  const code = make("div", "code grow", message.code);
  card.append(
    row(make("span", "phone grow", message.to), make("span", `badge ${message.channel}`, channels[message.channel] || message.channel), when),
    row(code, copyButton(message.code)),
    make("p", "text", message.text));
  card.hidden = !matches(card);
  $("messages").prepend(card);
  $("no-messages").hidden = true;
};
const loadMessages = async () => {
  for (const message of (await json("/dev/inbox.json")).messages) addMessage(message, false);
  $("no-messages").hidden = seen.size > 0;
};
const listen = () => {
  const stream = new EventSource("/dev/inbox/stream");
  stream.onopen = () => { $("live").classList.add("on"); $("live").textContent = "live"; loadMessages(); };
  stream.onmessage = (event) => addMessage(JSON.parse(event.data), true);
  stream.onerror = () => { $("live").classList.remove("on"); $("live").textContent = "reconnecting"; };
};
$("filter").oninput = refilter;
setInterval(() => { for (const when of document.querySelectorAll(".when[data-at]")) when.textContent = ago(+when.dataset.at); }, 1000);

// Payments
const act = async (token, action) => { await json(`/midtrans/checkout/${token}/${action}`, { method: "POST" }); loadOrders(); };
const orderCard = (order) => {
  const card = make("li", "card");
  const status = order.transaction_status;
  const told = order.told === status ? "shop knows" : status === "new" ? "not opened" : "shop not told yet";
  card.append(
    row(make("span", "phone grow", rupiah.format(order.gross_amount)), make("span", `badge ${status}`, status), make("span", "when", told)),
    make("p", "text", `${order.item} · ${order.order_id}`));
  if (order.open) {
    const open = make("a", "button", "Open checkout");
    open.href = `/midtrans/checkout/${order.token}`;
    const buttons = ["pay", "deny", "expire"].map((action) => {
      const button = make("button", "button plain", action);
      button.onclick = () => act(order.token, action);
      return button;
    });
    const line = row(open, ...buttons);
    line.style.marginTop = ".6rem";
    card.append(line);
  }
  return card;
};
async function loadOrders() {
  const { orders } = await json("/dev/orders.json");
  $("orders").replaceChildren(...orders.map(orderCard));
  $("no-orders").hidden = orders.length > 0;
}
setInterval(() => { if (!$("payments").hidden) loadOrders(); }, 1500);

// Faults
const kinds = {
  slow: "Answers slowly", error: "Answers 500", lost: "Accepted, never arrives", late: "Arrives late",
  duplicate: "Arrives twice", out_of_order: "Older state arrives last", bad_signature: "Badly signed copy first",
};
const offerKinds = () => {
  const notifies = $("provider").value === "midtrans";
  const offered = Object.entries(kinds).filter(([kind]) => notifies || !["out_of_order", "bad_signature"].includes(kind));
  $("kind").replaceChildren(...offered.map(([kind, label]) => new Option(label, kind)));
};
const showFaults = ({ faults }) => $("ordered").replaceChildren(...faults.map((fault) => {
  const card = make("li", "card");
  const timed = ["slow", "late"].includes(fault.kind) ? `, ${fault.seconds} s` : "";
  card.append(row(make("span", "phone grow", kinds[fault.kind]), make("span", "badge", fault.provider), make("span", "when", `${fault.times} more${timed}`)));
  return card;
}));
async function loadFaults() { showFaults(await json("/dev/faults")); }
$("provider").onchange = offerKinds;
$("order").onclick = async () => showFaults(await json("/dev/faults", {
  method: "POST",
  body: JSON.stringify({ provider: $("provider").value, kind: $("kind").value, times: +$("times").value, seconds: +$("seconds").value }),
}));
$("clear").onclick = async () => showFaults(await json("/dev/faults", { method: "DELETE" }));
setInterval(() => { if (!$("faults").hidden) loadFaults(); }, 2000);

offerKinds();
fromHash();
listen();
