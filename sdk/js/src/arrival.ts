/** How a visitor came: `utm_*` of the address, and the page of another site that led here. */
export type Arrival = Record<string, string>;

const CAMPAIGN = ["source", "medium", "campaign", "term", "content"];

export function arrivalOf(location: Location, referrer: string): Arrival {
  const arrival: Arrival = {};
  const query = new URLSearchParams(location.search);
  for (const part of CAMPAIGN) {
    const value = query.get(`utm_${part}`);
    if (value) arrival[`utm_${part}`] = value.slice(0, 255);
  }
  const from = elsewhere(location, referrer);
  if (from !== null) arrival["referrer"] = from;
  return arrival;
}

/** Without its query, which may hold what was searched for, or a secret. */
function elsewhere(location: Location, referrer: string): string | null {
  try {
    const { host, origin, pathname } = new URL(referrer);
    return host === location.host ? null : (origin + pathname).slice(0, 1_024);
  } catch {
    return null;
  }
}
