// Weekly hours as stretches of each day, and what the time is on the service's own clocks.

import { locale } from "./words.js";

const DAY = 24 * 60;

const minutes = (time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));

/** Return the name of a day, 1 Monday to 7 Sunday. */
export function dayName(day, width = "long") {
  const aMonday = Date.UTC(2024, 0, 1);
  const options = { weekday: width, timeZone: "UTC" };
  return new Intl.DateTimeFormat(locale(), options).format(aMonday + (day - 1) * DAY * 60_000);
}

/** Write a date such as 2026-12-25. */
export function dateName(date) {
  const options = { weekday: "short", day: "numeric", month: "long", year: "numeric", timeZone: "UTC" };
  return new Intl.DateTimeFormat(locale(), options).format(new Date(`${date}T00:00:00Z`));
}

/** Return for each day the stretches in minutes; what lasts past midnight goes on the day after. */
export function stretches(weekly) {
  const days = new Map([1, 2, 3, 4, 5, 6, 7].map((day) => [day, []]));
  for (const { day, opens, closes } of weekly) {
    const [from, to] = [minutes(opens), minutes(closes)];
    if (to > from) days.get(day).push([from, to]);
    else {
      days.get(day).push([from, DAY]);
      if (to > 0) days.get(day % 7 + 1).push([0, to]);
    }
  }
  return days;
}

/**
 * Return today's date, the day (1 to 7) and the minute of the day in `timeZone` at `moment`; null
 * for a zone that this browser does not know, as the server may know more of them.
 */
export function there(timeZone, moment) {
  const options = { timeZone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  let clock;
  try { clock = new Intl.DateTimeFormat("en-CA", options); } catch { return null; }
  const parts = Object.fromEntries(clock.formatToParts(moment).map((part) => [part.type, part.value]));
  const date = `${parts.year}-${parts.month}-${parts.day}`;
  const day = new Date(`${date}T00:00:00Z`).getUTCDay() || 7;
  return { date, day, minute: Number(parts.hour) * 60 + Number(parts.minute) };
}

export const share = (minute) => `${(minute / DAY) * 100}%`;
