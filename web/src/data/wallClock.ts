/** Writes moments as the API does, on the wall clock of a zone and without its offset: `2026-03-03T14:05:00`. */
export function wallClock(zone: string): (ms: number) => string {
  const clock = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" });
  return (ms) => clock.format(ms).replace(" ", "T");
}
