import type { ReactNode } from "react";

/** What a page or a tile shows in place of numbers: what this is, and the one thing to do next. */
export function Message({ title, kind = "plain", children }: { title: string; kind?: "plain" | "bad"; children: ReactNode }) {
  return (
    <section className="panel state" data-kind={kind} role={kind === "bad" ? "alert" : "status"}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}
