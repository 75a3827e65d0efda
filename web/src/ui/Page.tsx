import { type ReactNode, useEffect } from "react";

import { ColorSchemeButton } from "./ColorSchemeButton.tsx";

/** Top bar with title, what the page shows, and its state; below it the page. */
export function Page({ title, about, end, children }: { title: string; about?: ReactNode; end?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Throng`;
  }, [title]);
  return (
    <div className="page">
      <header className="topbar">
        <h1>{title}</h1>
        <span className="quiet cut topbar-about">{about}</span>
        <div className="end">
          {end}
          <ColorSchemeButton />
        </div>
      </header>
      <main className="content">{children}</main>
    </div>
  );
}
