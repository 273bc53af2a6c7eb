"use strict";
const $ = (id) => document.getElementById(id);
const token = location.pathname.split("/").pop();
const rupiah = new Intl.NumberFormat("id-ID", { style: "currency", currency: "IDR", maximumFractionDigits: 0 });
const stamps = {
  settlement: "Pembayaran berhasil", expire: "Sudah kedaluwarsa",
  refund: "Dana dikembalikan", partial_refund: "Sebagian dana dikembalikan",
};

// A picture that looks like a QR code and encodes nothing: it must not be payable by accident.
const draw = (text) => {
  const size = 29, svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Gambar QR simulasi");
  let seed = 2166136261;
  for (const character of text) seed = Math.imul(seed ^ character.charCodeAt(0), 16777619);
  const random = () => { seed ^= seed << 13; seed ^= seed >>> 17; seed ^= seed << 5; return seed & 1; };
  const corner = (x, y) => (x < 8 && y < 8) || (x >= size - 8 && y < 8) || (x < 8 && y >= size - 8);
  const path = [];
  const square = (x, y, w, h) => path.push(`M${x} ${y}h${w}v${h}h${-w}z`);
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) if (!corner(x, y) && random()) square(x, y, 1, 1);
  for (const [x, y] of [[0, 0], [size - 7, 0], [0, size - 7]]) {
    square(x, y, 7, 1); square(x, y + 6, 7, 1); square(x, y + 1, 1, 5); square(x + 6, y + 1, 1, 5); square(x + 2, y + 2, 3, 3);
  }
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
  shape.setAttribute("d", path.join(""));
  shape.setAttribute("fill", "#111");
  svg.append(shape);
  $("qr").replaceChildren(svg);
};

let drawn = false;
const show = (order) => {
  $("item").textContent = order.customer ? `${order.item} · ${order.customer}` : order.item;
  $("sum").textContent = rupiah.format(order.gross_amount);
  $("order").textContent = order.order_id;
  if (!drawn) { draw(order.order_id); drawn = true; }
  const status = order.transaction_status;
  $("qr").hidden = $("actions").hidden = !order.open;
  $("stamp").hidden = order.open && status !== "deny";
  $("stamp").className = `stamp ${status}`;
  $("stamp").textContent = status === "deny" ? "Pembayaran ditolak. Coba lagi?" : stamps[status] || "";
  if (order.finish_url && !order.open) { $("finish").href = order.finish_url; $("finish").hidden = false; }
};
const look = async () => show(await (await fetch(`/midtrans/checkout/${token}.json`)).json());
for (const button of document.querySelectorAll("[data-action]")) {
  button.onclick = async () => {
    button.disabled = true;
    await fetch(`/midtrans/checkout/${token}/${button.dataset.action}`, { method: "POST" });
    button.disabled = false;
    look();
  };
}
look();
setInterval(look, 2000);
