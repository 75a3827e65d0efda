import type { Page } from "./environment.js";

/** Calls back for each page a visitor sees: the first one, and those a single-page app shows by changing the address. */
export function watchPages({ window, document }: Page, withHash: boolean, onPage: () => void): void {
  let shown: string | null = null;
  let isPending = false;
  const look = (): void => {
    isPending = false;
    const address = pageOf(window.location, withHash);
    if (address === shown) return;
    shown = address;
    onPage();
  };
  // After what changed the address has run: the title is then that of the new page, and a redirect is one page.
  const lookSoon = (): void => {
    if (isPending) return;
    isPending = true;
    window.setTimeout(look, 0);
  };
  for (const method of ["pushState", "replaceState"] as const) {
    const original = window.history[method].bind(window.history);
    window.history[method] = (...state: Parameters<History["pushState"]>): void => {
      original(...state);
      lookSoon();
    };
  }
  window.addEventListener("popstate", lookSoon);
  if (withHash) window.addEventListener("hashchange", lookSoon);
  // Back to a page that the browser kept whole.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) onPage();
  });
  // A page made ready before anybody asked for it is seen when it is shown.
  if ((document as Document & { prerendering?: boolean }).prerendering === true) document.addEventListener("prerenderingchange", look, { once: true });
  else look();
}

/** The address as it is sent: without the query, which may hold secrets and would make a page of each visit. */
export function pageOf(location: Location, withHash: boolean): string {
  return location.pathname + (withHash ? location.hash : "");
}
