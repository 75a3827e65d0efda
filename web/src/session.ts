/** Which app is shown and the key it is read with. Kept for this tab only; never in an address that a server or a log could see. */
export interface Session {
  app: string;
  key: string;
}

/** What every page of an app gets. */
export interface PageProps {
  session: Session;
  onDisconnect: () => void;
}

const STORAGE_KEY = "throng.session";

/** Takes `#app=..&key=..` out of the address bar, else what this tab used before. */
export function loadSession(): Session | null {
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

export function saveSession(session: Session): void {
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify(session));
}

export function forgetSession(): void {
  sessionStorage.removeItem(STORAGE_KEY);
}

/** What was stored, or nothing where it is not what we store. */
export function readSession(stored: string | null): Session | null {
  try {
    const value: unknown = JSON.parse(stored ?? "null");
    return isSession(value) ? value : null;
  } catch {
    return null;
  }
}

function isSession(value: unknown): value is Session {
  return typeof value === "object" && value !== null && "app" in value && "key" in value && typeof value.app === "string" && typeof value.key === "string";
}
