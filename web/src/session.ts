/** What a member may do in an app; each role may do what those before it may. */
export type Role = "viewer" | "editor" | "owner";

/**
 * Which app is shown and what opens it: a read key, kept for this tab only and never in an address that a server or a log could see; or, where
 * `key` is null, the cookie of a login, which the browser sends by itself.
 */
export interface Session {
  app: string;
  key: string | null;
  /** What the login may do; with a key, another key decides. */
  role?: Role;
}

/** True where changes need no key: the login may make them. */
export function mayEdit(session: Session): boolean {
  return session.key === null && session.role !== "viewer";
}

/** The headers that open the session's app. */
export function credentials(session: Session): Record<string, string> {
  return session.key === null ? {} : { authorization: `Bearer ${session.key}` };
}

/** A session that a key opened. */
export type KeySession = Session & { key: string };

/** What every page of an app gets. */
export interface PageProps {
  session: Session;
  onDisconnect: () => void;
}

const STORAGE_KEY = "throng.session";

/** Takes `#app=..&key=..` out of the address bar, else what this tab used before. */
export function loadSession(): KeySession | null {
  const fragment = new URLSearchParams(window.location.hash.slice(1));
  const app = fragment.get("app");
  const key = fragment.get("key");
  if (app !== null && key !== null) {
    window.history.replaceState(null, "", window.location.pathname + window.location.search);
    saveSession({ app, key });
    return { app, key };
  }
  return readSession(sessionStorage.getItem(STORAGE_KEY));
}

export function saveSession(session: KeySession): void {
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify(session));
}

export function forgetSession(): void {
  sessionStorage.removeItem(STORAGE_KEY);
}

/** What was stored, or nothing where it is not what we store. */
export function readSession(stored: string | null): KeySession | null {
  try {
    const value: unknown = JSON.parse(stored ?? "null");
    return isSession(value) ? value : null;
  } catch {
    return null;
  }
}

function isSession(value: unknown): value is KeySession {
  return typeof value === "object" && value !== null && "app" in value && "key" in value && typeof value.app === "string" && typeof value.key === "string";
}
