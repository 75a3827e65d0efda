/** What the page shows, all of it in the address. */
export interface Statement {
  /** The statement that was run last; empty before the first. */
  sql: string;
  view: "table" | "chart";
}

export function readStatement(search: string): Statement {
  const parameters = new URLSearchParams(search);
  return { sql: parameters.get("q") ?? "", view: parameters.get("view") === "chart" ? "chart" : "table" };
}

/** The inverse of `readStatement`. */
export function writeStatement({ sql, view }: Statement): string {
  const parameters = new URLSearchParams();
  if (sql !== "") parameters.set("q", sql);
  if (view === "chart") parameters.set("view", view);
  const written = parameters.toString();
  return written === "" ? "" : `?${written}`;
}
