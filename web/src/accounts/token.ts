let taken: { path: string; token: string } | null = null;

/** Takes `#token=..` out of the address bar, where a screenshot or a shared address would carry it on; the page keeps it until it is left. */
export function takeToken(): string | null {
  const token = new URLSearchParams(window.location.hash.slice(1)).get("token");
  const path = window.location.pathname;
  if (token !== null) {
    window.history.replaceState(null, "", path + window.location.search);
    taken = { path, token };
  }
  return taken?.path === path ? taken.token : null;
}
