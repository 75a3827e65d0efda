/** A day and a minute, as the reader writes them. */
export function shortTime(iso: string): string {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** How long ago something was, whose time is known to the hour. */
export function ago(iso: string, now: number): string {
  const hours = Math.floor((now - Date.parse(iso)) / 3_600_000);
  if (hours < 1) return "in the last hour";
  if (hours < 48) return `${hours} ${hours === 1 ? "hour" : "hours"} ago`;
  return `${Math.floor(hours / 24)} days ago`;
}

/** A browser in two words, from what it calls itself. */
export function browserName(agent: string): string {
  const name = ["Edg", "OPR", "Firefox", "Chrome", "Safari"].find((known) => agent.includes(`${known}/`));
  const system = ["Windows", "Android", "iPhone", "iPad", "Mac OS X", "Linux"].find((known) => agent.includes(known));
  const shown = { Edg: "Edge", OPR: "Opera" }[name ?? ""] ?? name;
  if (shown === undefined) return agent === "" ? "A program" : agent.slice(0, 40);
  return system === undefined ? shown : `${shown} on ${system.replace(" OS X", "")}`;
}
