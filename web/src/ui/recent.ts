const MAX_RECENT = 4;
const PREFIX = "throng.recent.";

/** What was last picked of one kind in this tab, newest first. */
export function recentChoices(kind: string): string[] {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(PREFIX + kind) ?? "[]");
    return Array.isArray(stored) ? stored.filter((value) => typeof value === "string").slice(0, MAX_RECENT) : [];
  } catch {
    return [];
  }
}

export function rememberChoice(kind: string, value: string): void {
  const others = recentChoices(kind).filter((other) => other !== value);
  try {
    sessionStorage.setItem(PREFIX + kind, JSON.stringify([value, ...others].slice(0, MAX_RECENT)));
  } catch {
    // Full, or nothing is kept: the choice counts all the same.
  }
}
